"""Graphs of the molecules of a fit, and the molecules that the student cannot take."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import torch

from iem.chem.molecules import parse
from iem.errors import MoleculeError
from iem.students.base import Student, build_student, features_of
from iem.workflows.distillation.batching import Molecules
from iem.workflows.running.console import progress


class Graph(NamedTuple):
    """One molecule as a student sees it."""

    made: Any
    """What its ``featurize`` returned."""
    atoms: int
    """Heavy atoms of the molecule."""


def graphs_of(keys: Iterable[str], student: str | Callable[..., Student]) -> tuple[dict[str, Graph], dict[str, str]]:
    """Graphs of molecules, each made once.

    Args:
        keys: canonical SMILES.
        student: makes the graphs.

    Returns:
        Each molecule's graph, and why the others have none.
    """
    network, distinct = build_student(student, dropout=0.0), dict.fromkeys(keys)
    graphs: dict[str, Graph] = {}
    refused: dict[str, str] = {}
    with progress() as bars:
        for key in bars.track(distinct, description="making graphs", total=len(distinct)):
            mol = parse(key)
            try:
                graphs[key] = Graph(network.featurize(mol), mol.GetNumHeavyAtoms())
            except MoleculeError as error:
                refused[key] = error.reason
    return graphs, refused


def molecules_of(
    keys: Sequence[str],
    labels: np.ndarray,
    graphs: Mapping[str, Graph],
    student: str | Callable[..., Student],
    dim: int,
) -> Molecules:
    """Molecules with their labels, and room for the teacher's features.

    Args:
        keys: canonical SMILES.
        labels: float64 (molecules, targets), NaN where missing.
        graphs: of all of them.
        student: made the graphs.
        dim: width of the teacher's features.

    Raises:
        ContractError: a fresh student returns no features of the smallest or the largest of them.
    """
    by_size = sorted(keys, key=lambda key: graphs[key].atoms)
    tried = [by_size[0], by_size[-1]]
    network = build_student(student, dropout=0.0)
    cast("torch.nn.Module", network).eval()
    with torch.inference_mode():
        features_of(network, [graphs[key].made for key in tried], tried)
    features = np.full((len(keys), dim), np.nan, np.float32)
    return Molecules(
        [graphs[key].made for key in keys], labels, features, np.array([graphs[key].atoms for key in keys])
    )
