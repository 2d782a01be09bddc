"""Molecules as graphs: nine features per atom and three per bond, in the manner of the Open Graph Benchmark."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from rdkit.Chem import Atom, BondStereo, BondType, ChiralType, HybridizationType, Mol

CHIRALITY = ("", "R", "S")
HYBRIDISATION = (
    HybridizationType.SP,
    HybridizationType.SP2,
    HybridizationType.SP3,
    HybridizationType.SP3D,
    HybridizationType.SP3D2,
)
BONDS = (BondType.SINGLE, BondType.DOUBLE, BondType.TRIPLE, BondType.AROMATIC)
STEREO = (
    BondStereo.STEREONONE,
    BondStereo.STEREOZ,
    BondStereo.STEREOE,
    BondStereo.STEREOCIS,
    BondStereo.STEREOTRANS,
    BondStereo.STEREOANY,
)

ATOM_SIZES = (119, 4, 12, 12, 10, 6, 6, 2, 2)
"""Values per atom feature: atomic number (0 is the wildcard), chirality, degree 0-10, formal charge -5 to 5, hydrogens
0-8, radical electrons 0-4, hybridisation, aromatic, in a ring. The last value of the first seven but the atomic number
means *another*.

Chirality is the CIP label, R or S. The Open Graph Benchmark takes RDKit's tag, clockwise or not, which depends on the
order in which the neighbours are written: one molecule would have another graph under each of its SMILES."""

BOND_SIZES = (5, 7, 2)
"""Values per bond feature: order, stereo, conjugated. The last of order and stereo means *another*."""

_CHIRALITY = {value: index for index, value in enumerate(CHIRALITY)}
_HYBRIDISATION = {value: index for index, value in enumerate(HYBRIDISATION)}
_BONDS = {value: index for index, value in enumerate(BONDS)}
_STEREO = {value: index for index, value in enumerate(STEREO)}


class Graph(NamedTuple):
    """One molecule, heavy atoms as nodes; every bond is two directed edges in a row."""

    atoms: np.ndarray
    """Atom features, int64 ``(atoms, features)``."""
    edges: np.ndarray
    """Source and target atom of each edge, int64 ``(2, edges)``; bonds first, then loops, if there are any."""
    bonds: np.ndarray
    """The bond features of each edge as one number, int64 ``(edges,)``; see ``bond_code``."""


class FeatureSet(NamedTuple):
    """What a network sees of atoms and bonds."""

    atom_sizes: tuple[int, ...]
    """Values per atom feature."""
    bond_sizes: tuple[int, ...]
    """Values per bond feature; a bond code counts through them, the last the fastest."""
    featurize: Callable[[Mol], Graph]
    """A plain function, which reaches worker processes without the network."""
    loops: bool
    """Whether every atom has an edge to itself."""


def bond_code(order: int, stereo: int, conjugated: int) -> int:
    """Three small numbers as one, so that a bond costs a single table look-up."""
    return (order * BOND_SIZES[1] + stereo) * BOND_SIZES[2] + conjugated


def _chirality(atom: Atom) -> int:
    if atom.GetChiralTag() == ChiralType.CHI_UNSPECIFIED:
        return 0
    label = atom.GetProp("_CIPCode") if atom.HasProp("_CIPCode") else "none"  # of a ring's relative stereo, say
    return _CHIRALITY.get(label, len(CHIRALITY))


def featurize(mol: Mol) -> Graph:
    """The graph of a molecule, the same however it is written; nothing falls outside the vocabularies.

    Args:
        mol: as ``iem.chem.molecules.parse`` gives it.
    """
    atoms = [
        (
            min(atom.GetAtomicNum(), 118),
            _chirality(atom),
            min(atom.GetTotalDegree(), 11),
            charge + 5 if -5 <= (charge := atom.GetFormalCharge()) <= 5 else 11,
            min(atom.GetTotalNumHs(), 9),
            min(atom.GetNumRadicalElectrons(), 5),
            _HYBRIDISATION.get(atom.GetHybridization(), 5),
            atom.GetIsAromatic(),
            atom.IsInRing(),
        )
        for atom in map(mol.GetAtomWithIdx, range(mol.GetNumAtoms()))  # RDKit's own iterator costs a fifth of the whole
    ]
    edges: list[tuple[int, int]] = []
    codes: list[int] = []
    for bond in map(mol.GetBondWithIdx, range(mol.GetNumBonds())):
        begin, end = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        code = bond_code(_BONDS.get(bond.GetBondType(), 4), _STEREO.get(bond.GetStereo(), 6), bond.GetIsConjugated())
        edges += ((begin, end), (end, begin))
        codes += (code, code)
    return Graph(
        np.array(atoms, dtype=np.int64),
        np.array(edges, dtype=np.int64).reshape(-1, 2).T,
        np.array(codes, dtype=np.int64),
    )


OGB = FeatureSet(ATOM_SIZES, BOND_SIZES, featurize, loops=False)
