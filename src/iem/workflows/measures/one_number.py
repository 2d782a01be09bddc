"""How far one number of a molecule goes: the least that a model has to beat, and where labels follow how it is written.

A number says what a model may have learned. On ClinTox it is enough to ask whether a SMILES has a charged atom.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from rdkit.Chem import Crippen, GetMolFrags, Mol, rdMolDescriptors

from iem.chem.molecules import parse
from iem.records import Split
from iem.report.text import METRIC_NAMES, number
from iem.workflows.measures.metrics import METRICS, mean_score, scores, summary

PROPERTIES: dict[str, Callable[[Mol], float]] = {
    "heavy atoms": Mol.GetNumHeavyAtoms,
    "rings": rdMolDescriptors.CalcNumRings,
    "log P (Crippen)": Crippen.MolLogP,
    "polar surface (TPSA)": rdMolDescriptors.CalcTPSA,
    "hydrogen-bond donors": rdMolDescriptors.CalcNumHBD,
}
"""What is the molecule's own, by and large."""
WRITING: dict[str, Callable[[Mol], float]] = {
    "charged atoms": lambda mol: sum(atom.GetFormalCharge() != 0 for atom in mol.GetAtoms()),
    "fragments": lambda mol: len(GetMolFrags(mol)),
    "marked stereocentres": lambda mol: sum(atom.GetChiralTag() != 0 for atom in mol.GetAtoms()),
}
"""What depends on whoever wrote it: as a salt or without its counter-ion, protonated or not, with stereo or without."""


class OneNumber(NamedTuple):
    """The number that does best on the training part, as a model."""

    name: str
    outputs: np.ndarray
    """What it predicts for every molecule, float64 (molecules, targets): a value; in classification any number that is
    larger where a positive is likelier."""


def one_number(
    keys: Sequence[str],
    labels: np.ndarray,
    train: np.ndarray,
    task: str,
    *,
    tick: Callable[[], object] = lambda: None,
) -> OneNumber:
    """The best of ``PROPERTIES`` and ``WRITING``: by ROC-AUC in either direction, or by least squares.

    Only the training part is looked at to choose and to fit; one number serves all targets.

    Args:
        keys: canonical SMILES.
        labels: float (molecules, targets), NaN where missing.
        train: rows of the training part.
        task: ``classification`` or ``regression``.
        tick: called after each molecule.
    """
    counts = PROPERTIES | WRITING
    values = np.empty((len(keys), len(counts)))
    for row, mol in enumerate(map(parse, keys)):
        values[row] = [count(mol) for count in counts.values()]
        tick()
    models = [OneNumber(name, _fitted(some, labels, train, task)) for name, some in zip(counts, values.T, strict=True)]
    found = np.array([mean_score(scores(task, labels[train], model.outputs[train])) for model in models])
    return models[int(np.argmax(np.nan_to_num(found if task == "classification" else -found, nan=-np.inf)))]


def beside(
    found: OneNumber, labels: np.ndarray, split: Split, task: str, targets: Sequence[str], model: float | None
) -> dict[str, Any]:
    """How far it goes, and what that says of a model.

    Args:
        found: the number.
        labels: float (molecules, targets), NaN where missing.
        split: the parts.
        task: ``classification`` or ``regression``.
        targets: their names.
        model: its test score, None where there is none.

    Returns:
        ``name``, ``valid`` and ``test`` (summaries, as in ``metrics.json``), and ``verdict`` in plain words.
    """
    part = {name: scores(task, labels[rows], found.outputs[rows]) for name, rows in split._asdict().items()}
    told = {name: summary([part[name]], targets) for name in ("valid", "test")}
    reached = mean_score(part["test"])
    if model is None or math.isnan(reached):
        return {"name": found.name, **told, "verdict": ""}
    better = 1 if task == "classification" else -1
    verdict = f"One number alone, {found.name}, has a test {METRIC_NAMES[METRICS[task]]} of {number(reached)}"
    verdict += "; " if better * (model - reached) >= 0 else ", which the model does not reach: "
    verdict += f"the model has {number(model)}."
    usual = np.ma.masked_invalid(labels[split.train]).mean(axis=0).filled(0)
    nothing = mean_score(scores(task, labels[split.test], np.broadcast_to(usual, labels[split.test].shape)))
    if found.name in WRITING and better * (reached - nothing) >= better * (model - nothing) / 2:
        verdict += (
            " It depends on how a molecule is written (protonated or not, as a salt or not, with stereo or without): "
            "ask whether the labels do, too."
        )
    return {"name": found.name, **told, "verdict": verdict}


def _fitted(values: np.ndarray, labels: np.ndarray, train: np.ndarray, task: str) -> np.ndarray:
    if task == "classification":
        rising = scores(task, labels[train], np.repeat(values[train, None], labels.shape[1], axis=1)) >= 0.5
        return np.where(rising, values[:, None], -values[:, None])
    outputs = np.zeros(labels.shape)
    for target, column in enumerate(labels[train].T):
        known = ~np.isnan(column)
        if known.any():
            centred = values[train][known] - values[train][known].mean()
            square = centred @ centred
            slope = centred @ column[known] / square if square else 0.0
            outputs[:, target] = column[known].mean() + slope * (values - values[train][known].mean())
    return outputs
