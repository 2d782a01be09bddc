"""Training a teacher: the five tasks, exact resume, and the folder that is left."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from iem import artifact
from iem.chem.molecules import parse
from iem.chem.priors import PAPER, PRIORS, shape_prior, substructure_prior
from iem.data.corpus import Corpus
from iem.data.datasets import STILL, Augmentation, PictureDataset, Rounds, prior_statistics
from iem.errors import ConfigError, OutputError
from iem.losses.contrastive import contrastive_loss
from iem.nn.teacher import load_teacher
from iem.render.ballstick import BallStick
from iem.render.depiction import Depiction
from iem.render.views import rotations
from iem.workflows.prepare import prepare
from iem.workflows.pretrain import PRESETS
from iem.workflows.pretraining import FiveTasks, train_teacher

SMILES = [
    *("CCO", "CCCO", "CC(C)O", "CCCCO", "c1ccccc1O", "Cc1ccccc1O", "CC(=O)Oc1ccccc1C(=O)O", "CCN", "CCCN", "c1ccncc1"),
    *("C1CCCCC1", "OC1CCCCC1", "CC(=O)C", "CCC(=O)C", "CC#N", "c1ccsc1", "FC(F)(F)c1ccccc1", "Clc1ccccc1", "BrCCBr"),
    *("CN1C=NC2=C1C(=O)N(C(=O)N2C)C", "OCC(O)C(O)C(O)C(O)C=O", "NC(Cc1ccccc1)C(=O)O", "C[Si](C)(C)C", "CSC", "O=C=O"),
]
TINY = replace(PRESETS["default"], encoder="test_resnet", size=32, visits=48, round=16, batch_size=8)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "some.smi").write_text("\n".join(SMILES))
    prepare(str(folder / "some.smi"), out=folder / "corpus", jobs=1)
    return folder / "corpus"


def pictures(corpus, augmentation=STILL, priors=PAPER):
    return PictureDataset(
        Corpus(corpus),
        renderer=BallStick(32),
        depiction=Depiction(32),
        rotations=rotations("paper"),
        priors=priors,
        augmentation=augmentation,
        seed=0,
    )


def test_pictures_follow_from_seed_visit_and_index_alone(corpus):
    moving = Augmentation(views=1, turn=True, flip=True, grey=0.5)
    one, two = pictures(corpus, moving), pictures(corpus, moving)
    one[0, 3]
    first, again, later = one[0, 6], two[0, 6], one[1, 6]
    assert first["views"].shape == (1, 32, 32, 3)
    assert torch.equal(first["views"], again["views"])
    assert torch.equal(first["flat"], again["flat"])
    assert not torch.equal(first["views"], later["views"])
    assert pictures(corpus)[0, 6]["views"].shape == (4, 32, 32, 3)


def test_rounds_visit_every_molecule_once_per_pass():
    sampler = Rounds(np.arange(10, 20), length=7, seed=0)
    walk = []
    for number in range(10):
        sampler.set_epoch(number)
        walk += list(sampler)
    assert len(walk) == 70
    for visit in range(7):
        assert sorted(index for seen, index in walk if seen == visit) == list(range(10, 20))


def test_five_tasks_are_equations_1_to_3(corpus):
    dataset = pictures(corpus)
    items = [dataset[0, index] for index in range(6)]
    batch = {name: torch.stack([item[name] for item in items]) for name in items[0]}
    torch.manual_seed(0)
    model = FiveTasks("test_resnet", priors=PAPER, temperature=0.1).eval()
    terms = model(batch)
    assert list(terms) == [
        "contrast",
        *(f"{view}_{prior}" for view in ("2d", "3d") for prior in ("atom", "bond", "geometry", "property")),
    ]
    flat, spatial = model.features(batch)
    torch.testing.assert_close(terms["contrast"], contrastive_loss(flat, spatial))
    gaps = []
    for item, feature in zip(items, spatial, strict=True):
        known = item["geometry_known"]
        gaps.append((model.heads["geometry"](feature[None])[0] - item["geometry"])[known].abs())
    torch.testing.assert_close(terms["3d_geometry"], torch.cat(gaps).mean())

    model.smooth = True
    gap = (model.heads["atom"](spatial) - batch["atom"]).abs()
    squared = torch.where(gap < 1, gap.square() / 2, gap - 0.5)
    torch.testing.assert_close(model(batch)["3d_atom"], squared.mean())


def test_questions_of_ours_come_with_the_pictures(corpus):
    found = Corpus(corpus)
    dataset = pictures(corpus, priors=tuple(PRIORS))
    place = next(index for index, record in enumerate(found) if record.smiles == "CC(=O)Oc1ccccc1C(=O)O")
    item, mol = dataset[0, place], parse("CC(=O)Oc1ccccc1C(=O)O")
    assert torch.equal(item["substructure"], torch.from_numpy(substructure_prior(mol).values))
    assert torch.equal(item["shape"], torch.from_numpy(shape_prior(mol, found[place].geometry).values))
    assert item["shape_known"].all()


def test_statistics_count_what_is_known_only(corpus):
    found = Corpus(corpus)
    statistics = prior_statistics(found, np.arange(len(found)), tuple(PRIORS), seed=0)
    for name, prior in PRIORS.items():
        mean, unit = statistics[name]
        assert mean.shape == unit.shape == (prior.size,)
        assert np.isfinite(mean).all()
        assert (unit >= prior.unit).all()
    shapes = [shape_prior(parse(record.smiles), record.geometry) for record in found]
    aromatic = [shape.values[24] for shape in shapes if shape.known[24]]
    assert 0 < len(aromatic) < len(found)
    assert statistics["shape"][0][24] == pytest.approx(np.mean(aromatic), rel=1e-5)
    assert statistics["atom"][1][list(PRIORS["atom"].labels).index("Si")] == 0.25  # 1 in 25 molecules: 0.2
    few = prior_statistics(found, np.arange(len(found)), ("property",), seed=0, most=10)["property"]
    assert not np.allclose(few[0], statistics["property"][0])


def weights(folder):
    return artifact.load(folder, kind="teacher")[0]


@pytest.mark.slow
def test_a_resumed_training_equals_an_unbroken_one(corpus, tmp_path, monkeypatch):
    train_teacher(corpus, out=tmp_path / "whole", recipe=TINY, jobs=0)
    from iem.workflows import pretraining

    epochs = []

    class Killed(Exception):
        pass

    original = pretraining.Watch.on_train_batch_end

    def kill(self, trainer, *rest):
        epochs.append(trainer.current_epoch)
        if len(epochs) == 3:  # in the middle of the second round
            raise Killed
        original(self, trainer, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(pretraining.Watch, "on_train_batch_end", kill)
        with pytest.raises(Killed):
            train_teacher(corpus, out=tmp_path / "broken", recipe=TINY, jobs=0)
    assert epochs == [0, 0, 1]
    train_teacher(corpus, out=tmp_path / "broken", recipe=TINY, jobs=0)
    whole, broken = weights(tmp_path / "whole"), weights(tmp_path / "broken")
    assert whole.keys() == broken.keys()
    assert all(torch.equal(whole[name], broken[name]) for name in whole)
    curve = json.loads((tmp_path / "broken" / "card.json").read_text())["curve"]
    assert [point["visits"] for point in curve][:2] == [16, 32]

    teacher = load_teacher(tmp_path / "whole", view="2d")
    assert teacher(torch.zeros(2, 1, 32, 32, 3, dtype=torch.uint8)).shape == (2, teacher.dim)
    with pytest.raises(ConfigError, match=r"--lr is 0\.5, but .* holds a run with 0\.001"):
        train_teacher(corpus, out=tmp_path / "whole", recipe=replace(TINY, lr=0.5), jobs=0)


def test_a_corpus_that_is_too_small_is_refused(corpus, tmp_path):
    with pytest.raises(ConfigError, match="holds only 25 molecules"):
        train_teacher(corpus, out=tmp_path / "out", recipe=replace(TINY, batch_size=64))


def test_a_folder_with_something_else_is_not_touched(corpus, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="exists and is not a teacher run of iem"):
        train_teacher(corpus, out=tmp_path, recipe=TINY)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
