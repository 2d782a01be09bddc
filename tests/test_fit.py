"""``iem fit`` from a table to a model folder: what it writes, what it learns, and that nothing finished is lost."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

import iem
from iem import artifact
from iem.cli import main
from iem.errors import ConfigError
from iem.nn.heads import prior_heads
from iem.records import Split
from iem.students.base import STUDENTS
from iem.students.predictor import Predictor
from iem.workflows.distillation import loop
from iem.workflows.distillation.loop import Lesson, Molecules, outputs_of, train_student
from iem.workflows.fitting import boosting, finishing, steps
from iem.workflows.fitting.dividing import doubts
from iem.workflows.fitting.estimate import drawing_seconds
from iem.workflows.fitting.joining import better_of
from iem.workflows.pictures.embed import load_teacher
from iem.workflows.running import trainer

SMILES = [
    *(
        "CO",
        "CCO",
        "CCCO",
        "CC(C)O",
        "CCCCO",
        "CC(C)CO",
        "CCCCCO",
        "OCCO",
        "OCCCO",
        "CC(O)CO",
        "c1ccccc1O",
        "OCc1ccccc1",
    ),
    *("CC", "CCC", "CCCC", "CC(C)C", "CCCCC", "c1ccccc1", "Cc1ccccc1", "CCc1ccccc1", "C1CCCCC1", "C1CCCC1", "C=CC=C"),
    *("CN", "CCN", "CCCN", "NCCN", "Nc1ccccc1", "CC#N", "C[N+](=O)[O-]", "CS", "CCS", "CSC", "ClCCl", "CCCl", "BrCCBr"),
]
ALCOHOL = [int("O" in text and "N" not in text) for text in SMILES]


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    size = np.array([len(text) for text in SMILES]) + rng.normal(scale=0.1, size=len(SMILES))
    return pd.DataFrame({"smiles": SMILES, "alcohol": ALCOHOL, "size [Å]": size})


QUICK = {"split": "random", "epochs": 2, "batch_size": 8, "jobs": 1}


def test_fit_writes_everything_that_is_promised(table, teacher_folder, tmp_path, capsys):
    table.loc[3, "smiles"] = "C1CC"
    table.loc[5, "alcohol"] = np.nan
    out = tmp_path / "model"
    metrics = iem.fit(table, out=out, target=("alcohol",), teacher=teacher_folder, seeds=2, **QUICK)

    names = {path.name for path in out.iterdir()}
    assert names == {
        *("model.safetensors", "card.json", "metrics.json", "predictions.csv", "splits.json", "rejected.csv"),
        *("report.html", "run.json"),
    }
    assert metrics == json.loads((out / "metrics.json").read_text())
    assert (metrics["task"], metrics["metric"]) == ("classification", "roc_auc")
    assert metrics["rows"] == {"read": 36, "used": 34, "rejected": 2}
    for part in ("test", "valid", "without_teacher"):
        assert len(metrics[part]["per_seed"]) == 2
        assert list(metrics[part]["per_target"]) == ["alcohol"]
    assert {"mean", "ci95", "improved", "verdict"} <= metrics["difference"].keys()
    assert metrics["one_number"].keys() == {"name", "valid", "test", "verdict"}

    rejected = pd.read_csv(out / "rejected.csv")
    assert rejected.loc[rejected["row"] == 3, "reason"].item() == "unclosed ring"
    splits = json.loads((out / "splits.json").read_text())
    rows = splits["train"] + splits["valid"] + splits["test"]
    assert sorted(rows) == [row for row in range(36) if row not in (3, 5)]
    predictions = pd.read_csv(out / "predictions.csv")
    assert predictions["row"].tolist() == splits["test"]
    assert predictions["alcohol predicted"].between(0, 1).all()
    page = (out / "report.html").read_text()
    assert "<html" in page
    assert f"one number alone: {metrics['one_number']['name']}" in page
    assert metrics["one_number"]["verdict"] in page

    again = iem.load(out).predict(predictions["smiles"].tolist())
    np.testing.assert_allclose(again["alcohol"], predictions["alcohol predicted"], rtol=1e-4)
    assert capsys.readouterr().out == "", "results go to files, what is said to standard error"


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_labels_of_the_test_part_are_for_scores_alone(table, teacher_folder, tmp_path, task):
    """With others there the model is the same to the last bit: scales, class weights, pictures, trees and choices."""
    target = "alcohol" if task == "classification" else "size [Å]"
    table["part"] = np.resize(["train", "train", "valid", "test"], len(table))
    table["part"] = np.random.default_rng(0).permutation(table["part"])
    other, test = table.copy(), table["part"] == "test"
    other.loc[test, target] = 1 - table[target][test] if task == "classification" else table[target][test] + 1000
    options = {"target": (target,), "teacher": teacher_folder, **QUICK, "split": "part"}
    if task == "classification":
        options["class_weights"] = "balanced"
    found = [iem.fit(some, out=tmp_path / name, **options) for name, some in (("one", table), ("other", other))]
    assert found[0]["test"] != found[1]["test"]
    assert found[0]["valid"] == found[1]["valid"]
    one, two = (artifact.load(tmp_path / name, kind="model")[0] for name in ("one", "other"))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], tensor) for name, tensor in two.items())


@pytest.mark.parametrize("kept", ["with teacher", "without teacher"])
def test_the_students_that_validation_chose_predict(table, teacher_folder, tmp_path, monkeypatch, kept):
    others = {"with teacher": "test", "without teacher": "without_teacher"}

    def chosen(study, arms):
        assert list(arms) == list(others)
        return kept, "chosen"

    monkeypatch.setattr(finishing, "better_of", chosen)
    settings = {"target": ("size [Å]",), "teacher": teacher_folder, "trees": "none", **QUICK}
    metrics = iem.fit(table, out=tmp_path / "model", **settings)
    assert metrics["kept"] == {"arm": kept, "verdict": "chosen"}
    assert metrics["test"] != metrics["without_teacher"]
    gain = metrics["test"]["mean"] - metrics["without_teacher"]["mean"]
    assert metrics["difference"]["mean"] == pytest.approx(gain)
    predictions = pd.read_csv(tmp_path / "model" / "predictions.csv")
    errors = predictions["size [Å] predicted"] - predictions["size [Å]"]
    assert np.sqrt((errors**2).mean()) == pytest.approx(metrics[others[kept]]["mean"], rel=1e-4)
    again = iem.load(tmp_path / "model")
    assert again.card["test"] == metrics[others[kept]]
    found = again.predict(predictions["smiles"].tolist())["size [Å]"]
    np.testing.assert_allclose(found, predictions["size [Å] predicted"], rtol=1e-4)
    assert f"Test part, {kept}" in (tmp_path / "model" / "report.html").read_text()


@pytest.mark.parametrize(
    ("task", "taught", "plain", "kept"),
    [
        ("regression", [1.0, 3.0], [2.5, 1.0], "without"),
        ("regression", [1.0, 2.0], [2.5, 1.0], "with"),
        ("classification", [0.9, 0.6], [0.7, 0.7], "with"),
        ("classification", [0.6, 0.7], [0.7, 0.7], "without"),
        ("regression", [1.0, 2.0], [2.0, 1.0], "with"),
        ("classification", [np.nan, np.nan], [0.7, 0.7], "with"),
    ],
)
def test_the_better_mean_on_the_validation_part_is_kept(task, taught, plain, kept):
    arms = {"with": taught, "without": plain}
    results = {arm: [SimpleNamespace(valid=np.array([score])) for score in some] for arm, some in arms.items()}
    found, told = better_of(SimpleNamespace(task=task), results)
    assert found == kept
    assert f"trained {kept} predict" in told
    assert better_of(SimpleNamespace(task=task), {"alone": results["with"]}) == ("alone", "")


@pytest.mark.parametrize(
    ("settings", "both"),
    [
        ({}, True),
        ({"compare": False}, False),
        ({"teacher": "none"}, False),
        ({"teacher": "priors"}, True),
        ({"ke": 0.0, "te": 0.0}, False),
        ({"ke": 0.0, "te": "auto"}, True),
        ({"preset": "paper"}, False),
        ({"preset": "paper", "compare": True}, True),
    ],
)
def test_with_and_without_help_unless_there_is_none(tmp_path, monkeypatch, settings, both):
    monkeypatch.setattr(steps, "fit_table", lambda *_, **given: given)
    assert iem.fit("table.csv", out=tmp_path, **settings)["compare"] is both


@pytest.mark.parametrize(("words", "given"), [(["--compare"], True), (["--no-compare"], False), ([], True)])
def test_the_command_line_can_say_no(tmp_path, monkeypatch, words, given):
    seen = []
    monkeypatch.setattr(steps, "fit_table", lambda *_, compare, **others: seen.append(compare))
    assert main(["fit", "table.csv", "--out", str(tmp_path), *words]) == 0
    assert seen == [given]


def test_a_finished_fit_is_not_done_again(table, tmp_path, monkeypatch):
    settings = {"target": ("size [Å]",), "teacher": "none", **QUICK}
    first = iem.fit(table, out=tmp_path / "model", **settings)
    monkeypatch.setattr(steps, "train_all", None)
    assert iem.fit(table, out=tmp_path / "model", **settings) == first


@pytest.mark.parametrize(("device_has_it", "precision"), [(True, "bf16"), (False, "float32")])
def test_the_precision_that_the_device_decided_is_kept_with_the_run(
    table, tmp_path, monkeypatch, device_has_it, precision
):
    seen = []
    monkeypatch.setattr(trainer, "computes_in_bf16", lambda: device_has_it)

    def train_all(study, *_):
        seen.append(steps.new_predictor(study, 0).bf16)
        return [], []

    monkeypatch.setattr(steps, "train_all", train_all)
    monkeypatch.setattr(steps, "finish", lambda *_: {})
    settings = {"target": ("size [Å]",), "teacher": "none", "out": tmp_path / "model", **QUICK}
    iem.fit(table, **settings)
    assert seen == [precision == "bf16"]
    assert json.loads((tmp_path / "model" / "run.json").read_text())["precision"] == precision
    monkeypatch.setattr(trainer, "computes_in_bf16", lambda: not device_has_it)
    with pytest.raises(ConfigError, match="--precision"):
        iem.fit(table, **settings)


def weights(folder):
    return artifact.load(folder, kind="model")[0]


def test_an_interrupted_fit_goes_on_and_ends_like_an_unbroken_one(table, teacher_folder, tmp_path, monkeypatch):
    settings = {
        "target": ("size [Å]",),
        "teacher": teacher_folder,
        "seeds": 2,
        "compare": False,
        **QUICK,
        "epochs": 7,
        "precision": "bf16",
    }
    whole = iem.fit(table, out=tmp_path / "whole", **settings)

    class Killed(Exception):
        pass

    epochs = []
    original = loop.Curve.on_train_epoch_end

    def kill(self, trainer, module):
        epochs.append(trainer.current_epoch)
        if len(epochs) == 7 + 6:  # in the second training, after its checkpoint of epoch 5
            raise Killed
        original(self, trainer, module)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Curve, "on_train_epoch_end", kill)
        with pytest.raises(Killed):
            iem.fit(table, out=tmp_path / "broken", **settings)
    assert not (tmp_path / "broken" / "card.json").exists()
    seen = []
    with monkeypatch.context() as patch:
        patch.setattr(
            loop.Curve,
            "on_train_epoch_end",
            lambda self, trainer, module: (seen.append(trainer.current_epoch), original(self, trainer, module))[1],
        )
        broken = iem.fit(table, out=tmp_path / "broken", **settings)
    assert seen == [5, 6]  # the first training was kept, the second went on
    assert broken == whole
    first, second = weights(tmp_path / "whole"), weights(tmp_path / "broken")
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_other_settings_in_the_same_folder_are_refused(table, tmp_path):
    settings = {"target": ("size [Å]",), "teacher": "none", **QUICK}
    iem.fit(table, out=tmp_path / "model", **settings)
    with pytest.raises(iem.IEMError, match=r"--lr is 0\.1, but .* holds a run with 0\.0003"):
        iem.fit(table, out=tmp_path / "model", lr=0.1, **settings)


def test_a_split_column_is_obeyed_and_is_no_target(table, tmp_path):
    table["fold"] = ["train"] * 24 + ["valid"] * 6 + ["test"] * 6
    iem.fit(table, out=tmp_path, target=("size [Å]",), teacher="none", **{**QUICK, "split": "fold"})
    splits = json.loads((tmp_path / "splits.json").read_text())
    assert splits["test"] == list(range(30, 36))


def molecules(count=8, dim=512):
    from iem.chem.molecules import parse

    featurize = STUDENTS.build("gin").featurize
    rng = np.random.default_rng(0)
    labels = np.array([[len(text)] for text in SMILES[:count]], dtype=float)
    features = rng.random((count, dim), dtype=np.float32)
    atoms = np.array([parse(text).GetNumHeavyAtoms() for text in SMILES[:count]])
    return Molecules([featurize(parse(text)) for text in SMILES[:count]], labels, features, atoms)


LESSON = Lesson(task="regression", epochs=120, batch_size=8, lr=3e-3, patience=None, ke=0, te=0, te_head="own", seed=0)


def trained(table, lesson, heads, tmp_path):
    torch.manual_seed(0)
    predictor = Predictor(STUDENTS.build("gin", dropout=0.0), tasks=1, task="regression")
    rows = np.arange(len(table.graphs))
    predictor.fit_scale(table.labels)
    result = train_student(
        predictor, table, rows, rows, lesson, heads=heads, checkpoint=tmp_path / "x.ckpt", tick=lambda *_: None
    )
    predictor.load_state_dict(result.weights)
    return predictor, result


def test_the_student_overfits_eight_alcohols(tmp_path):
    table = molecules()
    predictor, result = trained(table, LESSON, None, tmp_path)
    errors = outputs_of(predictor, table, np.arange(8)) - table.labels
    assert np.abs(errors).max() < 0.3
    assert result.curve[-1]["task"] < 0.05 * result.curve[0]["task"]


@pytest.mark.parametrize("killed_after", [None, 7])  # when it had no epoch to go; between two checkpoints
def test_an_early_stop_and_what_was_said_of_each_epoch_survive_a_kill(tmp_path, monkeypatch, killed_after):
    lesson = replace(LESSON, lr=0.1, patience=3)  # at which an epoch is as good as another
    if killed_after is None:
        monkeypatch.setattr(loop, "SAVED", 1)
    told, table, rows = [], molecules(), np.arange(8)

    def train(until=None):
        torch.manual_seed(0)
        predictor = Predictor(STUDENTS.build("gin", dropout=0.0), tasks=1, task="regression")
        predictor.fit_scale(table.labels)
        told.clear()

        def tick(epoch, score):
            told.append((epoch, score))
            if epoch == until:
                raise KeyboardInterrupt

        path = tmp_path / "state.ckpt"
        return train_student(predictor, table, rows, rows, lesson, heads=None, checkpoint=path, tick=tick)

    whole, wanted = train(), list(told)
    assert 7 < len(wanted) < lesson.epochs
    if killed_after is not None:
        (tmp_path / "state.ckpt").unlink()
        with pytest.raises(KeyboardInterrupt):
            train(killed_after)
    again = train()
    assert told == wanted
    assert again.curve == whole.curve
    assert all(torch.equal(whole.weights[name], value) for name, value in again.weights.items())


@pytest.mark.parametrize("te_head", ["own", "shared"])
def test_the_student_learns_to_answer_like_the_teacher(te_head, tmp_path):
    table = molecules()
    torch.manual_seed(1)
    heads = prior_heads(512, {"atom": 19, "bond": 4, "geometry": 60, "property": 8}).requires_grad_(False)
    before = {name: value.clone() for name, value in heads.state_dict().items()}
    lesson = replace(LESSON, ke=1.0, te=1.0, te_head=te_head, epochs=60)
    _, result = trained(table, lesson, heads, tmp_path)
    first, last = result.curve[0], result.curve[-1]
    for term in ("ke_atom", "ke_bond", "ke_geometry", "ke_property"):
        assert last[term] < 0.7 * first[term]
    assert "te" in last
    assert ("judge" in last) == (te_head == "own"), "the head of its own learns from the labels"
    assert all(torch.equal(before[name], value) for name, value in heads.state_dict().items())


def test_molecules_without_a_picture_still_learn_their_labels(tmp_path):
    table = molecules()
    table.features[::2] = np.nan
    heads = prior_heads(512, {"atom": 19, "bond": 4, "geometry": 60, "property": 8}).requires_grad_(False)
    predictor, _ = trained(table, replace(LESSON, ke=0.1, te=0.1), heads, tmp_path)
    errors = outputs_of(predictor, table, np.arange(8)) - table.labels
    assert np.abs(errors).max() < 0.5


def test_a_table_without_a_single_picture_is_learned_from_its_labels(tmp_path):
    table = molecules()
    table.features[:] = np.nan
    heads = prior_heads(512, {"atom": 19, "bond": 4, "geometry": 60, "property": 8}).requires_grad_(False)
    predictor, result = trained(table, replace(LESSON, ke=0.1, te=0.1), heads, tmp_path)
    assert np.isfinite(outputs_of(predictor, table, np.arange(8))).all()
    assert "te" not in result.curve[-1]


def test_time_is_estimated_where_one_molecule_is_new(teacher_folder):
    guide = iem.load_teacher(teacher_folder)
    assert guide.features([])[0].shape == (0, guide.teacher.dim)
    assert drawing_seconds(guide, ["CCCCCCCCCCCCCBr"], {}, 1) == 0


def test_embedding_has_nan_rows_for_what_cannot_be_drawn(teacher_folder):
    teacher = load_teacher(teacher_folder)
    features = teacher.embed(["CCO", "C1CC", "OCC"], jobs=1)
    assert features.shape == (3, 512)
    assert features.dtype == np.float32
    assert np.isnan(features[1]).all()
    np.testing.assert_array_equal(features[0], features[2])
    np.testing.assert_array_equal(features, teacher.embed(["CCO", "C1CC", "OCC"], jobs=1))


def test_no_column_of_the_predictions_takes_the_place_of_another(tmp_path):
    targets = ["row", "y", "y predicted"]
    labels = np.arange(6.0).reshape(2, 3)
    table = SimpleNamespace(rows=np.array([7, 8]), smiles=["CCO", "CCN"], targets=targets, labels=labels)
    finishing.write_predictions(tmp_path / "p.csv", table, np.array([0, 1]), 10 + labels[None])
    with (tmp_path / "p.csv").open() as file:
        names = file.readline().strip().split(",")
    expected = {"row": [7, 8], "smiles": ["CCO", "CCN"], "row label": [0, 3], "y": [1, 4], "y predicted": [2, 5]}
    expected |= {"row predicted": [10, 13], "y predicted 2": [11, 14], "y predicted predicted": [12, 15]}
    assert sorted(names) == sorted(expected)
    frame = pd.read_csv(tmp_path / "p.csv")
    assert {name: frame[name].tolist() for name in expected} == expected


def test_the_spread_of_the_predictions_is_that_of_a_sample_of_seeds(tmp_path):
    table = SimpleNamespace(rows=np.array([7]), smiles=["CCO"], targets=["y"], labels=np.array([[1.0]]))
    finishing.write_predictions(tmp_path / "p.csv", table, np.array([0]), np.array([[[1.0]], [[2.0]], [[6.0]]]))
    told = pd.read_csv(tmp_path / "p.csv").iloc[0]
    assert (told["y"], told["y predicted"]) == (1, 3)
    assert told["y std"] == pytest.approx(np.sqrt(7), rel=1e-5)


@pytest.mark.parametrize("weights", ["none", "balanced"])
def test_trees_weigh_classes_as_the_network_does(table, tmp_path, monkeypatch, weights):
    told, original = [], boosting.grown

    def grown(*given, balanced, **others):
        told.append(balanced)
        return original(*given, balanced=balanced, **others)

    monkeypatch.setattr(boosting, "grown", grown)
    iem.fit(table, out=tmp_path / "model", target=("alcohol",), teacher="none", class_weights=weights, **QUICK)
    assert told == [weights == "balanced"]


def test_a_split_that_says_less_than_it_seems_to_is_told():
    labels = np.array([[1, np.nan, 1], [1, 2, 1], [1, np.nan, 0], [0, 4, 1]])
    targets = ["one class", "none", "fine"]
    table = SimpleNamespace(keys=["C", "C", "CC", "CCC"], labels=labels, targets=targets, task="classification")
    shared, one, none = doubts(table, Split(np.array([0, 2]), np.array([1]), np.array([3])))
    assert shared.startswith("1 molecule in more than one part of the split")
    assert one.startswith("'one class' has only one class in the training part: nothing is learned of it")
    assert none.startswith("'none' has no label in the training part")
    assert not doubts(table, Split(np.array([0, 1, 2, 3]), np.array([], int), np.array([], int)))
