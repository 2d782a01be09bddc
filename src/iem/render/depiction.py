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

    def __call__(self, mol: Mol, angle: float = 0.0) -> np.ndarray:
        """Picture, uint8 ``(size, size, 3)``.

        Args:
            mol: the molecule.
            angle: degrees by which the layout is turned; letters stay upright.
        """
        with rdBase.BlockLogs():
            mol = Chem.MolFromSmiles(Chem.MolToSmiles(mol))
            rdDepictor.Compute2DCoords(mol)
            drawing = rdMolDraw2D.MolDraw2DCairo(self.size, self.size)
            drawing.drawOptions().rotate = angle
            rdMolDraw2D.PrepareAndDrawMolecule(drawing, mol)
        drawing.FinishDrawing()
        return np.asarray(Image.open(io.BytesIO(drawing.GetDrawingText())).convert("RGB"))
