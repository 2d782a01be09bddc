"""Contracts of the parts that somebody brings along, as checks that need no test framework."""

import pickle
from collections.abc import Callable, Sequence
from typing import Any

import torch
from joblib.externals.loky.backend.reduction import dumps
from rdkit import Chem
from rdkit.Chem import Mol
from safetensors.torch import load, save
from torch import Tensor, nn

from iem.chem.molecules import parse
from iem.errors import ContractError, MoleculeError
from iem.students import architectures as architectures  # these two register the students that come with the package
from iem.students import chemprop as chemprop
from iem.students.base import Student, build_student, features_of
from iem.workflows.running.trainer import one_thread

MOLECULES = (
    "C",
    "[Na+]",
    "*CC",
    "CC(=O)[O-].[K+].O",
    "[NH3+]CC(=O)[O-]",
    "C[C@H](N)C(=O)O",
    "C/C=C/C(=O)O",
    r"C/C=C\C(=O)O",
    "CC1(C)CCCC(C)(C)N1[O]",
    "C[C@@H]1CCCCCCCCCCCCC(=O)C1",
    "CN1C=NC2=C1C(=O)N(C(=O)N2C)C",
    "CN1CC[C@]23c4c5ccc(O)c4O[C@H]2[C@@H](O)C=C[C@H]3[C@H]1C5",
    "[Fe+2].c1cc[cH-]c1.c1cc[cH-]c1",
    "FS(F)(F)(F)(F)F",
)
"""Methane, a lone ion, a wildcard, a salt with water, a zwitterion, a stereocentre, double bonds (E and Z), a radical,
a large ring, caffeine, morphine, a sandwich complex, six neighbours."""

DROPOUT, STEPS, LR = 0.5, 5, 0.01
TOLERANCE = 1e-4
"""Difference that rounding may make, in units of the largest feature."""
TURNS = 2
"""Other numberings and spellings that are tried for each molecule."""


@one_thread()
def check_student(factory: str | Callable[..., Student], *, smiles: Sequence[str] | None = None) -> None:
    """See that a student does all that training and prediction rely on; silence means that it does.

    It must be a student (``iem.students.base.Student``); train on a batch, with finite gradients that reach every
    parameter; and in evaluation return ``(molecules, dim)`` finite numbers that depend on nothing but the molecule: not
    on the numbering of its atoms, the spelling of its SMILES, the other molecules of the batch or their order, nor on
    which process made the graph. A second student must work like the first, given its ``state_dict``.

    Args:
        factory: takes the keyword argument ``dropout`` and returns a student; or a name, as for ``--student``.
        smiles: molecules to try it on, at least two; by default fourteen awkward ones. One that ``featurize`` refuses
            with a ``MoleculeError`` is left out.

    Raises:
        ContractError: what is wrong, in one sentence; also an ``AssertionError``.
        MoleculeError: a SMILES that cannot be read.
    """
    texts = list(MOLECULES if smiles is None else smiles)
    mols = [parse(text) for text in texts]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        student = build_student(factory, dropout=DROPOUT)
        known, graphs = _graphs(student, mols, texts)
        mols, texts = [mols[place] for place in known], [texts[place] for place in known]
        _learn(student, graphs, texts)
        _network(student).eval()
        with torch.inference_mode():
            features = features_of(student, graphs, texts)
            _compare_batches(student, graphs, texts, features)
            _compare_graphs(student, mols, texts, features)
            _compare_copy(student, factory, graphs, texts, features)


def _network(student: Student) -> nn.Module:
    assert isinstance(student, nn.Module)
    return student


def _graphs(student: Student, mols: Sequence[Mol], texts: Sequence[str]) -> tuple[list[int], list[Any]]:
    """Which molecules the student takes, and their graphs."""
    known, graphs = [], []
    for place, (mol, text) in enumerate(zip(mols, texts, strict=True)):
        try:
            graphs.append(student.featurize(mol))
        except MoleculeError:
            continue
        except Exception as error:
            raise ContractError(
                f"featurize fails for {text!r} with {_said(error)}; for a molecule that it cannot take it must raise "
                "iem.errors.MoleculeError"
            ) from error
        known.append(place)
    if len(known) < 2:
        raise ContractError(f"featurize refuses all but {len(known)} of {len(mols)} molecules; two are needed to go on")
    return known, graphs


def _learn(student: Student, graphs: Sequence[Any], texts: Sequence[str]) -> None:
    """Some steps of training, which also take every weight away from where it began."""
    network = _network(student).train()
    weights = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
    if not weights:
        return
    optimizer = torch.optim.Adam(weights.values(), lr=LR)
    target = torch.randn(len(graphs), student.dim)
    for step in range(STEPS):
        optimizer.zero_grad()
        features = features_of(student, graphs, texts)
        if not features.requires_grad:
            raise ContractError("no gradient goes from the features back to the student; something detaches them")
        (features - target).square().mean().backward()
        unreached = [name for name, weight in weights.items() if weight.grad is None]
        if unreached:
            raise ContractError(
                f"no gradient reaches {_listed(unreached)} of the student, so it would never learn; something detaches "
                "it, or it is not used"
            )
        broken = [name for name, weight in weights.items() if weight.grad is not None and not _finite(weight.grad)]
        if broken:
            raise ContractError(f"in training step {step + 1} the gradient of {_listed(broken)} is not finite")
        optimizer.step()


def _compare_batches(student: Student, graphs: list[Any], texts: list[str], features: Tensor) -> None:
    again = features_of(student, graphs, texts)
    _same(
        again,
        features,
        texts,
        "asked again in evaluation, the student gives {} other features; nothing may be random then, and collate must "
        "leave graphs as they are",
    )
    alone = torch.cat([features_of(student, [graph], [text]) for graph, text in zip(graphs, texts, strict=True)])
    _same(alone, features, texts, "the features of {} change in evaluation with what else is in the batch")
    backwards = features_of(student, graphs[::-1], texts[::-1]).flip(0)
    _same(backwards, features, texts, "the features of {} change with the order of the batch")
    if len(graphs) > 2 and (features - features[0]).abs().max() <= TOLERANCE * features.abs().max():
        raise ContractError("the student returns the same features for every molecule")


def _compare_graphs(student: Student, mols: list[Mol], texts: list[str], features: Tensor) -> None:
    def seen(graphs: Sequence[Any]) -> Tensor:
        return features_of(student, graphs, texts)

    twice = seen([student.featurize(mol) for mol in mols])
    _same(twice, features, texts, "featurize makes another graph of {} when it is asked again")
    for turn in range(TURNS):
        orders = [torch.randperm(mol.GetNumAtoms()).tolist() for mol in mols]
        turned = [Chem.RenumberAtoms(mol, order) for mol, order in zip(mols, orders, strict=True)]
        numbered = seen([student.featurize(mol) for mol in turned])
        _same(numbered, features, texts, "the features of {} change with the numbering of its atoms")
        written = [Chem.MolToRandomSmilesVect(mol, 1, randomSeed=turn + 1)[0] for mol in mols]
        spelt = seen([student.featurize(parse(text)) for text in written])
        _same(
            spelt,
            features,
            texts,
            "the features of {} change with the spelling of its SMILES; RDKit's chiral tags and bond directions do so, "
            "CIP labels and double-bond stereo do not",
        )
    try:
        featurize = pickle.loads(dumps(student.featurize))  # as the pool of processes does
        sent = [pickle.loads(dumps(featurize(mol))) for mol in mols]
    except Exception as error:
        raise ContractError(
            f"worker processes make graphs, but featurize or a graph cannot be sent to another process: {_said(error)}"
        ) from error
    _same(
        seen(sent), features, texts, "the graph of {} that comes from another process is not the one made in this one"
    )


def _compare_copy(
    student: Student, factory: str | Callable[..., Student], graphs: list[Any], texts: list[str], features: Tensor
) -> None:
    state = _network(student).state_dict()
    other = [name for name, value in state.items() if not isinstance(value, Tensor)]
    if other:
        raise ContractError(f"the state_dict of the student holds {_listed(other)}, which is no tensor")
    copy = build_student(factory, dropout=DROPOUT)
    try:
        _network(copy).load_state_dict(load(save({name: value.clone() for name, value in state.items()})))
    except RuntimeError as error:
        raise ContractError(
            f"the state_dict of one student does not fit another one of the same factory: {_said(error)}"
        ) from error
    _network(copy).eval()
    _same(
        features_of(copy, graphs, texts),
        features,
        texts,
        "a second student with the state_dict of the first gives {} other features; what they depend on must be "
        "parameters and buffers",
    )


def _same(found: Tensor, wanted: Tensor, texts: Sequence[str], complaint: str) -> None:
    """Complain of the molecule whose features differ most."""
    gaps = (found - wanted).abs().amax(dim=1)
    if gaps.max() > TOLERANCE * wanted.abs().max():
        raise ContractError(complaint.format(repr(texts[int(gaps.argmax())])))


def _said(error: Exception) -> str:
    """An error of somebody else's code, on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _finite(tensor: Tensor) -> bool:
    return bool(tensor.isfinite().all())


def _listed(names: Sequence[str]) -> str:
    """At most three names."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
