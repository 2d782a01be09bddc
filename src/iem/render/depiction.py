"""Flat pictures: RDKit's depiction of a molecule, as the paper's 2D images."""

import io
from typing import final

import numpy as np
from PIL import Image
from rdkit import Chem, rdBase
from rdkit.Chem import Mol, rdDepictor
from rdkit.Chem.Draw import rdMolDraw2D

VERSION = 1
"""Counts changes that may change a pixel."""


def layout(mol: Mol) -> np.ndarray:
    """RDKit's 2D layout, float64 ``(atoms, 2)``, in the order of the molecule's atoms; bonds are 1.5 long."""
    flat = Mol(mol)
    with rdBase.BlockLogs():
        rdDepictor.Compute2DCoords(flat)
    return flat.GetConformer().GetPositions()[:, :2]


@final
class Depiction:
    """RDKit's 2D depiction on a white square; the spelling of the SMILES does not matter.

    Args:
        size: side of the picture in pixels.
    """

    def __init__(self, size: int = 224) -> None:
        self.size = size

    @property
    def signature(self) -> str:
        """Everything that the pixels depend on besides the molecule."""
        return f"depiction {VERSION} size={self.size} rdkit={rdBase.rdkitVersion}"

    def __call__(self, mol: Mol, angle: float = 0.0, layout: np.ndarray | None = None) -> np.ndarray:
        """Picture, uint8 ``(size, size, 3)``.

        Args:
            mol: the molecule.
            angle: degrees by which the layout is turned; letters stay upright.
            layout: what ``layout`` said of this very molecule, kept because it takes twice as long as the drawing.
        """
        with rdBase.BlockLogs():
            if layout is None:
                mol = Chem.MolFromSmiles(Chem.MolToSmiles(mol))
                rdDepictor.Compute2DCoords(mol)
            else:
                flat = Chem.Conformer(mol.GetNumAtoms())
                flat.SetPositions(np.pad(layout.astype(np.float64), ((0, 0), (0, 1))))
                flat.Set3D(False)
                mol = Mol(mol)
                mol.AddConformer(flat)
            drawing = rdMolDraw2D.MolDraw2DCairo(self.size, self.size)
            drawing.drawOptions().rotate = angle
            rdMolDraw2D.PrepareAndDrawMolecule(drawing, mol)
        drawing.FinishDrawing()
        return np.asarray(Image.open(io.BytesIO(drawing.GetDrawingText())).convert("RGB"))
