"""Molecules to graphs, for workers that have no need of a network."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rdkit.Chem import Mol

from iem.chem.molecules import parse
from iem.errors import MoleculeError


def make_graphs(
    featurize: Callable[[Mol], Any], smiles: Sequence[str], problems: Mapping[int, str] | None = None
) -> list[Any]:
    """The graph of each molecule, or in its place the reason why there is none.

    Args:
        featurize: the student's.
        smiles: as written.
        problems: reasons that are known already, by position.
    """
    known = problems or {}
    graphs: list[Any] = []
    for place, text in enumerate(smiles):
        try:
            graphs.append(known.get(place) or featurize(parse(text)))
        except MoleculeError as error:
            graphs.append(error.reason)
    return graphs
