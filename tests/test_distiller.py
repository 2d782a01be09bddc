"""The teacher in a training loop of one's own, and students of one's own in ours."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import iem
from iem.chem.molecules import canonical, parse
from iem.errors import ArtifactError, ConfigError, MoleculeError
from iem.losses.enhancers import knowledge_enhancer, task_enhancer, task_loss
from iem.students.base import Assembled
from iem.students.features import featurize
from iem.students.gnn import GIN

SMILES = [
    "CCO",
    "CCCO",
    "c1ccccc1O",
    "CC(=O)Oc1ccccc1C(=O)O",
    "CCN",
    "C1CCCCC1",
    "CC#N",
    "OCC(O)CO",
    "Clc1ccccc1",
    "CSC",
]
LABELS = torch.tensor([[float(len(text))] for text in SMILES]) / 10


def made(teacher_folder, **options):
    torch.manual_seed(0)
    options = {"dim": 16, "tasks": 1, "task": "regression", "ke": 0.5, "te": 0.25, "jobs": 1} | options
    return iem.Distiller(SMILES, teacher=str(teacher_folder), **options)


@pytest.fixture(scope="module")
def distiller(teacher_folder):
    return made(teacher_folder)


@pytest.mark.parametrize("space", ["raw", "roots"])
def test_five_lines_in_a_plain_loop(space):
    distiller = made("default", space=space)
    torch.manual_seed(0)
    net = GIN(width=16, layers=2, dropout=0.0)
    graphs = net.collate([featurize(parse(text)) for text in SMILES])
    optimizer = torch.optim.Adam([*net.parameters(), *distiller.parameters()], lr=0.01)
    curve = []
    for _ in range(60):
        loss = distiller(net(graphs), SMILES, LABELS)
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        curve.append(loss.parts)
    assert set(curve[0]) == {"task", "te", "judge", *(f"ke_{name}" for name in distiller.frozen[0])}
    for kind in ("task", "judge", "ke"):
        first, last = (
            sum(value for name, value in parts.items() if name.startswith(kind)) for parts in (curve[0], curve[-1])
        )
        assert last < 0.5 * first, kind
    assert distiller.logits(net(graphs)).shape == LABELS.shape


def test_it_shows_depictions_where_the_teacher_knows_them_and_what_it_is_told_to():
    for view, wanted in ((None, "2d"), ("flat", "flat"), ("3d", "3d")):
        seen = iem.load_teacher("default", view=wanted).embed(SMILES[:2], jobs=1)
        distiller = iem.Distiller(SMILES[:2], dim=16, tasks=1, task="regression", teacher_view=view, jobs=1)
        np.testing.assert_array_equal(distiller.features.numpy(), seen)
    with pytest.raises(iem.IEMError, match="teacher_view is '4d', but it must be one of 3d, 2d, flat"):
        iem.Distiller(SMILES[:2], dim=16, tasks=1, task="regression", teacher_view="4d")


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("space", ["raw", "roots"])
def test_the_terms_are_equations_5_to_8(teacher_folder, space, task):
    distiller = made(teacher_folder, space=space, task=task, tasks=2)
    torch.manual_seed(1)
    rows, features = [3, 0, 7], torch.randn(3, 16)
    labels = torch.tensor([[0.0, 1.0], [float("nan"), 0.0], [1.0, 1.0]])
    loss = distiller(features, [SMILES[row] for row in rows], labels)
    again = distiller(features, [canonical(parse(SMILES[row])) for row in rows], labels)
    assert again.parts == loss.parts, "a molecule is the same however it is written"
    teacher = iem.load_teacher(teacher_folder)
    seen = torch.from_numpy(teacher.embed([SMILES[row] for row in rows], jobs=1))
    projected = met = distiller.project(features)
    judged = seen
    if space == "roots":
        every = torch.from_numpy(teacher.embed(SMILES, jobs=1)).sqrt()
        usual = float(every.var(dim=0, correction=0).mean().sqrt())
        unit = every.std(dim=0, correction=0).clamp(min=max(1e-6, usual / 10))
        met = (projected * unit + every.mean(dim=0)) * (projected * unit + every.mean(dim=0)).abs()
        judged = (seen.sqrt() - every.mean(dim=0)) / unit
    atoms = torch.tensor([parse(SMILES[row]).GetNumAtoms() for row in rows])
    known = {"geometry": torch.arange(60) < 3 * atoms[:, None]}
    wanted = {f"ke_{k}": v for k, v in knowledge_enhancer(teacher.teacher.heads, met, seen, known).items()}
    wanted["te"] = task_enhancer(distiller.head(projected), distiller.judge(judged))
    wanted["task"] = task_loss(distiller.head(projected), labels, task)
    wanted["judge"] = task_loss(distiller.judge(judged), labels, task)
    assert wanted.keys() == loss.parts.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(loss.parts[name], value.detach())
    enhancers = 0.5 * sum(value for name, value in wanted.items() if name.startswith("ke_")) + 0.25 * wanted["te"]
    torch.testing.assert_close(loss.total, wanted["task"] + wanted["judge"] + enhancers)


def test_a_stranger_is_named(distiller):
    features = torch.zeros(1, 16)
    distiller(features, ["CC(=O)Oc1ccccc1C(=O)O"], LABELS[:1])
    with pytest.raises(MoleculeError, match="was not among the molecules that the distiller was made for"):
        distiller(features, ["CCCCCCCC"], LABELS[:1])


def test_every_molecule_of_a_batch_needs_features_a_name_and_labels(distiller):
    with pytest.raises(ConfigError, match="smiles is '2 names', but there are 1 features and 2 rows of labels"):
        distiller(torch.zeros(1, 8), ["CCO", "c1ccncc1"], torch.zeros(2, 1))


def test_a_network_without_features_is_refused(teacher_folder):
    with pytest.raises(ConfigError, match="dim is 0, but it must be a positive whole number"):
        iem.Distiller(["CCO"], dim=0, tasks=1, task="regression", teacher=str(teacher_folder))


def test_the_teacher_is_neither_trained_nor_saved(distiller):
    assert not any("heads" in name or name == "features" for name in distiller.state_dict())
    assert not any(parameter.requires_grad for parameter in distiller.frozen[0].parameters())


def test_molecules_that_cannot_be_drawn(teacher_folder):
    huge = "C" * 1200
    options = {"dim": 4, "tasks": 1, "task": "regression", "teacher": str(teacher_folder), "jobs": 1}
    with pytest.raises(ConfigError, match="none of them can be drawn"):
        iem.Distiller([huge], **options)
    some = iem.Distiller([huge, "CCO"], **options)
    alone = some(torch.zeros(1, 4), [huge], torch.ones(1, 1))
    assert set(alone.parts) == {"task"}
    with pytest.raises(MoleculeError):
        iem.Distiller(["C1CC"], **options)
    with pytest.raises(ConfigError, match="space is 'halls', but it must be one of roots, raw"):
        iem.Distiller(SMILES, **options, space="halls")


# students of one's own


def counts(mol):
    return torch.bincount(torch.tensor([atom.GetAtomicNum() for atom in mol.GetAtoms()]), minlength=119).float()


def mine(dropout):
    net = nn.Sequential(nn.Linear(119, 16), nn.ReLU(), nn.Dropout(dropout))
    return Assembled(net, dim=16, featurize=counts, collate=torch.stack, embed=lambda net, batch: net(batch))


def test_fit_takes_a_factory_and_load_needs_it_again(tmp_path, teacher_folder):
    frame = pd.DataFrame({"smiles": SMILES * 4, "y": np.tile(LABELS[:, 0].numpy(), 4)})
    options = {"teacher": str(teacher_folder), "epochs": 3, "split": "random", "seeds": 2, "jobs": 1}
    iem.fit(frame, out=tmp_path / "model", student=mine, **options)
    with pytest.raises(ArtifactError, match=r"hand the student's factory to iem\.load\(folder, student=\.\.\.\)"):
        iem.load(tmp_path / "model")
    model = iem.load(tmp_path / "model", student=mine)
    found = model.predict(["CCO", "OCC", "C1CC"])
    assert found["y"][0] == pytest.approx(found["y"][1])
    assert np.isnan(found["y"][2])


def test_the_manual_shows_the_methods_that_there_are():
    from pathlib import Path

    from iem.workflows.evidence.methods import METHODS

    page = (Path(__file__).parent.parent / "docs" / "benchmark.md").read_text(encoding="utf-8")
    for name in METHODS:
        assert f"`{name}`" in page or name.startswith("images"), name
