"""The contract of students: it passes those that keep it, and names the clause that another one breaks."""

import re
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from rdkit import Chem
from torch import nn

import iem
from iem.errors import ContractError, IEMError, MoleculeError, TableError
from iem.students.base import Assembled, build_student, name_of
from iem.students.gnn import JUMPING, READOUTS
from iem.testing import MOLECULES, check_student
from iem.workflows.distillation.loop import Distillation

WIDTH, DOCS = 12, Path(__file__).parent.parent / "docs"


def counts(mol):
    """A molecule as the number of atoms of each element."""
    return torch.bincount(torch.tensor([atom.GetAtomicNum() for atom in mol.GetAtoms()]), minlength=119).float()


def bag(net=None, *, dim=WIDTH, featurize=counts, collate=torch.stack, embed=lambda net, batch: net(batch)):
    """The factory of a student that keeps the contract, unless one of its parts is another."""

    def factory(dropout):
        layers = nn.Sequential(nn.Linear(119, WIDTH), nn.Tanh(), nn.Dropout(dropout), nn.Linear(WIDTH, WIDTH))
        made = layers if net is None else net(layers)
        return Assembled(made, dim=dim, featurize=featurize, collate=collate, embed=embed)

    return factory


@pytest.mark.parametrize("student", ["gin", "gcn", "gat", "sage", bag()])
def test_ours_and_an_ordinary_one_keep_the_contract(student):
    check_student(student)


@pytest.mark.parametrize("name", ["gin", "gcn", "gat", "sage"])
@pytest.mark.parametrize("jumping", JUMPING)
@pytest.mark.parametrize("readout", [*READOUTS, "mean+norm", "attention+max+sum"])
def test_every_read_out_and_jumping_knowledge_keeps_the_contract(name, jumping, readout):
    choice = f"{name}:width=8,layers=2,readout={readout},jumping={jumping}"
    check_student(choice, smiles=["CC(=O)[O-].[K+].O", "C[C@H](N)C(=O)O", "C"])
    assert build_student(choice).dim == (24 if jumping == "cat" else 8) * (1 + readout.count("+"))


class Broken(nn.Module):
    """The layers with something beside them."""

    def __init__(self, layers):
        super().__init__()
        self.layers = layers

    def forward(self, batch):
        return self.layers(batch)


class Unused(Broken):
    def __init__(self, layers):
        super().__init__(layers)
        self.other = nn.Linear(2, 2)


class Steep(Broken):
    def __init__(self, layers):
        super().__init__(layers)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, batch):
        return self.layers(batch) + (0 * self.scale).sqrt()


class Forgetful(Broken):
    def __init__(self, layers):
        super().__init__(layers)
        self.shift = torch.randn(WIDTH)

    def forward(self, batch):
        return self.layers(batch) + self.shift


class Shapeless(Broken):
    def __init__(self, layers):
        super().__init__(layers)
        self.scale = nn.Parameter(torch.ones(int(torch.randint(1, 1_000, ()))))

    def forward(self, batch):
        return self.layers(batch) * self.scale.mean()


class Talkative(Broken):
    def get_extra_state(self):
        return "hello"

    def set_extra_state(self, state):
        pass


class Locked:
    """A featurizer that stays in its process."""

    lock = None

    def __init__(self):
        self.lock = threading.Lock()

    def __call__(self, mol):
        return counts(mol)


class Leaky:
    """A graph that loses half of itself on the way to another process."""

    def __init__(self, mol):
        self.counts = counts(mol)

    def __getstate__(self):
        return {"counts": torch.zeros(119)}


def spoil(graphs):
    batch = torch.stack(graphs)
    for graph in graphs:
        graph += 1
    return batch


def sorted_only(net, batch):
    return net(batch) + float(batch[0].sum() > batch[-1].sum())


def no_wildcards(mol):
    assert all(atom.GetAtomicNum() for atom in mol.GetAtoms()), "no such element"
    return counts(mol)


def first_atom_twice(mol):
    return counts(mol) + nn.functional.one_hot(torch.tensor(mol.GetAtomWithIdx(0).GetAtomicNum()), 119)


def clockwise(mol):
    tags = [atom.GetChiralTag() == Chem.ChiralType.CHI_TETRAHEDRAL_CW for atom in mol.GetAtoms()]
    return torch.cat([counts(mol)[:-1], torch.tensor([float(sum(tags))])])


BREACHES = {
    "no module": (lambda dropout: 5, "makes, a int, is no student; it lacks featurize, collate, the base class"),
    "no graphs": (lambda dropout: nn.Linear(2, 2), "makes, a Linear, is no student; it lacks featurize, collate, dim"),
    "no dropout": (lambda: None, "must take the keyword argument dropout: got an unexpected keyword argument"),
    "no width": (bag(dim=0), r"it lacks dim, a number of features \(it is 0\)"),
    "wrong width": (bag(dim=9), r"shape \(14, 12\) for 14 molecules, but with dim = 9 the shape must be \(14, 9\)"),
    "one number": (bag(embed=lambda net, batch: net(batch).sum()), r"features of shape \(\) for 14 molecules"),
    "no tensor": (bag(embed=lambda net, batch: (net(batch),)), "returns a tuple, but features are a tensor"),
    "whole numbers": (bag(embed=lambda net, batch: net(batch).long()), "returns a tensor of torch.int64"),
    "a batch that stays": (bag(collate=list), r"collate of the student returns a list without a method to\(device\)"),
    "not finite": (
        bag(embed=lambda net, batch: net(batch) / (batch.sum(1, keepdim=True) - 1)),
        "features that are not finite for 2 of 14 molecules, the first of them 'C'",
    ),
    "a featurizer that fails": (
        bag(featurize=no_wildcards),
        r"featurize fails for '\*CC' with AssertionError: no such element.*; for a molecule that it cannot take it",
    ),
    "company": (
        bag(embed=lambda net, batch: net(batch - batch.mean(0))),
        "change in evaluation with what else is in the batch",
    ),
    "batch order": (bag(embed=sorted_only), "change with the order of the batch"),
    "atom order": (bag(featurize=first_atom_twice), "change with the numbering of its atoms"),
    "spelling": (bag(featurize=clockwise), r"(?:'C\[C@H\]\(N\)C|'CN1CC).*change with the spelling of its SMILES"),
    "randomness": (
        bag(embed=lambda net, batch: nn.functional.dropout(net(batch))),
        "asked again in evaluation, the student gives .* other features",
    ),
    "spoilt graphs": (bag(collate=spoil), "collate must leave graphs as they are"),
    "a random graph": (
        bag(featurize=lambda mol: counts(mol) + torch.rand(119)),
        "featurize makes another graph of .* when it is asked again",
    ),
    "one answer": (bag(embed=lambda net, batch: net(0 * batch)), "the same features for every molecule"),
    "detached": (bag(embed=lambda net, batch: net(batch).detach()), "no gradient goes from the features back"),
    "unused": (bag(Unused), r"no gradient reaches net\.other\.weight, net\.other\.bias of the student"),
    "steep": (bag(Steep), r"in training step 1 the gradient of net\.scale is not finite"),
    "a locked featurizer": (bag(featurize=Locked()), "cannot be sent to another process: TypeError: cannot pickle"),
    "a leaky graph": (
        bag(featurize=Leaky, collate=lambda graphs: torch.stack([graph.counts for graph in graphs])),
        "the graph of .* that comes from another process is not the one made in this one",
    ),
    "forgetful": (bag(Forgetful), "what they depend on must be parameters and buffers"),
    "shapeless": (bag(Shapeless), r"does not fit another one of the same factory: .* size mismatch for net\.scale"),
    "talkative": (bag(Talkative), r"the state_dict of the student holds net\._extra_state, which is no tensor"),
}


@pytest.mark.parametrize(("student", "sentence"), BREACHES.values(), ids=BREACHES)
def test_the_breach_is_named(student, sentence):
    with pytest.raises(ContractError, match=sentence) as caught:
        check_student(student)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, AssertionError)
    assert isinstance(caught.value, IEMError)


def test_a_student_may_refuse_molecules_and_have_nothing_to_learn():
    def organic(mol):
        if any(atom.GetAtomicNum() in (0, 26) for atom in mol.GetAtoms()):
            raise MoleculeError("it", "featurize", "no such element")
        return counts(mol)

    check_student(bag(featurize=organic))
    with pytest.raises(ContractError, match="featurize refuses all but 1 of 2 molecules"):
        check_student(bag(featurize=organic), smiles=["C*", "CC"])
    check_student(bag(lambda layers: layers.requires_grad_(False)))


def test_the_check_leaves_the_random_numbers_of_others_alone():
    torch.manual_seed(3)
    wanted = torch.rand(4)
    torch.manual_seed(3)
    check_student(bag(), smiles=["CCO", "CN"])
    assert torch.equal(torch.rand(4), wanted)


def test_the_example_of_the_manual_runs(tmp_path, monkeypatch):
    [section] = re.findall(r"## Your own network\n(.*?)\n## ", (DOCS / "students.md").read_text(), re.DOTALL)
    [code] = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    TABLE[["smiles", "y"]].to_csv("data.csv", index=False)
    monkeypatch.setattr(iem, "fit", partial(iem.fit, teacher="none", split="random", epochs=1, jobs=1))
    there: dict[str, object] = {}
    exec(compile(code, "students.md", "exec"), there)
    model = iem.load("model", student=there["bag_of_atoms"])
    [prediction], [spelled] = (model.predict([smiles])["y"] for smiles in ("CCO", "OCC"))
    assert np.isfinite(prediction)
    assert prediction == pytest.approx(spelled)


# In a fit


SMILES = [*MOLECULES, "CCO", "CCN", "CCF", "CCCl"]
PARTS = ["train"] * len(MOLECULES) + ["valid", "valid", "test", "test"]
TABLE = pd.DataFrame({"smiles": SMILES, "y": [len(text) / 2 for text in SMILES], "part": PARTS})
QUICK = {"target": "y", "teacher": "none", "split": "part", "epochs": 2, "batch_size": 7, "jobs": 1}


@pytest.mark.parametrize("case", ["no graphs", "no dropout", "wrong width", "no tensor", "a batch that stays"])
def test_a_fit_names_the_breach_before_it_trains(case, tmp_path, monkeypatch):
    monkeypatch.setattr(Distillation, "training_step", None)
    with pytest.raises(ContractError) as caught:
        iem.fit(TABLE, out=tmp_path / "model", student=BREACHES[case][0], **QUICK)
    assert "\n" not in str(caught.value)


def test_a_fit_tells_a_student_that_fails_on_some_molecules_from_one_that_diverges(tmp_path):
    def hates_sodium(net, batch):
        return net(batch).masked_fill(batch[:, [11]] > 0, torch.nan)

    with pytest.raises(ContractError, match="not finite for 1 of 2 molecules, the first of them 'C'"):
        iem.fit(TABLE, out=tmp_path / "first", student=BREACHES["not finite"][0], **QUICK)
    with pytest.raises(
        ContractError,
        match="not finite for 1 of 7 molecules in epoch 1, the first of them with 1 heavy atom, while its",
    ):
        iem.fit(TABLE, out=tmp_path / "second", student=bag(embed=hates_sodium), **QUICK)
    with pytest.raises(IEMError, match=r"is not a finite number after epoch 1; the run diverged: lower --lr") as caught:
        iem.fit(TABLE, out=tmp_path / "third", student=bag(), **QUICK | {"lr": 1e38})
    assert not isinstance(caught.value, ContractError)


def no_salts(mol):
    """The number of atoms of each element, of what is no salt."""
    if "." in Chem.MolToSmiles(mol):
        raise MoleculeError(Chem.MolToSmiles(mol), "featurize", "it has several parts")
    return counts(mol)


def test_a_molecule_that_the_student_refuses_is_left_out_of_a_fit(tmp_path):
    salts = [place for place, text in enumerate(SMILES) if "." in text]
    lacking = pd.DataFrame({"smiles": ["CCCCCCl", "[K+].[Br-]"]})
    options = QUICK | {"teacher": "priors", "unlabelled": lacking}
    metrics = iem.fit(TABLE, out=tmp_path / "model", student=bag(featurize=no_salts), **options)
    assert metrics["rows"] == {"read": len(TABLE), "used": len(TABLE) - len(salts), "rejected": len(salts)}
    rejected = pd.read_csv(tmp_path / "model" / "rejected.csv")
    assert rejected["row"].tolist() == salts
    assert rejected["input"].tolist() == [SMILES[place] for place in salts]
    assert set(zip(rejected["stage"], rejected["reason"], strict=True)) == {("featurize", "it has several parts")}
    assert [metrics["unlabelled"][name] for name in ("read", "rejected", "used")] == [2, 1, 1]
    (row,) = pd.read_csv(tmp_path / "model" / "rejected-unlabelled.csv").to_dict("records")
    assert (row["row"], row["stage"]) == (1, "featurize")
    table = pd.DataFrame({"smiles": ["[Na+].[Cl-]", "[K+].[Br-]"] * 10, "y": range(20)})
    with pytest.raises(TableError, match=r"the student can take none of the 20 molecules .*; the first, '\[Na\+\]"):
        iem.fit(table, out=tmp_path / "none", student=bag(featurize=no_salts), **QUICK)


def text_of(mol):
    return Chem.MolToSmiles(mol)


def letters(texts):
    """How often each character is in some SMILES."""
    return torch.stack([torch.bincount(torch.tensor(list(text.encode())), minlength=119).float() for text in texts])


def test_a_graph_may_be_a_text_and_a_factory_no_function(tmp_path):
    student = partial(bag(featurize=text_of, collate=letters))
    iem.fit(TABLE, out=tmp_path / "model", student=student, **QUICK)
    found = iem.load(tmp_path / "model", student=student).predict(["CCO", "C1CC"])
    assert found["y"].notna().tolist() == [True, False]
    assert found["error"].tolist()[0] == ""
    estimator = iem.IEMRegressor(student=student, teacher="none", split="random", epochs=1, jobs=1).fit(
        TABLE["smiles"], TABLE["y"]
    )
    assert len(estimator.predict(["CCO", "CCC"])) == 2


def test_the_name_of_a_factory_has_what_was_given_to_it():
    one, other = (partial(partial(Assembled, dim=9), embed=embed) for embed in (1, 2))
    assert name_of(one) == "iem.students.base.Assembled(dim=9, embed=1)"
    assert name_of(one) != name_of(other)


def test_a_fit_needs_no_main_thread(tmp_path):
    done = []
    thread = threading.Thread(target=lambda: done.append(iem.fit(TABLE, out=tmp_path / "model", **QUICK)))
    thread.start()
    thread.join()
    assert done[0]["rows"]["used"] == len(TABLE)
