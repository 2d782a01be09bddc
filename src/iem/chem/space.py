"""Whether the coordinates of a molecule are a conformer or a drawing."""

import numpy as np
from rdkit.Chem import Mol

FLAT = 0.01
"""Ångström; coordinates that differ less than this in z lie in the plane of the paper."""


def is_3d(mol: Mol) -> bool:
    """Whether the molecule carries coordinates that are a conformer.

    The header of an SDF alone is not believed: the atoms must leave the plane of the paper. Only a molecule that has
    every hydrogen as an atom of its own, as no drawing has, may be planar and lie in it.
    """
    if not mol.GetNumAtoms() or not mol.GetNumConformers():
        return False
    conformer = mol.GetConformer()
    points = conformer.GetPositions()
    if not np.isfinite(points).all():
        return False
    if np.ptp(points[:, 2]) > FLAT:
        return True
    return conformer.Is3D() and not any(atom.GetTotalNumHs() for atom in mol.GetAtoms())
