"""Molecules to what a model takes, for workers that have no need of a network."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, final

import numpy as np
from rdkit.Chem import Mol

from iem.chem.fingerprints import described
from iem.chem.molecules import parse
from iem.errors import MoleculeError
from iem.workflows.inference.trees import Trees


@final
class Refused(str):
    """Why there is no graph; a graph of somebody's student may be a text, too."""

    __slots__ = ()


class Inputs(NamedTuple):
    """Molecules, row by row."""

    graphs: list[Any]
    """Of each molecule, or ``Refused`` in its place."""
    opinions: np.ndarray | None
    """What the trees of the model say, float64 (molecules, targets), NaN where there is no graph; None without them."""


def make_inputs(
    featurize: Callable[[Mol], Any],
    trees: Trees | None,
    smiles: Sequence[str],
    problems: Mapping[int, str] | None = None,
) -> Inputs:
    """Graphs, and the opinion of the trees.

    Args:
        featurize: the student's.
        trees: of the model, if it has any.
        smiles: as written.
        problems: reasons that are known already, by position.
    """
    known = problems or {}
    graphs: list[Any] = []
    numbers: dict[int, np.ndarray] = {}
    for place, text in enumerate(smiles):
        if known.get(place):
            graphs.append(Refused(known[place]))
            continue
        try:
            mol = parse(text)
            graphs.append(featurize(mol))
            if trees is not None:
                numbers[place] = described(mol)
        except MoleculeError as error:
            graphs.append(Refused(error.reason))
    if trees is None:
        return Inputs(graphs, None)
    opinions = np.full((len(graphs), len(trees.offset)), np.nan)
    if numbers:
        opinions[list(numbers)] = trees.outputs(np.stack(list(numbers.values())))
    return Inputs(graphs, opinions)
