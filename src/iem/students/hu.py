"""Molecules as graphs with two features per atom and two per bond, as most published checkpoints want them."""

import numpy as np
from rdkit import Chem
from rdkit.Chem import BondDir, BondType, ChiralType, Mol

from iem.errors import MoleculeError
from iem.students.features import FeatureSet, Graph

ATOM_SIZES = (120, 3)
"""Values per atom feature: atomic number less one (118: a wildcard; 119: hidden, in pre-training), and chiral tag (none
or another, clockwise, anticlockwise)."""

BOND_SIZES = (6, 3)
"""Values per bond feature: type (single or another, double, triple, aromatic; 4: an atom's loop; 5: hidden, in
pre-training), and direction of single bonds beside a double bond (none or another, up, down)."""

WILDCARD, LOOP = 118, 4
_TAGS = {ChiralType.CHI_TETRAHEDRAL_CW: 1, ChiralType.CHI_TETRAHEDRAL_CCW: 2}
_TYPES = {BondType.DOUBLE: 1, BondType.TRIPLE: 2, BondType.AROMATIC: 3}
_DIRECTIONS = {BondDir.ENDUPRIGHT: 1, BondDir.ENDDOWNRIGHT: 2}


def featurize(mol: Mol) -> Graph:
    """The graph of a molecule, the same however it is written; nothing falls outside the vocabularies.

    Chiral tags and bond directions depend on the order in which a SMILES names the atoms, so they are those of the
    canonical SMILES; the atoms of the graph are in the order of ``mol``.

    Args:
        mol: as ``iem.chem.molecules.parse`` gives it.

    Raises:
        MoleculeError: RDKit does not read the SMILES that it writes.

    References:
        Hu et al., ICLR 2020, arXiv:1905.12265.
    """
    text = Chem.MolToSmiles(mol)
    places = list(mol.GetPropsAsDict(includePrivate=True, includeComputed=True)["_smilesAtomOutputOrder"])
    written, count = Chem.MolFromSmiles(text), len(places)
    if written is None:
        raise MoleculeError(text, "featurize", "RDKit does not read its own SMILES")
    atoms = np.empty((count, 2), np.int64)
    for place, atom in zip(places, map(written.GetAtomWithIdx, range(count)), strict=True):
        number = atom.GetAtomicNum()
        atoms[place] = number - 1 if number else WILDCARD, _TAGS.get(atom.GetChiralTag(), 0)
    edges: list[tuple[int, int]] = []
    codes: list[int] = []
    for bond in map(written.GetBondWithIdx, range(written.GetNumBonds())):
        begin, end = places[bond.GetBeginAtomIdx()], places[bond.GetEndAtomIdx()]
        code = _TYPES.get(bond.GetBondType(), 0) * BOND_SIZES[1] + _DIRECTIONS.get(bond.GetBondDir(), 0)
        edges += ((begin, end), (end, begin))
        codes += (code, code)
    loops = np.arange(count)
    return Graph(
        atoms,
        np.concatenate([np.array(edges, np.int64).reshape(-1, 2), np.stack([loops, loops], axis=1)]).T,
        np.array(codes + [LOOP * BOND_SIZES[1]] * count, np.int64),
    )


HU = FeatureSet(ATOM_SIZES, BOND_SIZES, featurize, loops=True)
