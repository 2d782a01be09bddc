"""The four basic questions that pictures and graphs are both asked: atoms, bonds, shape, properties."""

from dataclasses import dataclass

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import Crippen, Descriptors, GraphDescriptors, Mol, rdMolDescriptors

from iem.records import BOND_ORDERS, Geometry, PriorTarget

ELEMENTS = ("C", "N", "O", "F", "S", "Cl", "Br", "P", "Si", "B", "Se", "Ge", "As", "H", "Ti", "Ga", "Ca", "Mg", "Zn")
"""The vocabulary of the paper's appendix, in its order."""
_NUMBERS = np.array([Chem.GetPeriodicTable().GetAtomicNumber(symbol) for symbol in ELEMENTS])
_BONDS = ("single", "aromatic", "double", "triple")
_AXES = ("x", "y", "z")


@dataclass(frozen=True)
class Prior:
    """One question: its name and what each number of the answer means."""

    name: str
    labels: tuple[str, ...]

    @property
    def size(self) -> int:
        """Numbers in the answer."""
        return len(self.labels)


PRIORS = {
    prior.name: prior
    for prior in (
        Prior("atom", ELEMENTS),
        Prior("bond", _BONDS),
        Prior("geometry", tuple(f"{axis}{atom}" for atom in range(20) for axis in _AXES)),
        Prior("property", ("MolWt", "MolLogP", "MolMR", "BalabanJ", "HBA", "HBD", "valence electrons", "TPSA")),
    )
}
"""By name, in the order of the paper; 19, 4, 60 and 8 numbers."""


def priors(mol: Mol, geometry: Geometry) -> dict[str, PriorTarget]:
    """Answers to all four questions, by name.

    ``atom``: atoms of each element *that the picture shows*. So hydrogen counts only where the molecule is nothing
    else (the paper's order of elements has it between As and Ti: it did not count implicit ones either), and an
    element outside the vocabulary counts under nothing.
    ``bond``: drawn bonds of each kind; dative and other rare ones are single.
    ``geometry``: see ``shape``; unknown for padding, and as a whole where the coordinates are only a flat drawing.
    ``property``: average molecular weight (Da), Crippen logP and molar refractivity, Balaban's J, Lipinski acceptors
    and donors, valence electrons, topological polar surface (Å²); unknown where RDKit has no finite answer, and J
    also for several fragments, between which there is no distance.

    Args:
        mol: the molecule, hydrogens implicit.
        geometry: the same molecule, as ``conformer`` gives it.
    """
    atoms = (geometry.numbers[:, None] == _NUMBERS).sum(axis=0)
    drawn = np.bincount(geometry.bonds[:, 2], minlength=len(BOND_ORDERS))
    bonds = np.array([drawn[BOND_ORDERS.index(order)] for order in _BONDS])
    return {
        "atom": known_where_finite(atoms),
        "bond": known_where_finite(bonds),
        "geometry": geometry_prior(geometry),
        "property": known_where_finite(properties(mol)),
    }


def geometry_prior(geometry: Geometry) -> PriorTarget:
    """The answer about the shape alone, which needs nothing but coordinates; see ``priors``."""
    coordinates = np.full(PRIORS["geometry"].size, np.nan)
    if geometry.status != "flat":
        known = shape(geometry.coordinates).ravel()[: coordinates.size]
        coordinates[: known.size] = known
    return known_where_finite(coordinates)


def shape(coordinates: np.ndarray) -> np.ndarray:
    """Coordinates that depend neither on place, nor on pose, nor on size.

    Centred on the mean of the atoms, turned onto the principal axes (x the longest; x and y point to where the third
    moment is positive, z makes the frame right-handed, so mirror images stay mirror images), and divided by the
    largest distance from the centre, so that every atom lies in the unit ball.

    Args:
        coordinates: (atoms, 3), ångström.

    Returns:
        float64 (atoms, 3), dimensionless.

    Example:
        >>> shape(np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 3.0]])).round(3).tolist()
        [[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    """
    centred = coordinates.astype(np.float64) - coordinates.mean(axis=0, dtype=np.float64)
    radius = np.linalg.norm(centred, axis=1).max()
    if radius == 0:
        return centred
    _, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1]
    axes *= np.where(((centred @ axes) ** 3).sum(axis=0) < 0, -1.0, 1.0)
    axes[:, 2] *= np.sign(np.linalg.det(axes))
    return centred @ axes / radius


def properties(mol: Mol) -> np.ndarray:
    """The eight numbers of the property prior, float64 ``(8,)``; NaN where there is none. See ``priors``."""
    with rdBase.BlockLogs():
        connected = len(Chem.GetMolFrags(mol)) == 1
        return np.array(
            [
                Descriptors.MolWt(mol),
                Crippen.MolLogP(mol),
                Crippen.MolMR(mol),
                GraphDescriptors.BalabanJ(mol) if connected else np.nan,
                rdMolDescriptors.CalcNumHBA(mol),
                rdMolDescriptors.CalcNumHBD(mol),
                Descriptors.NumValenceElectrons(mol),
                rdMolDescriptors.CalcTPSA(mol),
            ]
        )


def known_where_finite(values: np.ndarray) -> PriorTarget:
    """Numbers as an answer, in which NaN stands for what is not known."""
    known = np.isfinite(values)
    return PriorTarget(np.where(known, values, 0).astype(np.float32), known)
