"""Training a teacher: the five tasks, exact resume, several processes, and the folder that is left."""

import copy
import csv
import json
import math
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain, islice
from types import SimpleNamespace

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from iem import artifact
from iem.chem.molecules import parse
from iem.chem.priors import PAPER, PRIORS, shape_prior, substructure_prior
from iem.data.album import Album, room_for
from iem.data.corpus import Corpus
from iem.data.datasets import STILL, Augmentation, PictureDataset, Rounds, prior_statistics
from iem.errors import ArtifactError, ConfigError, IEMError, OutputError
from iem.losses.contrastive import contrastive_loss
from iem.nn.teacher import load_teacher
from iem.render.ballstick import BallStick
from iem.render.depiction import Depiction
from iem.render.views import rotations
from iem.workflows.pretraining import schedules
from iem.workflows.pretraining.five_tasks import FiveTasks, Pretraining
from iem.workflows.pretraining.recipe import PRESETS
from iem.workflows.pretraining.run import loaders, new_model, train_teacher
from iem.workflows.pretraining.schedules import open_rounds, schedule_of, stable
from iem.workflows.running.checkpoint import Checkpoints, go_back
from iem.workflows.running.trainer import run_to_end

TINY = replace(
    PRESETS["default"], encoder="test_resnet", size=32, visits=48, round=16, batch_size=8, schedule="one-cycle"
)
"""Its length is fixed from the beginning."""
OPEN = replace(TINY, schedule="warmup-stable-decay")
"""Its length is left open."""


@pytest.fixture(scope="module")
def corpus(small_corpus):
    return small_corpus


def pictures(corpus, augmentation=STILL, priors=PAPER, album=None):
    return PictureDataset(
        Corpus(corpus),
        renderer=BallStick(32),
        depiction=Depiction(32),
        rotations=rotations("paper"),
        priors=priors,
        augmentation=augmentation,
        seed=0,
        album=album,
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


def test_a_batch_has_the_pictures_of_its_molecules(corpus):
    """All random choices are those of a molecule that is visited alone, in whatever company it is drawn."""
    dataset = pictures(corpus, Augmentation(views=1, turn=True, flip=True, grey=0.5))
    items = [(0, 3), (1, 6), (0, 6), (2, 3)]
    for item, drawn in zip(items, dataset.__getitems__(items), strict=True):
        alone = dataset[item]
        assert alone.keys() == drawn.keys()
        for name, tensor in alone.items():
            if name == "flat":
                assert (drawn[name].int() - tensor.int()).abs().max() <= 2
            else:
                assert torch.equal(drawn[name].nan_to_num(), tensor.nan_to_num())


def test_depictions_come_round_again(corpus, tmp_path):
    """And whether they were kept or are drawn once more makes no difference."""
    moving = Augmentation(views=1, turn=True, flip=False, grey=0.0, depictions=2)
    plain = pictures(corpus, moving)
    items = [(visit, index) for visit in range(4) for index in (3, 6)]
    drawn = [plain[item] for item in items]
    for first, second in zip(drawn[:4], drawn[4:], strict=True):
        assert torch.equal(first["flat"], second["flat"])
        assert not torch.equal(first["views"], second["views"])
    assert not torch.equal(drawn[0]["flat"], drawn[2]["flat"])

    def album():
        return Album(tmp_path / "some.album", 32)

    keeping = pictures(corpus, moving, album=album())
    for item in items[:2]:
        keeping[item]
    other = pickle.loads(pickle.dumps(pictures(corpus, moving, album=album())))  # as another process has it
    together = other.depiction.together
    asked = []
    other.depiction.together = lambda sitters: asked.append(len(sitters)) or together(sitters)
    for one, kept in zip(drawn, chain(other.__getitems__(items[:4]), map(other.__getitem__, items[4:])), strict=True):
        assert (one["flat"].int() - kept["flat"].int()).abs().max() <= 2
        assert torch.equal(one["views"], kept["views"])
    assert asked == [2], "drawn although it was kept"


def test_an_album_has_whole_pictures_or_none(tmp_path, monkeypatch):
    picture = Depiction(48)(parse("CC(=O)Oc1ccccc1C(=O)O"))
    album = Album(tmp_path / "some.album", 48)
    assert album.get(0) is None
    for place in (0, 2, 3):
        album.put(place, picture)
    noise = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    album.put(4, noise)  # too much for its place
    assert [album.get(place) is None for place in range(6)] == [False, True, False, False, True, True]
    np.testing.assert_array_equal(album.get(2), picture)

    stored = bytearray(album.path.read_bytes())
    stored[2 * album.length + 40] ^= 1
    album.path.write_bytes(stored[: 3 * album.length + 50])
    again = Album(album.path, 48)
    assert [again.get(place) is None for place in range(4)] == [False, True, True, True]

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    again.put(1, picture)
    assert again.full
    assert not Album.fits(album.path, 224, 10**9)
    kept = album.path.stat().st_blocks * 512
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=kept))
    assert Album.fits(album.path, 48, kept // room_for(48)), "what is there already needs no room"
    assert not Album.fits(tmp_path / "other.album", 48, kept // room_for(48))


def test_rounds_visit_every_molecule_once_per_pass():
    sampler = Rounds(np.arange(10, 20), length=7, seed=0)
    walk = []
    for number in range(10):
        sampler.set_epoch(number)
        walk += list(sampler)
    assert len(walk) == 70
    for visit in range(7):
        assert sorted(index for seen, index in walk if seen == visit) == list(range(10, 20))


def test_processes_share_the_batches_of_one():
    def batches(size, **shares):
        sampler = Rounds(np.arange(50), length=26, seed=0, multiple=8, **shares)
        sampler.set_epoch(3)
        walk = list(sampler)
        assert len(walk) == len(sampler)
        return [set(walk[start : start + size]) for start in range(0, len(walk), size)]

    alone = batches(8)
    assert len(alone) == 3  # of 26 visits the last two make no batch
    shares = [batches(2, rank=rank, ranks=4) for rank in range(4)]
    assert [set(chain(*parts)) for parts in zip(*shares, strict=True)] == alone
    assert all(len(one & other) == 0 for one, other in zip(shares[0], shares[1], strict=True))


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


def same(folder, other):
    """Whether two trainings came to the same weights over the same curve."""
    one, two = weights(folder), weights(other)
    curves = [json.loads((place / "curve.json").read_text()) for place in (folder, other)]
    return (
        one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one) and curves[0] == curves[1]
    )


@contextmanager
def killed_at(step):
    """Training ends at this step as if by a power cut."""
    from iem.workflows.pretraining import run

    class Killed(Exception):
        pass

    steps, original = [], run.Watch.on_train_batch_end

    def kill(self, trainer, *rest):
        steps.append(trainer.current_epoch)
        if len(steps) == step:
            raise Killed
        original(self, trainer, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run.Watch, "on_train_batch_end", kill)
        with pytest.raises(Killed):
            yield


@contextmanager
def infinite_weight(smiles):
    """The molecular weight of one molecule is infinite whenever it is learned from after the first pass."""
    original = PictureDataset.__getitems__

    def spoil(self, items):
        batch = original(self, items)
        for (visit, row), tensors in zip(items, batch, strict=True):
            if visit and self.corpus[row].smiles == smiles:
                tensors["property"][0] = torch.inf
        return batch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PictureDataset, "__getitems__", spoil)
        yield


def points(folder):
    """What TensorBoard shows of a run: visits and held-out loss."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    [file] = (folder / "tensorboard").iterdir()
    events = [(event.step, event.summary.value) for event in EventFileLoader(str(file)).Load()]
    scalars = [(step, value) for step, values in events for value in values if value.tag == "valid/loss"]
    return [(step, round(value.tensor.float_val[0], 4)) for step, value in scalars]


@pytest.mark.slow
def test_a_resumed_training_equals_an_unbroken_one(corpus, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train_teacher(corpus, out=whole, recipe=TINY, jobs=0)

    with killed_at(3):  # in the middle of the second round
        train_teacher(corpus, out=broken, recipe=TINY, jobs=0)
    (broken / ".checkpoint.ckpt.123.partial").write_bytes(b"PK")  # as a kill during the writing leaves it

    before = {path.name: path.read_bytes() for path in broken.iterdir() if path.suffix in (".ckpt", ".safetensors")}
    someone = "CC(=O)Oc1ccccc1C(=O)O"
    with infinite_weight(someone), pytest.raises(IEMError) as caught:
        train_teacher(corpus, out=broken, recipe=TINY, jobs=0)
    assert f"(2d_property, 3d_property), through 1 molecule of 8: {someone}; leave these" in str(caught.value)
    after = {path.name: path.read_bytes() for path in broken.iterdir() if path.suffix in (".ckpt", ".safetensors")}
    assert len(before) == 2
    assert before == after

    train_teacher(corpus, out=broken, recipe=TINY, jobs=0)
    one, other = weights(whole), weights(broken)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not list(broken.glob("*.partial")) + list(broken.glob(".*.partial"))

    curve = json.loads((broken / "curve.json").read_text())
    assert [point["visits"] for point in curve] == [16, 32, 48]
    assert curve == json.loads((whole / "curve.json").read_text())
    with (broken / "curve.csv").open() as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    assert rows == curve
    assert points(broken) == points(whole)
    assert [visits for visits, _ in points(whole)] == [row["visits"] for row in curve]
    assert [loss for _, loss in points(whole)] == pytest.approx([row["valid/loss"] for row in curve], abs=1e-3)

    teacher = load_teacher(whole, view="2d")
    assert teacher(torch.zeros(2, 1, 32, 32, 3, dtype=torch.uint8)).shape == (2, teacher.dim)
    with pytest.raises(ConfigError, match=r"--lr is 0\.5, but .* holds a run with 0\.003"):
        train_teacher(corpus, out=whole, recipe=replace(TINY, lr=0.5), jobs=0)


def test_the_learning_rate_rises_stays_and_falls():
    factor = stable(4, 10, 20)
    rates = [factor(step) for step in range(21)]
    assert rates[:11] == [0.25, 0.5, 0.75] + [1.0] * 8
    assert rates[10:] == pytest.approx([1 - math.sqrt(step / 10) for step in range(11)])
    assert [open_rounds(replace(OPEN, visits=16 * rounds)) for rounds in (1, 2, 3, 5, 6, 10)] == [0, 1, 2, 4, 4, 8]

    assert open_rounds(TINY) == 0
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = schedule_of(replace(OPEN, visits=1_600, batch_size=16), optimizer)
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[:81] == pytest.approx([(step + 1) / 313 for step in range(81)])  # it is still rising
    assert rates[90] == pytest.approx(91 / 313 * (1 - math.sqrt(0.5)))


@pytest.mark.slow
def test_a_training_of_another_length_equals_one_that_was_planned_so(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(schedules, "WARM_UP", 8)
    long, short = replace(OPEN, visits=96), replace(OPEN, visits=48)
    for name, recipe in (("long", long), ("short", short)):
        train_teacher(corpus, out=tmp_path / name, recipe=recipe, jobs=0)
    kept = (tmp_path / "short" / "model.safetensors").read_bytes()

    with killed_at(1):  # it was at its end, and goes on from before its learning rate fell
        train_teacher(corpus, out=tmp_path / "short", recipe=long, jobs=0)
    assert (tmp_path / "short" / "model.safetensors").read_bytes() == kept
    train_teacher(corpus, out=tmp_path / "short", recipe=long, jobs=0)
    assert same(tmp_path / "short", tmp_path / "long")

    with killed_at(5):  # in the third round of six, of which four are the plateau
        train_teacher(corpus, out=tmp_path / "early", recipe=long, jobs=0)
    train_teacher(corpus, out=tmp_path / "early", recipe=short, jobs=0)
    train_teacher(corpus, out=tmp_path / "again", recipe=short, jobs=0)
    assert same(tmp_path / "early", tmp_path / "again")

    with pytest.raises(ConfigError, match=r"--visits is 16, but the run in .* has come so far that 48 is the least"):
        train_teacher(corpus, out=tmp_path / "early", recipe=replace(OPEN, visits=16), jobs=0)
    (tmp_path / "early" / "plateau.ckpt").unlink()
    with pytest.raises(ConfigError, match=r"--visits is 96, but the run in .* was planned for 48 and is ending"):
        train_teacher(corpus, out=tmp_path / "early", recipe=long, jobs=0)
    for content in (b"PK", b""):
        (tmp_path / "early" / "checkpoint.ckpt").write_bytes(content)
        with pytest.raises(ArtifactError, match=r"checkpoint\.ckpt is damaged"):
            train_teacher(corpus, out=tmp_path / "early", recipe=long, jobs=0)
    with pytest.raises(ConfigError, match=r"--schedule is 'one-cycle', but .* holds a run with 'warmup-stable-decay'"):
        train_teacher(corpus, out=tmp_path / "early", recipe=replace(short, schedule="one-cycle"), jobs=0)


def test_the_fused_optimiser_does_what_the_plain_one_does(corpus):
    """PyTorch's fused steps are wrong where a gradient is laid out otherwise than its weight."""
    recipe, molecules = replace(TINY, encoder="resnet18", schedule="constant"), Corpus(corpus)
    indices = np.arange(len(molecules))
    train, _ = loaders(recipe, molecules, indices, indices[:8], seed=0, jobs=0)
    model = new_model(recipe, molecules, indices, seed=0)
    plain = copy.deepcopy(model)
    fused = Pretraining(model, recipe, molecules).configure_optimizers()
    other = torch.optim.AdamW(plain.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay, foreach=False)
    for batch in islice(train, 2):
        fused.zero_grad()
        sum(model(batch).values()).backward()
        for one, two in zip(model.parameters(), plain.parameters(), strict=True):
            assert one.grad.stride() == one.stride()
            two.grad = one.grad.clone()
        fused.step()
        other.step()
    for (name, one), two in zip(model.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one, two, msg=name)


def test_a_finished_folder_tells_where_its_weights_are_from_and_shows_its_curves(corpus, tmp_path):
    network = timm.create_model("test_resnet")
    save_file(network.state_dict(), tmp_path / "first.safetensors")
    recipe = replace(TINY, visits=32, pretrained=str(tmp_path / "first.safetensors"), lr=1e-9)
    train_teacher(corpus, out=tmp_path / "out", recipe=recipe, jobs=0)
    tensors, card = artifact.load(tmp_path / "out", kind="teacher")
    assert card["pretrained"]["weights"] == "first.safetensors"
    for view in ("2d", "3d"):
        first = tensors[f"encoder_{view}.network.conv1.0.weight"]
        torch.testing.assert_close(first.float(), network.conv1[0].weight, rtol=1e-3, atol=1e-3)
        assert torch.equal(tensors[f"encoder_{view}.mean"].float(), torch.full((3, 1, 1), 0.5))

    page = (tmp_path / "out" / "report.html").read_text()
    curve = json.loads((tmp_path / "out" / "curve.json").read_text())
    best = min(curve, key=lambda point: point["valid/loss"])
    assert f"Best held-out loss {best['valid/loss']:.3f} after {best['visits']} of 32 visits" in " ".join(page.split())
    row = re.search(r'<th scope="row">substructure, from 3D</th>(.*?)</tr>', page, re.DOTALL)[1]
    assert re.findall(r">([\d.]+)<", row) == [
        f"{point[f'{part}/3d_substructure']:.3f}"
        for part, point in (("valid", curve[0]), ("valid", best), ("train", best))
    ]
    assert page.count("<svg") == 1
    assert page.count("data:image/png;base64,") == 6
    assert "first.safetensors (SHA-256 " in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_a_training_that_diverges_stops_with_one_sentence(corpus, tmp_path):
    recipe = replace(TINY, optimizer="sgd", schedule="constant", lr=1e30)
    with pytest.raises(IEMError) as caught:
        train_teacher(corpus, out=tmp_path / "out", recipe=recipe, jobs=0)
    said = str(caught.value)
    assert said.startswith("the loss is not finite in round 1 (every term), through 8 molecules of 8: ")
    assert said.endswith(
        " and 3 more; that is all of its batch, so the weights diverged: lower --lr, and name another --out"
    )
    named = said.partition(" of 8: ")[2].partition(" and 3 more")[0].split(", ")
    assert set(named) <= {record.smiles for record in Corpus(corpus)}
    assert len(named) == 5


def test_a_checkpoint_is_whole_or_not_replaced(tmp_path):
    path = tmp_path / "checkpoint.ckpt"
    path.write_bytes(b"the last round")

    def save(target):
        target.write_bytes(b"half of this")
        os.kill(os.getpid(), signal.SIGKILL)

    keeper = Checkpoints(path, seed=0, monitor="valid/loss", keep=print)
    process = os.fork()
    if not process:
        keeper.on_train_epoch_end(
            SimpleNamespace(
                save_checkpoint=save, is_global_zero=True, current_epoch=0, callback_metrics={"valid/loss": 1.0}
            ),
            None,
        )
    assert os.WTERMSIG(os.waitpid(process, 0)[1]) == signal.SIGKILL
    assert path.read_bytes() == b"the last round"
    assert [file.name for file in tmp_path.iterdir() if file != path] == [f".checkpoint.ckpt.{process}.partial"]


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(corpus, tmp_path):
    """Joint losses, gradients and walk: an encoder without batch norm ends with the same weights, up to rounding."""
    options = "--preset paper --encoder test_convnext --size 32 --visits 48 --round 16 --batch-size 8 --jobs 0"
    words = f"{options} --accumulate 2 --devices 2".split()
    command = [sys.executable, "-m", "iem", "pretrain", str(corpus), "--out", str(tmp_path / "two"), *words]
    ran = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"CUDA_VISIBLE_DEVICES": ""}, timeout=600
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.count("best held-out loss") == 1
    recipe = replace(
        PRESETS["paper"], encoder="test_convnext", size=32, visits=48, round=16, batch_size=8, accumulate=2
    )
    train_teacher(corpus, out=tmp_path / "one", recipe=recipe, jobs=0)

    two, one = (
        torch.load(tmp_path / name / "checkpoint.ckpt", weights_only=True)["state_dict"] for name in ("two", "one")
    )
    torch.testing.assert_close(two, one, rtol=1e-4, atol=1e-5)
    assert json.loads((tmp_path / "two" / "card.json").read_text())["devices"] == 2
    curves = [json.loads((tmp_path / name / "curve.json").read_text()) for name in ("two", "one")]
    for both in zip(*curves, strict=True):
        assert both[0] == pytest.approx(both[1], rel=1e-4)


def test_a_process_that_is_lost_leaves_one_sentence_to_the_others(tmp_path):
    def fit(*_, **__):
        raise RuntimeError("[gloo/transport/tcp/pair.cc:545] Read error [127.0.0.1]:56477: Connection reset by peer.")

    with pytest.raises(IEMError, match="another process of this training was lost"):
        run_to_end(SimpleNamespace(world_size=2, fit=fit), None, None, checkpoint=tmp_path / "none.ckpt")
    with pytest.raises(RuntimeError, match="gloo"):
        run_to_end(SimpleNamespace(world_size=1, fit=fit), None, None, checkpoint=tmp_path / "none.ckpt")


@pytest.mark.parametrize(
    ("changes", "devices", "message"),
    [
        ({"accumulate": 3}, 1, "--batch-size is 8, but it must make 3 parts of equal size, two molecules or more"),
        ({}, 8, "--batch-size is 8, but it must make 1 parts on each of 8 devices of equal size"),
        ({"round": 4}, 1, "--round is 4, but a round is at least one batch of 8"),
    ],
)
def test_a_batch_that_cannot_be_shared_out_is_refused(corpus, tmp_path, monkeypatch, changes, devices, message):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=message):
        train_teacher(corpus, out=tmp_path / "out", recipe=replace(TINY, **changes), devices=devices)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("wrong", [{"encoder": "resnet999"}, {"pretrained": "nosuch"}])
def test_networks_that_cannot_be_made_claim_no_folder(corpus, tmp_path, wrong):
    with pytest.raises(IEMError):
        train_teacher(corpus, out=tmp_path / "out", recipe=replace(TINY, **wrong))
    assert not (tmp_path / "out").exists()


def test_a_corpus_that_is_too_small_is_refused(corpus, tmp_path):
    with pytest.raises(ConfigError, match="holds only 25 molecules, and a batch of them is held out: say 12 or less"):
        train_teacher(corpus, out=tmp_path / "out", recipe=replace(TINY, batch_size=64))


def test_a_folder_with_something_else_is_not_touched(corpus, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="exists and is not a teacher run of iem"):
        train_teacher(corpus, out=tmp_path, recipe=TINY)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_checkpoint_that_was_deleted_begins_at_the_landmark(tmp_path):
    state = {"epoch": 3, "callbacks": {Checkpoints.__qualname__: {"best": -1.0, "best_epoch": 2}}}
    torch.save(state, tmp_path / "plateau.ckpt")
    go_back(tmp_path / "checkpoint.ckpt", tmp_path / "plateau.ckpt")
    assert torch.load(tmp_path / "checkpoint.ckpt", weights_only=True) == state
