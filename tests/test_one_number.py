"""How far one number of a molecule goes: chosen and fitted on the training part, told beside every model."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import roc_auc_score

from iem.chem.molecules import parse
from iem.chem.splits import scaffold_split
from iem.data.tables import read_table
from iem.records import Split
from iem.workflows.measures.one_number import PROPERTIES, WRITING, OneNumber, beside, one_number


@pytest.fixture(scope="module")
def clintox(table_path):
    table_path("clintox")
    table = read_table("clintox")
    return table, scaffold_split(table.keys)


def test_clintox_is_told_by_charged_atoms_alone(clintox):
    """Its approved drugs are written as they are at pH 7, its toxic ones are not."""
    table, split = clintox
    found = one_number(table.keys, table.labels, split.train, "classification")
    assert found.name == "charged atoms"
    counts = [sum(atom.GetFormalCharge() != 0 for atom in parse(key).GetAtoms()) for key in table.keys]
    told = beside(found, table.labels, split, "classification", table.targets, 0.872)
    for part in ("valid", "test"):
        rows = getattr(split, part)
        approved, toxic = (roc_auc_score(table.labels[rows, target], np.array(counts)[rows]) for target in (0, 1))
        wanted = {"FDA_APPROVED": approved, "CT_TOX": 1 - toxic}
        assert {name: one["mean"] for name, one in told[part]["per_target"].items()} == pytest.approx(wanted)
    assert told["test"]["mean"] > 0.8
    assert told["verdict"].startswith("One number alone, charged atoms, has a test ROC-AUC of 0.8")
    assert "; the model has 0.872. It depends on how a molecule is written" in told["verdict"]


def test_values_follow_the_best_straight_line():
    table = read_table("freesolv")
    split = scaffold_split(table.keys)
    found = one_number(table.keys, table.labels, split.train, "regression")
    truth, lines = table.labels[:, 0], {}
    for name, count in (PROPERTIES | WRITING).items():
        values = np.array([[float(count(parse(key)))] for key in table.keys])
        model = LinearRegression().fit(values[split.train], truth[split.train])
        lines[name] = model.predict(values)
    errors = {name: np.square(line - truth)[split.train].mean() for name, line in lines.items()}
    assert found.name == min(errors, key=errors.get) == "polar surface (TPSA)"
    np.testing.assert_allclose(found.outputs[:, 0], lines[found.name])


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_nothing_beyond_the_training_part_is_looked_at(clintox, task):
    table, split = clintox
    labels = table.labels.copy()
    labels[split.test] = labels[split.valid] = 1 - labels[split.test] if task == "classification" else 1e6
    one, other = (one_number(table.keys, some, split.train, task) for some in (table.labels, labels))
    assert one.name == other.name
    np.testing.assert_array_equal(one.outputs, other.outputs)


def test_what_is_said_of_a_model():
    rows = np.arange(12)
    labels = np.tile([0.0, 1.0], 6)[:, None]
    split = Split(rows[:4], rows[4:8], rows[8:])
    told = {
        (name, model): beside(OneNumber(name, labels), labels, split, "classification", ["y"], model)["verdict"]
        for name in ("rings", "fragments")
        for model in (0.9, None)
    }
    assert told["rings", 0.9] == (
        "One number alone, rings, has a test ROC-AUC of 1.000, which the model does not reach: the model has 0.900."
    )
    assert "as a salt or not" in told["fragments", 0.9]
    assert told["rings", None] == told["fragments", None] == ""
    far = OneNumber("fragments", labels + 5)
    said = beside(far, labels, split, "regression", ["y"], 0.1)["verdict"]
    assert said.endswith("has a test RMSE of 5.000; the model has 0.100."), "further off than a mean: no reason to ask"
    none = beside(OneNumber("rings", labels), np.full_like(labels, np.nan), split, "regression", ["y"], 0.1)
    assert none["verdict"] == ""
    assert none["test"]["mean"] is None


def test_targets_without_labels_and_numbers_that_never_vary():
    keys, train = ["C", "CC", "CCC", "CCCC"], np.arange(3)
    labels = np.column_stack([[1.0, 2.0, 3.0, 4.0], np.full(4, np.nan)])
    found = one_number(keys, labels, train, "regression")
    assert found.name == "heavy atoms"
    np.testing.assert_allclose(found.outputs[:, 0], labels[:, 0])
    one_class = one_number(keys, np.ones((4, 1)), train, "classification")
    assert one_class.outputs.shape == (4, 1)
