"""Numbers that describe a molecule without learning: fingerprints and quick descriptors."""

import numpy as np
from rdkit.Chem import Mol, rdFingerprintGenerator
from rdkit.Chem import rdMolDescriptors as descriptors

BITS = 2048
DESCRIPTORS = (
    *("MolLogP", "MolMR", "TPSA", "LabuteASA", "FractionCSP3"),
    *(f"SlogP_VSA{place}" for place in range(1, 13)),
    *(f"SMR_VSA{place}" for place in range(1, 11)),
    *(f"PEOE_VSA{place}" for place in range(1, 15)),
    *(f"MQN{place}" for place in range(1, 43)),
)
"""RDKit's names of the quick descriptors, in their order."""
_MORGAN = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=BITS)


def ecfp_counts(mol: Mol) -> np.ndarray:
    """ECFP4 counts, float32 ``(2048,)``.

    References:
        Rogers and Hahn, J. Chem. Inf. Model. 2010, doi:10.1021/ci100050t.
    """
    return _MORGAN.GetCountFingerprintAsNumPy(mol).astype(np.float32)


def quick_descriptors(mol: Mol) -> np.ndarray:
    """What RDKit computes in a millisecond, float32 ``(83,)``; 0 where it is not defined.

    Crippen's logP and molar refractivity, polar and Labute's surface (Å²), share of sp³ carbon; surface by
    contribution to logP, to refractivity and by partial charge (12 + 10 + 14, Å²); 42 molecular quantum numbers.

    References:
        Wildman and Crippen, J. Chem. Inf. Comput. Sci. 1999, doi:10.1021/ci990307l; Labute, J. Mol. Graph. Model. 2000,
        doi:10.1016/S1093-3263(00)00068-1; Nguyen et al., ChemMedChem 2009, doi:10.1002/cmdc.200900317.
    """
    values = [
        *descriptors.CalcCrippenDescriptors(mol),
        descriptors.CalcTPSA(mol),
        descriptors.CalcLabuteASA(mol),
        descriptors.CalcFractionCSP3(mol),
        *descriptors.SlogP_VSA_(mol),
        *descriptors.SMR_VSA_(mol),
        *descriptors.PEOE_VSA_(mol),
        *descriptors.MQNs_(mol),
    ]
    return np.nan_to_num(np.array(values, dtype=np.float32), posinf=0.0, neginf=0.0)


def described(mol: Mol) -> np.ndarray:
    """Both, float32 ``(2131,)``."""
    return np.concatenate([ecfp_counts(mol), quick_descriptors(mol)])
