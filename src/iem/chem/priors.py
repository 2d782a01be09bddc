"""The basic questions that pictures and graphs are both asked: the paper's four, and three more."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import Crippen, Descriptors, GraphDescriptors, Mol, rdFingerprintGenerator, rdMolDescriptors

from iem.chem.fingerprints import DESCRIPTORS, quick_descriptors
from iem.records import BOND_ORDERS, Geometry, PriorTarget

ELEMENTS = ("C", "N", "O", "F", "S", "Cl", "Br", "P", "Si", "B", "Se", "Ge", "As", "H", "Ti", "Ga", "Ca", "Mg", "Zn")
"""The vocabulary of the paper's appendix, in its order."""
_NUMBERS = np.array([Chem.GetPeriodicTable().GetAtomicNumber(symbol) for symbol in ELEMENTS])
_BONDS = ("single", "aromatic", "double", "triple")
_AXES = ("x", "y", "z")
_GROUPS = ("all", "hydrophobic", "aromatic", "acceptor", "donor")
_PLACES = ("centroid", "closest", "farthest", "opposite")
_MOMENTS = ("mean", "spread", "skew")
_MORGAN = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=512)


@dataclass(frozen=True)
class Prior:
    """One question: its name and what each number of the answer means."""

    name: str
    labels: tuple[str, ...]
    unit: float = 1e-6
    """What one unit of a standardised answer is at least: a rare element must not weigh like a common one."""

    @property
    def size(self) -> int:
        """Numbers in the answer."""
        return len(self.labels)


PRIORS = {
    prior.name: prior
    for prior in (
        Prior("atom", ELEMENTS, unit=0.25),
        Prior("bond", _BONDS),
        Prior("geometry", tuple(f"{axis}{atom}" for atom in range(20) for axis in _AXES)),
        Prior("property", ("MolWt", "MolLogP", "MolMR", "BalabanJ", "HBA", "HBD", "valence electrons", "TPSA")),
        Prior("shape", tuple(f"{g} {p} {m}" for g in _GROUPS for p in _PLACES for m in _MOMENTS)),
        Prior("substructure", tuple(f"Morgan {bit}" for bit in range(512)), unit=0.1),
        Prior("descriptor", DESCRIPTORS, unit=0.1),
    )
}
"""By name: the four of the paper in its order, with 19, 4, 60 and 8 numbers, and three of ours: 60, 512 and 83."""

PAPER = ("atom", "bond", "geometry", "property")
"""The questions of the paper."""


def priors(mol: Mol, geometry: Geometry) -> dict[str, PriorTarget]:
    """Answers to the four questions of the paper, by name.

    ``atom``: atoms of each element *that the picture shows*. So hydrogen counts only where the molecule is nothing
    else (the paper's order of elements has it between As and Ti: it did not count implicit ones either), and an
    element outside the vocabulary counts under nothing.
    ``bond``: drawn bonds of each kind; dative and other rare ones are single.
    ``geometry``: see ``posed``; unknown for padding, and as a whole where the coordinates are only a flat drawing.
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
        known = posed(geometry.coordinates).ravel()[: coordinates.size]
        coordinates[: known.size] = known
    return known_where_finite(coordinates)


def shape_prior(mol: Mol, geometry: Geometry) -> PriorTarget:
    """Where the atoms of a molecule lie to each other, whatever its pose: USRCAT.

    For all, hydrophobic, aromatic, acceptor and donor atoms mean, spread and skew (ångström) of their distances to the
    centroid, the atom closest to it, the atom farthest from it, and the atom farthest from that one. Unknown without 3D
    coordinates, for fewer than three atoms, and for kinds of atoms that the molecule does not have.

    Args:
        mol: the molecule in the atom order of its geometry.
        geometry: its heavy atoms in space.

    References:
        Ballester and Richards, J. Comput. Chem. 2007, doi:10.1002/jcc.20681;
        Schreyer and Blundell, J. Cheminform. 2012, doi:10.1186/1758-2946-4-27.
    """
    size = PRIORS["shape"].size
    if any(atom.GetAtomicNum() == 1 for atom in mol.GetAtoms()):  # isotopes, which are not drawn
        mol = Chem.RemoveAllHs(mol)
    atoms = len(geometry.numbers)
    if geometry.status == "flat" or atoms < 3 or mol.GetNumAtoms() != atoms:
        return PriorTarget(np.zeros(size, np.float32), np.zeros(size, bool))
    solid, conformer = Mol(mol), Chem.Conformer(atoms)
    conformer.SetPositions(geometry.coordinates.astype(np.float64))
    solid.AddConformer(conformer)
    moments = np.array(rdMolDescriptors.GetUSRCAT(solid), dtype=np.float32)
    present = moments.reshape(len(_GROUPS), -1).any(axis=1).repeat(size // len(_GROUPS))
    return PriorTarget(np.where(present & np.isfinite(moments), moments, 0), present & np.isfinite(moments))


def substructure_prior(mol: Mol) -> PriorTarget:
    """How often each circular substructure of up to two bonds' radius occurs: ln(1 + count), folded to 512 numbers.

    References:
        Rogers and Hahn, J. Chem. Inf. Model. 2010, doi:10.1021/ci100050t.
    """
    return known_where_finite(np.log1p(_MORGAN.GetCountFingerprintAsNumPy(mol)))


def descriptor_prior(mol: Mol) -> PriorTarget:
    """RDKit's quick descriptors; see ``iem.chem.fingerprints.quick_descriptors``."""
    return known_where_finite(quick_descriptors(mol))


DERIVED: dict[str, Callable[[Mol, Geometry], PriorTarget]] = {
    "geometry": lambda _, geometry: geometry_prior(geometry),
    "shape": shape_prior,
    "substructure": lambda mol, _: substructure_prior(mol),
    "descriptor": lambda mol, _: descriptor_prior(mol),
}
"""Questions by name that are answered when they are asked, while a corpus keeps the answers to the others."""


def posed(coordinates: np.ndarray) -> np.ndarray:
    """Coordinates that depend neither on place, nor on pose, nor on size.

    Centred on the mean of the atoms, turned onto the principal axes (x the longest; x and y point to where the third
    moment is positive, z makes the frame right-handed, so mirror images stay mirror images), and divided by the
    largest distance from the centre, so that every atom lies in the unit ball.

    Args:
        coordinates: (atoms, 3), ångström.

    Returns:
        float64 (atoms, 3), dimensionless.

    Example:
        >>> posed(np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 3.0]])).round(3).tolist()
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
