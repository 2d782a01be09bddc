"""What ``iem fit`` can be told about the pictures, their share, molecules without labels, and the way of training."""

import copy
import json
import os
import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import AllChem
from sklearn.linear_model import Ridge

import iem
from iem import artifact
from iem.chem.conformers import conformer, flat_geometry
from iem.chem.molecules import canonical, parse
from iem.chem.priors import priors, substructure_prior
from iem.errors import ArtifactError, ConfigError, ContractError, TableError
from iem.losses.enhancers import answer_units, knowledge_enhancer, task_loss
from iem.nn.encoders import ImageEncoder
from iem.nn.heads import prior_heads
from iem.nn.scale import FeatureScale
from iem.students import architectures as architectures  # registers the students
from iem.students.base import build_student
from iem.students.predictor import Predictor
from iem.students.starts import find_start
from iem.workflows.distillation import loop
from iem.workflows.distillation.batching import Molecules, shown
from iem.workflows.distillation.lessons import FeatureJudge, Lesson, known_answers, positive_weights
from iem.workflows.distillation.loop import Distillation, outputs_of, train_student
from iem.workflows.distillation.recipe import PRESETS, FitRecipe
from iem.workflows.distillation.scales import common_scale
from iem.workflows.fitting import trainings
from iem.workflows.fitting.steps import resolved
from iem.workflows.pictures import embed
from iem.workflows.pictures.embed import load_teacher
from iem.workflows.pretraining import questions
from iem.workflows.pretraining.questions import FLAT, answered

SMILES = [
    *("CCO", "CCCO", "CC(C)O", "CCCCO", "CC(C)CO", "OCCO", "CC(O)CO", "c1ccccc1O", "OCc1ccccc1", "CC(=O)O", "CCC(=O)O"),
    *("CCN", "CCCN", "NCCN", "Nc1ccccc1", "CC#N", "CCS", "CSC", "ClCCl", "CCCl", "c1ccncc1", "C1CCNCC1", "Cc1ccccc1"),
]
PARTS = ["train"] * 17 + ["valid"] * 3 + ["test"] * 3
OTHERS = ["CCCCCO", "CCCCN", "c1ccccc1S", "CC(=O)OC", "CCOC", "C1CCOC1"]
SIZES = {"atom": 19, "bond": 4, "geometry": 60, "property": 8}
QUICK = {"split": "part", "student": "gin:width=16,layers=2", "epochs": 1, "batch_size": 8, "jobs": 1}


@pytest.fixture
def table():
    return pd.DataFrame({"smiles": SMILES, "size": [float(len(text)) for text in SMILES], "part": PARTS})


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """An untrained teacher with both encoders, which differ."""
    torch.manual_seed(0)
    tensors = {f"heads.{name}": value for name, value in prior_heads(512, SIZES).state_dict().items()}
    for view in ("2d", "3d"):
        encoder = ImageEncoder()
        for module in encoder.modules():
            if isinstance(module, torch.nn.BatchNorm2d):  # some begin at 0, and all pictures would look the same
                torch.nn.init.uniform_(module.weight, 0.5, 1.0)
        tensors |= {f"encoder_{view}.{name}": value for name, value in encoder.state_dict().items()}
    card = {"architecture": "resnet18", "views": ["2d", "3d"], "priors": SIZES, "size": 32, "view_set": "paper"}
    folder = tmp_path_factory.mktemp("both")
    artifact.save(folder, tensors, card, kind="teacher")
    return folder


def words_of(out):
    return " ".join((out / "report.html").read_text().split())


# What the teacher sees


def test_each_view_is_its_own_encoder_on_its_own_picture(both):
    pictures = {view: load_teacher(both, view=view) for view in ("3d", "2d", "flat")}
    features = {view: teacher.embed(SMILES[:4], jobs=1) for view, teacher in pictures.items()}
    keys = [canonical(parse(text)) for text in SMILES[:4]]
    drawn = np.stack([pictures["2d"].artist(key, None).pictures for key in keys])
    encoder = pictures["2d"].teacher
    np.testing.assert_allclose(features["2d"], encoder(torch.from_numpy(drawn)).numpy(), rtol=1e-4, atol=1e-5)
    assert torch.equal(encoder.encoder.state_dict()["network.conv1.weight"], artifact_tensor(both, "2d"))
    layouts = {key: flat_geometry(parse(key)) for key in keys}
    as_conformers, _ = pictures["3d"].features(keys, given=layouts, jobs=1)
    np.testing.assert_array_equal(features["flat"], as_conformers)
    assert not np.allclose(features["flat"], features["3d"], rtol=1e-3)
    solid = {key: conformer(parse(key)) for key in keys}
    np.testing.assert_array_equal(pictures["flat"].features(keys, given=solid, jobs=1)[0], features["flat"])
    assert pictures["flat"].unseen(keys, given=solid) == []


def artifact_tensor(folder, view):
    return artifact.load(folder, kind="teacher")[0][f"encoder_{view}.network.conv1.weight"]


@pytest.mark.parametrize(("view", "status"), [("2d", "drawn as a 2D depiction"), ("flat", "the flat layout drawn")])
def test_fit_shows_the_view_that_was_asked_for(table, both, tmp_path, monkeypatch, view, status):
    monkeypatch.setattr("iem.workflows.pictures.artists.conformer", None)  # neither needs one
    iem.fit(table, out=tmp_path / "model", teacher=both, teacher_view=view, **QUICK)
    assert status in words_of(tmp_path / "model")
    assert json.loads((tmp_path / "model" / "run.json").read_text())["teacher_view"] == view
    with pytest.raises(iem.IEMError, match="holds a run with another teacher"):
        iem.fit(table, out=tmp_path / "model", teacher=both, teacher_view="3d", **QUICK)


@pytest.mark.parametrize(("options", "seen"), [({}, "2d"), ({"preset": "paper"}, "3d"), ({"teacher_view": "3d"}, "3d")])
def test_depictions_are_shown_unless_the_paper_or_somebody_says_otherwise(table, both, tmp_path, options, seen):
    iem.fit(table, out=tmp_path / "model", teacher=both, **QUICK, **options)
    assert json.loads((tmp_path / "model" / "run.json").read_text())["teacher_view"] == seen
    page = words_of(tmp_path / "model")
    assert ("A teacher was shown the 2D depiction" in page) == ("drawn as a 2D depiction" in page) == (seen == "2d")


def test_a_teacher_without_a_2d_encoder_is_shown_conformers(table, teacher_folder, tmp_path):
    iem.fit(table, out=tmp_path / "model", teacher=teacher_folder, **QUICK)
    assert json.loads((tmp_path / "model" / "run.json").read_text())["teacher_view"] == "3d"
    iem.fit(table, out=tmp_path / "alone", teacher="none", **QUICK)
    assert json.loads((tmp_path / "alone" / "run.json").read_text())["teacher_view"] is None


def test_coordinates_that_nobody_looks_at_are_spoken_of(table, both, tmp_path, capsys):
    with Chem.SDWriter(os.fspath(tmp_path / "table.sdf")) as file:
        for row in table.itertuples():
            mol = Chem.AddHs(Chem.MolFromSmiles(row.smiles))
            AllChem.EmbedMolecule(mol, randomSeed=0)
            mol.SetProp("size", str(row.size))
            mol.SetProp("part", row.part)
            file.write(mol)
    told = "the teacher sees depictions, not the coordinates of table.sdf; --teacher-view 3d shows it these"
    for name, options, says in [
        ("usual", {}, True),
        ("2d", {"teacher_view": "2d"}, False),
        ("3d", {"preset": "paper"}, False),
    ]:
        iem.fit(tmp_path / "table.sdf", out=tmp_path / name, teacher=both, **QUICK, **options)
        assert (told in " ".join(capsys.readouterr().err.split())) == says, name


def test_a_teacher_without_a_2d_encoder_is_refused(table, teacher_folder, tmp_path):
    with pytest.raises(ArtifactError, match="has no 2d encoder, only 3d; choose that view, or a teacher with both"):
        iem.fit(table, out=tmp_path / "model", teacher=teacher_folder, teacher_view="2d", **QUICK)
    assert not (tmp_path / "model").exists()


# Fewer pictures


def test_a_share_of_the_molecules_is_drawn_by_seed(table, teacher_folder, tmp_path, monkeypatch):
    table.loc[1, "smiles"] = "OCC"  # a molecule on two rows
    drawn = []
    original = embed.ImageTeacher.features

    def features(self, keys, **options):
        drawn.append(list(keys))
        return original(self, keys, **options)

    monkeypatch.setattr(embed.ImageTeacher, "features", features)
    seen, told = [], []

    def train(predictor, molecules, train, *rest, **options):
        seen.append(train[~np.isnan(molecules.features[train]).any(axis=1)].tolist())
        told.append((rest[1].seed, predictor.student.dropout.p, predictor.project.weight.detach().clone()))
        return train_student(predictor, molecules, train, *rest, **options)

    monkeypatch.setattr("iem.workflows.fitting.trainings.train_student", train)
    settings = {"teacher": teacher_folder, "image_fraction": 0.25, "seeds": 2, "compare": False, **QUICK}
    iem.fit(table, out=tmp_path / "model", **settings)
    keys = [canonical(parse(text)) for text in table["smiles"][:17]]
    wanted = [np.flatnonzero(shown(keys, 0.25, seed)).tolist() for seed in (0, 1)]
    assert seen == wanted
    assert wanted[0] != wanted[1]
    assert [(seed, dropout) for seed, dropout, _ in told] == [(0, 0.2), (1, 0.2)]
    assert not torch.equal(told[0][2], told[1][2]), "each seed has weights of its own"
    for rows in wanted:
        assert len({keys[row] for row in rows}) == 4  # of 16 different ones
        assert (0 in rows) == (1 in rows)
    assert set(drawn[-1]) == {keys[row] for rows in wanted for row in rows}  # nothing else is drawn for training
    assert "Pictures of 0.25 of the different molecules to learn from" in words_of(tmp_path / "model")


# Molecules without labels


def list_of(folder, *smiles):
    path = folder / "others.smi"
    path.write_text("\n".join(smiles) + "\n")
    return path


def test_molecules_without_labels_join_and_are_counted(table, teacher_folder, tmp_path):
    given = list_of(tmp_path, *OTHERS, "C1CC", "OCCCCC", SMILES[0], SMILES[1], SMILES[18], SMILES[21], SMILES[22])
    options = {"teacher": teacher_folder, "unlabelled": given, "compare": True, **QUICK}
    metrics = iem.fit(table, out=tmp_path / "model", **options)
    counts = {"read": 13, "rejected": 1, "in_training": 2, "in_validation": 1, "in_test": 2, "used": 6}
    assert metrics["unlabelled"] == counts
    rejected = pd.read_csv(tmp_path / "model" / "rejected-unlabelled.csv")
    assert rejected[["row", "input"]].to_numpy().tolist() == [[6, "C1CC"]]
    assert "2 also in the test part and 1 in the validation part: left out" in words_of(tmp_path / "model")
    assert len(pd.read_csv(tmp_path / "model" / "rejected.csv")) == 0
    plain = iem.fit(table, out=tmp_path / "plain", teacher="none", **QUICK)
    assert metrics["without_teacher"] == plain["test"]  # the student alone never sees them
    assert metrics["test"] != plain["test"]
    with pytest.raises(iem.IEMError, match="holds a run with another table of unlabelled molecules"):
        iem.fit(table, out=tmp_path / "model", **options | {"unlabelled": list_of(tmp_path, *OTHERS[1:])})
    with pytest.raises(iem.IEMError, match="--compare"):
        iem.fit(table, out=tmp_path / "model", **options | {"unlabelled": list_of(tmp_path, *OTHERS), "compare": False})


def test_molecules_of_the_test_part_learn_along_only_where_that_is_asked_for(table, tmp_path):
    given = pd.DataFrame({"molecule": [*OTHERS, SMILES[21]]})
    options = {"teacher": "priors", "unlabelled": given, "transductive": True, **QUICK}
    metrics = iem.fit(table, out=tmp_path / "model", **options)
    assert (metrics["unlabelled"]["in_test"], metrics["unlabelled"]["used"]) == (1, 7)
    assert "1 also in the test part and 0 in the validation part: kept" in words_of(tmp_path / "model")


def test_tables_of_nothing_new_are_refused(table, tmp_path):
    options = {"teacher": "priors", "out": tmp_path / "model", **QUICK}
    with pytest.raises(TableError, match=r"--unlabelled: none of the 2 molecules of .*others\.smi can be read"):
        iem.fit(table, unlabelled=list_of(tmp_path, "C1CC", "c1cc"), **options)
    with pytest.raises(TableError, match=r"all 2 molecules of others\.smi stand in the labelled table already"):
        iem.fit(table, unlabelled=list_of(tmp_path, SMILES[0], SMILES[21]), **options)
    assert not (tmp_path / "model").exists()


STUDENT = "gin:width=16,layers=2"


def molecules(count=12, extra=6, positives=None):
    rng = np.random.default_rng(0)
    texts = SMILES[:count] + OTHERS[:extra]
    featurize = build_student(STUDENT, dropout=0.0).featurize
    labels = np.full((len(texts), 1), np.nan)
    labels[:count, 0] = [len(text) for text in texts[:count]]
    if positives:
        labels[:count, 0] = np.arange(count) < positives
    atoms = np.array([parse(text).GetNumHeavyAtoms() for text in texts])
    return Molecules(
        [featurize(parse(text)) for text in texts], labels, rng.random((len(texts), 512), dtype=np.float32), atoms
    )


LESSON = Lesson(
    task="regression", epochs=8, batch_size=4, lr=3e-3, patience=None, ke=0.5, te=0.5, te_head="own", seed=0
)


def heads_of_a_teacher():
    torch.manual_seed(1)
    return prior_heads(512, SIZES).requires_grad_(False)


def new_predictor(task, dropout=0.0):
    torch.manual_seed(0)
    return Predictor(build_student(STUDENT, dropout=dropout), tasks=1, task=task)


def trained(table, lesson, folder, *, heads=None, extra=None, count=12, dropout=0.0):
    predictor = new_predictor(lesson.task, dropout)
    rows = np.arange(count)
    predictor.fit_scale(table.labels[rows])
    options = {"heads": heads, "checkpoint": folder / "x.ckpt", "tick": lambda *_: None, "extra": extra}
    result = train_student(predictor, table, rows, rows, lesson, **options)
    predictor.load_state_dict(result.weights)
    return predictor, result


def test_an_epoch_is_a_pass_over_the_labelled_with_as_many_others():
    table, extra = molecules(count=10, extra=6), np.arange(10, 16)
    table = table._replace(atoms=np.arange(16))  # so that a batch tells which molecules it holds
    loader = table.loader(build_student(STUDENT, dropout=0.0), np.arange(10), batch_size=4, shuffle_seed=3, extra=extra)
    walk = []
    for epoch in range(3):
        loader.sampler.set_epoch(epoch)
        batches = [batch.atoms.numpy() for batch in loader]
        assert [len(batch) for batch in batches] == [8, 8, 4]
        assert all((batch < 10).sum() * 2 == len(batch) for batch in batches)
        rows = np.concatenate(batches)
        assert sorted(rows[rows < 10]) == list(range(10))
        walk += rows[rows >= 10].tolist()
    assert all(sorted(walk[start : start + 6]) == list(range(10, 16)) for start in range(0, 30, 6))  # five passes


def test_what_has_no_label_is_taught_by_the_teacher(tmp_path):
    table, extra, heads = molecules(), np.arange(12, 18), heads_of_a_teacher()

    def gap(extra):
        predictor, _ = trained(table, replace(LESSON, ke=5.0, te=0.0, epochs=20), tmp_path, heads=heads, extra=extra)
        (tmp_path / "x.ckpt").unlink()
        batch = next(iter(table.loader(predictor.student, np.arange(12, 18), batch_size=6, shuffle_seed=None)))
        predictor.eval()
        known = known_answers(heads, batch.atoms)
        with torch.no_grad():
            terms = knowledge_enhancer(heads, predictor(batch.graphs)[0], batch.features, known)
        return float(sum(terms.values()))

    assert gap(extra) < 0.8 * gap(None)


def test_a_student_that_knows_something_begins_at_the_best_linear_guess(tmp_path):
    table, predictor = molecules(), new_predictor("regression")
    rows = np.arange(18)
    fresh = copy.deepcopy(predictor.state_dict())
    assert common_scale(predictor, table, rows[:0], knows=True) is None
    common_scale(predictor, table, rows, knows=False)
    assert all(torch.equal(value, fresh[name]) for name, value in predictor.state_dict().items())
    scale = common_scale(predictor, table, rows, knows=True)
    predictor.eval()
    batch = next(iter(table.loader(predictor.student, rows, batch_size=18, shuffle_seed=None)))
    with torch.no_grad():
        embedded, guess = predictor.student(batch.graphs).double().numpy(), predictor(batch.graphs)[0].numpy()
    unit = embedded.std(axis=0).clip(1e-6)
    wanted = scale(torch.from_numpy(table.features)).double().numpy()
    referee = Ridge(alpha=0.1 * 18).fit(embedded / unit, wanted)
    np.testing.assert_allclose(guess, referee.predict(embedded / unit), atol=1e-3)
    changed = {name for name, value in predictor.state_dict().items() if not torch.equal(value, fresh[name])}
    assert changed == {"project.weight", "project.bias"}


def test_they_meet_at_roots_where_the_student_has_learned_before():
    start = find_start("default", "gin")
    assert [resolved(FitRecipe(), begin).space for begin in (None, start)] == ["raw", "roots"]
    assert resolved(FitRecipe(space="roots"), None).space == "roots"
    assert resolved(PRESETS["paper"], None).space == "raw"


def test_student_and_teacher_meet_where_they_are_told(tmp_path):
    """Raw, as in the paper; at roots of these molecules; or where the student has met this teacher before."""
    table, heads, curves = molecules(), heads_of_a_teacher(), {}
    known = FeatureScale.of(table.features * 100)
    for name, space, scale in (("raw", "raw", known), ("roots", "roots", None), ("before", "roots", known)):
        lesson = replace(LESSON, space=space, lr=1e-9, epochs=1, norms="kept")
        predictor = new_predictor("regression")
        project, rows = predictor.project.weight.clone(), np.arange(12)
        options = {"heads": heads, "checkpoint": tmp_path / name, "tick": lambda *_: None, "scale": scale}
        curve = train_student(predictor, table, rows, rows, lesson, **options).curve[0]
        curves[name] = curve["ke_property"]
        assert torch.allclose(predictor.project.weight, project, atol=1e-6) == (name != "roots")
    assert curves["roots"] < 0.6 * curves["raw"]
    assert curves["roots"] < 0.1 * curves["before"]


def test_pictures_of_no_weight_change_nothing(tmp_path):
    table, rows, found = molecules(), np.arange(12), []
    lesson = replace(LESSON, space="roots", norms="kept", ke=0.0, te=0.0, epochs=2)
    for some in (table, table._replace(features=np.zeros((18, 0), np.float32))):
        options = {"heads": None, "checkpoint": tmp_path / str(len(found)), "tick": lambda *_: None}
        found.append(train_student(new_predictor("regression"), some, rows, rows, lesson, **options).weights)
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


def test_the_judge_believes_no_feature_beyond_what_it_has_seen():
    """One that sleeps in the labelled molecules may be awake in those that learn along."""
    rng = np.random.default_rng(0)
    seen = rng.normal(size=(50, 3)).astype(np.float32)
    seen[:, 2] *= 1e-6
    judge = FeatureJudge(seen, 1)
    plain = judge.linear((torch.from_numpy(seen) - judge.mean) / judge.std)
    assert torch.equal(judge(torch.from_numpy(seen)), plain)
    assert judge(torch.tensor([[0.0, 0.0, 1.0]])).abs() < 10
    assert set(judge.state_dict()) == {"mean", "std", "linear.weight", "linear.bias"}


def test_without_a_labelled_picture_nobody_judges(tmp_path):
    table = molecules()
    table.features[:12] = np.nan
    _, result = trained(table, LESSON, tmp_path, heads=heads_of_a_teacher(), extra=np.arange(12, 18))
    assert "te" not in result.curve[-1]
    assert "ke_atom" in result.curve[-1]


# The prior questions without any picture


def test_answers_need_no_conformer_and_are_those_of_the_conformer(tmp_path, monkeypatch):
    keys = [canonical(parse(text)) for text in [*SMILES, "C" * 1200]]
    monkeypatch.setattr(questions, "conformer", None)
    rows = np.arange(len(keys))
    found = answered(keys, rows, (*FLAT, "shape"), given={}, embed=False, folder=tmp_path)
    raw = [priors(parse(key), conformer(parse(key))) for key in keys[:-1]]
    for name in ("atom", "bond", "property"):
        wanted = np.stack([one[name].values for one in raw])
        varies = wanted.std(axis=0) > 1e-6
        wanted = (wanted - wanted.mean(axis=0)) / np.where(varies, wanted.std(axis=0), 1)
        values, known = found[name]
        np.testing.assert_allclose(values[:-1], wanted, atol=1e-4)
        assert known[:-1].all(axis=0).tolist() == varies.tolist()
        assert not known[-1].any()  # too large to be drawn
    counts = np.stack([substructure_prior(parse(key)).values for key in keys[:-1]])
    assert found["substructure"][1][0].tolist() == (counts.std(axis=0) > 1e-6).tolist()
    assert not found["shape"][1].any()
    given = {key: conformer(parse(key)) for key in keys[7:10]}
    values, known = answered(keys, rows, ("shape",), given=given, embed=False, folder=tmp_path)["shape"]
    assert known.any(axis=1).nonzero()[0].tolist() == [7, 8, 9]
    some = answered(keys, rows[:3], FLAT, given={}, embed=False, folder=tmp_path)["atom"][1]
    assert not some[3:].any()  # of those that do not learn nothing is known


def test_fit_with_priors_draws_nothing_and_says_so(table, tmp_path, monkeypatch):
    for name in ("pictures.embed.ImageTeacher", "fitting.steps.load_teacher", "pictures.artists.conformer"):
        monkeypatch.setattr(f"iem.workflows.{name}", None)
    metrics = iem.fit(table, out=tmp_path / "model", teacher="priors", compare=True, ke=0.5, **QUICK)
    assert "the prior questions" in metrics["difference"]["verdict"]
    assert "pictures" not in metrics["difference"]["verdict"]
    words = words_of(tmp_path / "model")
    assert (
        "No picture was used: the student was asked the prior questions (atom, bond, property, substructure)" in words
    )
    assert "of weight 0.5" in words
    assert "with priors" in words
    assert "without priors" in words
    assert "Did the prior questions help?" in words
    run = json.loads((tmp_path / "model" / "run.json").read_text())
    assert (run["teacher"], run["te"]) == ("priors", 0.0)
    plain = iem.fit(table, out=tmp_path / "plain", teacher="none", **QUICK)
    assert metrics["without_teacher"] == plain["test"] != metrics["test"]
    others = pd.DataFrame({"smiles": OTHERS})
    off = iem.fit(table, out=tmp_path / "off", teacher="priors", ke=0, unlabelled=others, **QUICK)
    assert off["test"] == plain["test"]  # nothing of the others reaches a student to whom they say nothing


# The way of training


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_an_interrupted_training_ends_like_an_unbroken_one_whatever_its_schedule(tmp_path, monkeypatch, task):
    lesson = replace(LESSON, task=task, ramp=6.5, ke_scale="unit", schedule="one-cycle", average=7)
    if task == "classification":
        lesson = replace(lesson, class_weights="balanced", schedule="cosine")
    table = molecules(positives=3 if task == "classification" else None)
    options = {"heads": heads_of_a_teacher(), "extra": np.arange(12, 18)}
    (tmp_path / "whole").mkdir()
    (tmp_path / "broken").mkdir()
    _, whole = trained(table, lesson, tmp_path / "whole", **options)
    original, rates = loop.Curve.on_train_epoch_end, []

    def kill(self, trainer, module):
        rates.append(trainer.optimizers[0].param_groups[0]["lr"])
        if len(rates) == 7:
            raise KeyError
        original(self, trainer, module)

    monkeypatch.setattr(loop.Curve, "on_train_epoch_end", kill)
    with pytest.raises(KeyError):
        trained(table, lesson, tmp_path / "broken", **options)
    _, broken = trained(table, lesson, tmp_path / "broken", **options)
    assert len(rates) == 7 + 3  # on from epoch 5
    assert broken.curve == whole.curve
    assert all(torch.equal(value, broken.weights[name]) for name, value in whole.weights.items())
    assert rates[5] == rates[7]
    assert rates[-1] < lesson.lr / 100 < lesson.lr / 2 < rates[0]


@pytest.mark.parametrize("norms", ["kept", "batch"])
def test_a_student_may_train_as_it_predicts(tmp_path, monkeypatch, norms):
    """Kept: the statistics of the beginning, no dropout, so a step descends the very loss that prediction has."""
    lesson = replace(LESSON, ke=0.0, te=0.0, norms=norms, epochs=1, lr=1e-4)
    table, losses, original = molecules(), [], Distillation.training_step

    def step(self, batch, number):
        loss = original(self, batch, number)
        predictor = copy.deepcopy(self.predictor).eval()
        logits = predictor(batch.graphs)[1]
        losses.append((loss, task_loss(logits, predictor.standardise(batch.labels), "regression")))
        return loss

    monkeypatch.setattr(Distillation, "training_step", step)
    _, found = trained(table, lesson, tmp_path, dropout=0.5)
    before = new_predictor("regression").state_dict()
    same = {name: torch.equal(before[name], found.weights[name]) for name in before if name.startswith("student.")}
    running = [name for name in same if name.endswith(("running_mean", "running_var"))]
    assert running
    assert all(same[name] == (norms == "kept") for name in running)
    assert not any(same[name] for name in same if name.endswith("norms.0.weight"))
    near = [float(loss.detach()) == pytest.approx(float(wanted.detach()), rel=1e-5) for loss, wanted in losses]
    assert all(near) == (norms == "kept")


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_what_is_kept_is_the_moving_average_of_the_weights(tmp_path, monkeypatch, steps):
    lesson = replace(LESSON, te=0.25, norms="batch", average=steps)
    path, kept, original, keep = [], {}, Distillation.on_train_batch_end, loop.Best.keep

    def step(self, *arguments):
        path.append({name: tensor.detach().clone() for name, tensor in self.predictor.state_dict().items()})
        return original(self, *arguments)

    def put_aside(self, module):
        kept[len(path)] = {name: tensor.clone() for name, tensor in module.steady.state_dict().items()}
        keep(self, module)

    monkeypatch.setattr(Distillation, "on_train_batch_end", step)
    monkeypatch.setattr(loop.Best, "keep", put_aside)
    _, found = trained(molecules(), lesson, tmp_path, heads=heads_of_a_teacher())
    last, decay = max(kept), 1 - 1 / max(steps, 1)
    assert all(torch.equal(found.weights[name], tensor) for name, tensor in kept[last].items())
    learned = [name for name, _ in new_predictor("regression").named_parameters()]
    for name in learned:
        expected = path[0][name]
        for later in path[1:last]:
            expected = decay * expected + (1 - decay) * later[name]
        torch.testing.assert_close(found.weights[name], expected, rtol=1e-4, atol=1e-6)
    others = set(path[0]) - set(learned)
    assert {"student.atoms.starts", "student.norms.0.running_var", "mean"} <= others
    for name in others:
        assert torch.equal(found.weights[name], path[last - 1][name]), name
    assert not torch.equal(path[0]["project.weight"], path[-1]["project.weight"])


def test_a_student_that_cannot_be_copied_is_told_what_to_do(tmp_path):
    predictor = new_predictor("regression")
    predictor.student.lock = threading.Lock()
    table, rows = molecules(), np.arange(12)
    options = {"heads": None, "checkpoint": tmp_path / "x.ckpt", "tick": lambda *_: None}
    with pytest.raises(ContractError, match=r"cannot be copied.*say --average 0"):
        train_student(predictor, table, rows, rows, replace(LESSON, average=10), **options)
    train_student(predictor, table, rows, rows, replace(LESSON, average=0, epochs=1), **options)


def test_the_weights_grow_linearly_and_those_of_labels_do_not(tmp_path, monkeypatch):
    seen, original = [], loop.weigh
    monkeypatch.setattr(loop, "weigh", lambda terms, weights: (seen.append(weights), original(terms, weights))[1])
    trained(molecules(extra=0), replace(LESSON, ramp=2, epochs=3, te=0.25), tmp_path, heads=heads_of_a_teacher())
    assert [weights["ke_atom"] for weights in seen] == pytest.approx([0.5 * min(1, step / 6) for step in range(9)])
    assert [weights["te"] for weights in seen] == pytest.approx([0.25 * min(1, step / 6) for step in range(9)])
    assert {weights["task"] for weights in seen} == {weights["judge"] for weights in seen} == {1.0}


def test_prior_questions_count_with_their_weight_where_the_answer_is_known(tmp_path, monkeypatch):
    seen, original = [], loop.weigh
    monkeypatch.setattr(loop, "weigh", lambda *both: (seen.append(both), original(*both))[1])
    values, known = np.ones((18, 2), np.float32), np.ones((18, 2), bool)
    values[:, 1], known[:, 1] = 1e6, False
    lesson = replace(LESSON, ke=0.0, te=0.0, priors=0.5, epochs=1)
    trained(molecules()._replace(answers={"bond": (values, known)}), lesson, tmp_path)
    for terms, weights in seen:
        assert weights == {"task": 1.0, "prior_bond": 0.5}
        assert 0.1 < terms["prior_bond"] < 10, "about one: the distance of what knows nothing to an answer of one"


def test_without_two_classes_the_likelihood_orders_the_epochs():
    told = {}
    for outputs in ([0.9, 0.8], [0.6, 0.5]):
        ending = SimpleNamespace(lesson=replace(LESSON, task="classification"), log=told.__setitem__)
        ending.outputs, ending.truths = [torch.tensor([[value] for value in outputs])], [torch.ones(2, 1)]
        loop.Distillation.on_validation_epoch_end(ending)
        assert told["valid/score"] == pytest.approx(np.log(outputs).mean())
        assert ending.outputs == ending.truths == []


def test_a_molecule_that_is_left_over_does_not_learn_alone():
    """Batch normalisation cannot learn from one atom; what is only looked at is looked at whole."""
    student, table = build_student(STUDENT, dropout=0.0), molecules()
    for seed, sizes in ((0, [8]), (None, [8, 1])):
        loader = table.loader(student, np.arange(9), batch_size=8, shuffle_seed=seed)
        assert [len(batch.labels) for batch in loader] == sizes


def test_positives_weigh_as_much_as_negatives():
    labels = np.array([[1, 1], [0, 1], [0, np.nan], [0, 1], [np.nan, 1]])
    weights = positive_weights(labels)
    assert weights.tolist() == [3, 1]
    logits = torch.tensor([[0.3], [-1.0], [2.0], [0.1], [0.7]])
    truth = torch.from_numpy(labels[:, :1]).float()
    three = task_loss(logits[[0, 0, 0, 1, 2, 3]], truth[[0, 0, 0, 1, 2, 3]], "classification")
    assert task_loss(logits, truth, "classification", weights[:1]) * 4 == pytest.approx(float(three) * 6)


def test_balanced_classes_raise_the_chances_of_the_rare_one(tmp_path):
    table, lesson = molecules(positives=2), replace(LESSON, task="classification", ke=0.0, te=0.0, epochs=3)
    means = []
    for name in ("none", "balanced"):
        predictor, _ = trained(table, replace(lesson, class_weights=name), tmp_path)
        (tmp_path / "x.ckpt").unlink(missing_ok=True)
        means.append(outputs_of(predictor, table, np.arange(12)).mean())
    assert means[1] > means[0] + 0.1


def test_every_prior_weighs_alike_in_units_of_the_teachers_answers(tmp_path):
    heads, table = heads_of_a_teacher(), molecules()
    features, atoms = torch.from_numpy(table.features), torch.from_numpy(table.atoms)
    known = known_answers(heads, atoms)
    units = answer_units(heads, features, known)
    for name, head in heads.items():
        answers = head(features).numpy()
        there = known[name].numpy() if name in known else np.ones_like(answers, dtype=bool)
        masked = np.ma.masked_array(answers, ~there)
        assert units[name] == pytest.approx(float(np.abs(masked - masked.mean(axis=0)).mean()), rel=1e-4)
    student = torch.from_numpy(np.random.default_rng(1).random((18, 512), dtype=np.float32))
    raw, scaled = (knowledge_enhancer(heads, student, features, known, chosen) for chosen in (None, units))
    for name in heads:
        torch.testing.assert_close(scaled[name], raw[name] / units[name])
    curves = {}
    for scale in ("none", "unit"):
        lesson = replace(LESSON, te=0.0, lr=1e-9, epochs=1, ke_scale=scale)
        curves[scale] = trained(table, lesson, tmp_path, heads=heads, extra=np.arange(12, 18))[1].curve[0]
    for name in heads:
        assert curves["unit"][f"ke_{name}"] == pytest.approx(curves["none"][f"ke_{name}"] / units[name], rel=0.01)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"teacher_view": "4d"}, "--teacher-view is '4d', but it must be one of 3d, 2d, flat"),
        ({"image_fraction": 0}, "--image-fraction is 0, but it must be more than 0 and at most 1"),
        ({"image_fraction": 0.5, "teacher": "priors"}, "--teacher priors shows no pictures; leave out one of the two"),
        ({"te": 0.5, "teacher": "priors"}, "--te is 0.5, but --teacher priors shows no pictures to judge"),
        ({"space": "raw", "teacher": "none"}, "--space is 'raw', but --teacher none shows no pictures"),
        ({"space": "half-way"}, "--space is 'half-way', but it must be one of roots, raw"),
        ({"ke_scale": "unit", "teacher": "priors"}, "--ke-scale is 'unit', but --teacher priors shows no pictures"),
        ({"schedule": "cosin"}, "--schedule is 'cosin', but it must be one of constant, one-cycle, cosine"),
    ],
)
def test_options_that_cannot_be_meant(table, tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        iem.fit(table, out=tmp_path / "model", **options)


def test_training_stops_when_patience_is_at_an_end(table, tmp_path, monkeypatch):
    epochs = []

    def count(*arguments, **options):
        trained = train_student(*arguments, **options)
        epochs.append(len(trained.curve))
        return trained

    monkeypatch.setattr(trainings, "train_student", count)
    options = QUICK | {"epochs": 12, "teacher": "none", "lr": 10.0}  # after which little gets better
    for patience in (0, 1):
        iem.fit(table, out=tmp_path / str(patience), patience=patience, **options)
    assert epochs[0] == 12
    assert epochs[1] < 12


@pytest.fixture(scope="module")
def beginning(tmp_path_factory):
    """A student with weights of its own, as ``iem teach`` leaves one."""
    torch.manual_seed(7)
    predictor = Predictor(build_student(QUICK["student"], dropout=0.0), tasks=1, task="regression")
    kept = {name: value for name, value in predictor.state_dict().items() if name.startswith(("student.", "project."))}
    card = {"student": QUICK["student"], "teacher": None, "corpus": {"molecules": 25}, "recipe": {"visits": 48}}
    folder = tmp_path_factory.mktemp("beginning")
    artifact.save(folder, kept, card, kind="student")
    return folder


def test_a_student_begins_where_it_is_told_with_and_without_a_teacher(table, both, beginning, tmp_path, monkeypatch):
    begun = []

    def look(predictor, *arguments, **options):
        begun.append(predictor.state_dict()["student.atoms.table.weight"].clone())
        return train_student(predictor, *arguments, **options)

    monkeypatch.setattr(trainings, "train_student", look)
    metrics = iem.fit(table, out=tmp_path / "one", teacher=str(both), compare=True, start=str(beginning), **QUICK)
    wanted = artifact.load(beginning, kind="student")[0]["student.atoms.table.weight"]
    assert len(begun) == 2
    assert all(torch.equal(some, wanted) for some in begun)
    assert "without_teacher" in metrics
    settings = json.loads((tmp_path / "one" / "run.json").read_text())
    assert settings["start"] == artifact.read_card(beginning, kind="student")["digest"][:16]
    assert (settings["lr"], settings["norms"]) == (3e-4, "kept")
    report = (tmp_path / "one" / "report.html").read_text()
    assert "with what it learned from the prior questions alone on 25 molecules without labels" in report

    begun.clear()
    iem.fit(table, out=tmp_path / "two", teacher="none", start="none", **QUICK)
    assert not torch.equal(begun[0], wanted)
    settings = json.loads((tmp_path / "two" / "run.json").read_text())
    assert (settings["lr"], settings["norms"]) == (1e-3, "batch")
    with pytest.raises(ConfigError, match=r"--norms is 'kept', but a student with fresh weights has no statistics"):
        iem.fit(table, out=tmp_path / "three", teacher="none", start="none", norms="kept", **QUICK)
    with pytest.raises(ConfigError, match=r"--start is 'none', but .* holds a run with"):
        iem.fit(table, out=tmp_path / "one", teacher=str(both), compare=True, start="none", **QUICK)


def test_a_start_that_is_another_students_is_refused(table, beginning, tmp_path):
    with pytest.raises(ConfigError, match="it holds the student gin:width=16,layers=2; say --student"):
        iem.fit(table, out=tmp_path / "out", start=str(beginning), **(QUICK | {"student": "gin:width=8"}))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "width"), [({}, 300), ({"hidden": 7}, 7), ({"hidden": 0}, 0), ({"preset": "paper"}, 0)]
)
def test_a_hidden_layer_lies_before_the_predictions_unless_it_is_taken_away(options, width, table, tmp_path):
    iem.fit(table, out=tmp_path / "model", teacher="none", start="none", trees="none", **QUICK | options)
    head = iem.load(tmp_path / "model").predictors[0].head
    assert [layer.out_features for layer in head.modules() if isinstance(layer, torch.nn.Linear)] == [
        *[width] * bool(width),
        1,
    ]
    written = pd.read_csv(tmp_path / "model" / "predictions.csv")
    read = iem.load(tmp_path / "model").predict(list(written["smiles"]))
    column = next(name for name in written if "predict" in name)
    np.testing.assert_allclose(read["size"], written[column], rtol=1e-5)


def test_the_paper_reads_atoms_out_in_its_own_way(table, tmp_path):
    words = {name: value for name, value in QUICK.items() if name != "student"}
    for preset, student in (("default", "gin:readout=mean+norm"), ("paper", "gin")):
        iem.fit(table, out=tmp_path / preset, teacher="none", trees="none", preset=preset, **words)
        assert json.loads((tmp_path / preset / "run.json").read_text())["student"] == student


def test_a_layer_of_less_than_nothing_is_refused(table, tmp_path):
    with pytest.raises(ConfigError, match=r"--hidden is -1, but it must be a positive whole number or 0"):
        iem.fit(table, out=tmp_path / "model", hidden=-1, **QUICK)
    with pytest.raises(ConfigError, match=r"--hidden is 2.5, but it must be a positive whole number or 0"):
        iem.fit(table, out=tmp_path / "model", hidden=2.5, **QUICK)
