"""Gradient-boosted trees as a second opinion: scikit-learn is the referee, and the validation part chooses."""

import json
import pickle
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

import iem
from iem import IEMRegressor, artifact
from iem.chem.fingerprints import BITS, DESCRIPTORS, described, quick_descriptors
from iem.chem.molecules import parse
from iem.cli import main
from iem.data.tables import Table, read_table
from iem.errors import ArtifactError, ConfigError
from iem.records import Split
from iem.workflows.fitting import boosting
from iem.workflows.fitting.boosting import BOOSTING, askable, grown
from iem.workflows.fitting.joining import joined_of
from iem.workflows.inference import predicting
from iem.workflows.inference.model import Model
from iem.workflows.inference.trees import BLOCK, Trees, together
from iem.workflows.measures.baselines import fit_predict

QUICK: dict[str, Any] = {"teacher": "none", "split": "random", "jobs": 1}


@pytest.fixture(scope="module")
def freesolv() -> Table:
    return read_table("freesolv")


@pytest.fixture(scope="module")
def values(freesolv: Table) -> np.ndarray:
    return np.stack([described(parse(key)) for key in freesolv.keys])


def grown_on(freesolv: Table, values: np.ndarray, task: str, **settings: bool) -> tuple[Trees, np.ndarray]:
    """Trees for two targets, the second known for every third molecule."""
    column = freesolv.labels[:, 0]
    labels = np.column_stack([column, np.where(np.arange(len(column)) % 3 == 0, -column, np.nan)])
    if task == "classification":
        labels = np.where(np.isnan(labels), np.nan, labels > np.nanmedian(labels, axis=0))
    return grown(values, labels, task=task, **settings), labels


def test_of_a_single_active_trees_know_how_rare_it_is() -> None:
    """Above 10,000 rows scikit-learn sets some of each class aside, which one molecule cannot give."""
    rng = np.random.default_rng(0)
    values, labels = rng.random((10_001, 2)), np.zeros((10_001, 2))
    labels[7, 0] = 1
    chances = grown(values, labels, task="classification").outputs(values)
    assert chances[:, 0] == pytest.approx(1 / 10_001)
    assert (chances[:, 1] < 1e-6).all()
    twice = fit_predict("gb", values, labels, np.arange(10_001), task="classification", seed=0)
    assert twice == pytest.approx(labels.mean(axis=0) + 0 * labels)


@pytest.mark.parametrize("balanced", [False, True])
def test_chances_are_those_of_scikit_learn(freesolv: Table, values: np.ndarray, balanced: bool) -> None:
    trees, labels = grown_on(freesolv, values, "classification", balanced=balanced)
    assert len(values) > 2 * BLOCK
    for found, known in zip(trees.outputs(values).T, labels.T, strict=True):
        rows = ~np.isnan(known)
        oracle = HistGradientBoostingClassifier(random_state=0, class_weight="balanced" if balanced else None)
        oracle.fit(values[rows], known[rows])  # of all columns, also those that cannot be asked
        np.testing.assert_allclose(found, oracle.predict_proba(values)[:, 1], rtol=1e-9)


def test_values_are_those_of_scikit_learn(freesolv: Table, values: np.ndarray) -> None:
    trees, labels = grown_on(freesolv, values, "regression")
    for found, known in zip(trees.outputs(values).T, labels.T, strict=True):
        rows = ~np.isnan(known)
        oracle = HistGradientBoostingRegressor(random_state=0).fit(values[rows], known[rows])
        np.testing.assert_allclose(found, oracle.predict(values), rtol=1e-9)


def test_most_of_a_fingerprint_cannot_be_asked(values: np.ndarray) -> None:
    assert 20 < len(askable(values)) < len(values.T) / 4
    assert askable(np.ones((30, 5))).tolist() == [0]


def test_targets_with_one_class_or_no_label_have_no_trees(values: np.ndarray) -> None:
    some = values[:40]
    labels = np.column_stack([np.ones(40), np.zeros(40), np.full(40, np.nan), np.arange(40) % 2])
    outputs = grown(some, labels, task="classification").outputs(some)
    np.testing.assert_allclose(outputs[:, :3], np.tile([1, 0, 0.5], (40, 1)), atol=1e-8)
    bare = grown(some, labels[:, :3], task="classification")
    np.testing.assert_array_equal(bare.outputs(some), outputs[:, :3])


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("feature", lambda array: array + BITS + len(DESCRIPTORS)),
        ("left", lambda array: array - len(array)),
        ("right", lambda array: array[:-1]),
        ("root", lambda array: array + 10**6),
        ("target", lambda array: array + 1),
        ("offset", lambda array: np.zeros(3)),
        ("right", lambda array: np.zeros_like(array)),
        ("root", lambda array: array.astype(float)),
        ("value", lambda array: None),
    ],
)
def test_trees_come_back_whole_or_not_at_all(freesolv: Table, values: np.ndarray, name: str, change: Any) -> None:
    trees, _ = grown_on(freesolv, values[:, -len(DESCRIPTORS) :], "regression")
    sizes = {"features": len(DESCRIPTORS), "targets": 2}
    again = Trees.read(trees.arrays(), **sizes)
    np.testing.assert_array_equal(
        again.outputs(values[:, -len(DESCRIPTORS) :]), trees.outputs(values[:, -len(DESCRIPTORS) :])
    )
    broken = replace(trees, **{name: change(getattr(trees, name))}).arrays()
    with pytest.raises(ValueError, match="trees"):
        Trees.read({key: array for key, array in broken.items() if array is not None}, **sizes)


# What they are told


@given(st.randoms(use_true_random=False), st.sampled_from(range(642)))
def test_what_trees_are_told_does_not_depend_on_the_spelling(freesolv: Table, random: Any, row: int) -> None:
    mol = Chem.MolFromSmiles(freesolv.keys[row])
    order = list(range(mol.GetNumAtoms()))
    random.shuffle(order)
    other = parse(Chem.MolToSmiles(Chem.RenumberAtoms(mol, order), canonical=False))
    np.testing.assert_allclose(described(other), described(parse(freesolv.keys[row])), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "smiles", ["[H][H]", "*C(*)C", "[Na+].[Cl-]", "[Pt](Cl)(Cl)(N)N", "[He]", "C" * 400, "[2H]C", "B"]
)
def test_strange_molecules_have_numbers(smiles: str) -> None:
    found = described(parse(smiles))
    assert found.shape == (BITS + len(DESCRIPTORS),)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


def test_quick_descriptors_are_rdkits() -> None:
    from rdkit.Chem import Descriptors, rdMolDescriptors

    for smiles in ("CC(=O)Oc1ccccc1C(=O)O", "C[N+](C)(C)CCS", "FC(F)(F)c1ncc(Cl)cc1P(=O)(O)O"):
        mol = parse(smiles)
        known = Descriptors.CalcMolDescriptors(mol) | {
            f"MQN{place}": value for place, value in enumerate(rdMolDescriptors.MQNs_(mol), start=1)
        }
        wanted = [known[name] for name in DESCRIPTORS]
        np.testing.assert_allclose(quick_descriptors(mol), wanted, rtol=1e-6, atol=1e-6)


# Who predicts


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A network that has learned next to nothing, so that trees are welcome."""
    folder = tmp_path_factory.mktemp("trees") / "model"
    return folder, iem.fit("freesolv", out=folder, start="none", epochs=1, seeds=2, **QUICK)


def test_trees_join_where_validation_is_not_against_it(learned: tuple[Path, dict[str, Any]]) -> None:
    folder, metrics = learned
    assert metrics["together"]["joined"]
    assert metrics["together"]["valid"]["mean"] < metrics["valid"]["mean"]
    assert len(metrics["together"]["test"]["per_seed"]) == 2
    page = (folder / "report.html").read_text()
    assert metrics["together"]["verdict"] in page
    assert metrics["trees"]["difference"]["verdict"] in page

    rows = json.loads((folder / "splits.json").read_text())
    table = read_table("freesolv")
    told = {part: np.stack([described(parse(table.keys[row])) for row in rows[part]]) for part in ("train", "test")}
    oracle = HistGradientBoostingRegressor(random_state=0).fit(told["train"], table.labels[rows["train"], 0])
    trees = oracle.predict(told["test"])
    errors = trees - table.labels[rows["test"], 0]
    assert metrics["trees"]["test"]["mean"] == pytest.approx(np.sqrt((errors**2).mean()))
    model = Model(folder)
    inputs = model.inputs([table.smiles[row] for row in rows["test"]])
    networks = model.infer(inputs._replace(opinions=None)).mean[:, 0]
    alone = np.sqrt(((networks - table.labels[rows["test"], 0]) ** 2).mean())
    gap = metrics["trees"]["difference"]
    assert gap["mean"] == pytest.approx(alone - metrics["trees"]["test"]["mean"], rel=1e-4)
    assert gap["ahead"] is False, "a network of one epoch"
    predicted = pd.read_csv(folder / "predictions.csv").iloc[:, 3]
    np.testing.assert_allclose(predicted, (networks + trees) / 2, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(model.infer(inputs).mean[:, 0], predicted, rtol=1e-4, atol=1e-4)
    assert artifact.read_card(folder, kind="model")["test"] == metrics["together"]["test"]
    off = predicted - table.labels[rows["test"], 0]
    assert metrics["ensemble"]["mean"] == pytest.approx(np.sqrt((off**2).mean()), rel=1e-4)


def test_a_network_that_knows_better_predicts_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def astray(values: np.ndarray, labels: np.ndarray, **others: Any) -> Trees:
        return grown(values, 100 - labels, **others)

    monkeypatch.setattr(boosting, "grown", astray)
    metrics = iem.fit("freesolv", out=tmp_path / "model", start="none", epochs=1, **QUICK)
    assert not metrics["together"]["joined"]
    assert "test" not in metrics["together"], "the test part is scored once"
    assert "predicts alone" in (tmp_path / "model" / "report.html").read_text()
    assert Model(tmp_path / "model").trees is None
    assert "trees.value" not in artifact.load(tmp_path / "model", kind="model")[0]


@pytest.mark.parametrize(("off", "joined"), [(0.0, True), (1.9, True), (6.0, False), (np.nan, False)])
def test_the_burden_of_proof_is_on_no(off: float, joined: bool) -> None:
    """The network errs by one in either direction; the trees by ``off``, and at 1.9 their mean is a bit worse."""
    rng = np.random.default_rng(0)
    truth = np.full((60, 1), np.nan) if np.isnan(off) else rng.normal(size=(60, 1))
    rows = np.arange(30)
    study = SimpleNamespace(
        table=SimpleNamespace(labels=truth, targets=("y",)), split=Split(rows, rows, rows + 30), task="regression"
    )
    near, far = rng.choice([-1.0, 1.0], size=(2, 30, 1))
    networks = [SimpleNamespace(valid_outputs=truth[:30] + near, outputs=truth[30:] + near)]
    opinions = {"valid": truth[:30] + off * far, "test": truth[30:] + far}
    found = joined_of(study, networks, SimpleNamespace(opinions=opinions))
    assert found.joined == joined
    assert ("test" in found.metrics) == joined
    assert ("The model predicts the mean" in found.metrics["verdict"]) == joined


@pytest.mark.parametrize("right", [True, False])
def test_chances_join_chances_that_are_right(right: bool) -> None:
    """ROC-AUC is better where it is larger: trees that know the truth join, those that turn it round do not."""
    rng = np.random.default_rng(0)
    truth, rows = rng.integers(0, 2, size=(60, 1)).astype(float), np.arange(30)
    study = SimpleNamespace(
        table=SimpleNamespace(labels=truth, targets=("y",)), split=Split(rows, rows, rows + 30), task="classification"
    )
    chances = np.clip(0.3 + 0.4 * truth + rng.normal(scale=0.2, size=truth.shape), 0, 1)
    networks = [SimpleNamespace(valid_outputs=chances[:30], outputs=chances[30:])]
    told = truth if right else 1 - truth
    found = joined_of(study, networks, SimpleNamespace(opinions={"valid": told[:30], "test": told[30:]}))
    assert found.joined == right


def test_trees_may_stand_beside_or_stay_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    settings = {"start": "none", "epochs": 1, **QUICK}
    beside = iem.fit("freesolv", out=tmp_path / "beside", trees="beside", **settings)
    assert "together" not in beside
    assert beside["trees"]["name"] == BOOSTING
    assert beside["trees"]["difference"]["verdict"] in " ".join(capsys.readouterr().err.split())
    assert Model(tmp_path / "beside").trees is None
    assert main(["fit", "freesolv", "--out", str(tmp_path / "none"), "--trees", "none", "--start", "none", "--epochs=1",
                 "--teacher", "none", "--split", "random"]) == 0  # fmt: skip
    none = json.loads((tmp_path / "none" / "metrics.json").read_text())
    assert not {"trees", "together"} & none.keys()
    assert none["test"] == beside["test"]
    monkeypatch.setattr(boosting, "MOST_LABELS", 5)
    assert "trees" not in iem.fit("freesolv", out=tmp_path / "large", **settings)
    assert "is left out beyond" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(ConfigError, match="--trees is 'forest', but it must be one of auto, beside, none"):
        iem.fit("freesolv", out=tmp_path / "x", trees="forest", **settings)


def test_a_bad_row_has_no_opinion(learned: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: Any) -> None:
    folder, _ = learned
    (tmp_path / "some.smi").write_text("CCO\nC1CC\nc1ccccc1O\n" * 3)
    monkeypatch.setattr(predicting, "CHUNK", 2)
    for jobs in ("1", "2"):
        out = str(tmp_path / f"{jobs}.csv")
        assert main(["predict", str(folder), str(tmp_path / "some.smi"), "--out", out, "--jobs", jobs]) == 0
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()
    found = pd.read_csv(tmp_path / "1.csv")
    assert found["expt"].isna().tolist() == found["error"].notna().tolist()
    assert found["error"].notna().sum() == 3
    alone = [iem.load(folder).predict(smiles)["expt"].item() for smiles in ("CCO", "C1CC", "c1ccccc1O")]
    np.testing.assert_allclose(found["expt"], alone * 3, rtol=1e-4)
    assert iem.load(folder).predict(["C1CC"])["expt"].isna().all()


def test_damaged_trees_are_refused(learned: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    tensors, card = artifact.load(learned[0], kind="model")
    kept = {
        name: tensor for name, tensor in card.items() if name not in ("program", "kind", "schema", "digest", "versions")
    }
    artifact.save(
        tmp_path, {name: tensor for name, tensor in tensors.items() if name != "trees.left"}, kept, kind="model"
    )
    with pytest.raises(
        ArtifactError, match=r"the trees of .* are not complete \(no trees.left\); make the model again"
    ):
        Model(tmp_path)


def test_an_estimator_keeps_its_trees(freesolv: Table) -> None:
    smiles, labels = list(freesolv.smiles[:200]), freesolv.labels[:200, 0]
    estimator = IEMRegressor(teacher="none", start="none", split="random", epochs=1, jobs=1).fit(smiles, labels)
    assert estimator.metrics_["together"]["joined"]
    again = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(again.predict(smiles[:5]), estimator.predict(smiles[:5]))
    assert again._model is not None
    assert again._model.trees is not None
    alone = IEMRegressor(teacher="none", start="none", trees="none", split="random", epochs=1, jobs=1)
    assert "trees" not in alone.fit(smiles, labels).metrics_


def test_every_network_is_heard_as_much_as_the_trees() -> None:
    networks, trees = np.array([[[1.0]], [[3.0]]]), np.array([[6.0]])
    np.testing.assert_array_equal(together(networks, trees).ravel(), [3.5, 4.5])
