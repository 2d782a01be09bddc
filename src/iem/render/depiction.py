"""Flat pictures: RDKit's depiction of a molecule, as the paper's 2D images."""

import io
import math
from collections.abc import Sequence
from typing import NamedTuple, final

import numpy as np
from PIL import Image
from rdkit import Chem, rdBase
from rdkit.Chem import Mol, rdDepictor
from rdkit.Chem.Draw import rdMolDraw2D

VERSION = 1
"""Counts changes that may change a pixel."""
SHEET = 64
"""Pictures on a canvas at most."""
GUTTER = 8
"""One part in so many of a picture's side lies between it and the next: a letter may stand out."""


def layout(mol: Mol) -> np.ndarray:
    """RDKit's 2D layout, float64 ``(atoms, 2)``, in the order of the molecule's atoms; bonds are 1.5 long."""
    flat = Mol(mol)
    with rdBase.BlockLogs():
        rdDepictor.Compute2DCoords(flat)
    return flat.GetConformer().GetPositions()[:, :2]


class Sitter(NamedTuple):
    """A molecule to be depicted; see ``Depiction``."""

    mol: Mol
    angle: float = 0.0
    layout: np.ndarray | None = None


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
        return self.together([Sitter(mol, angle, layout)])[0]

    def together(self, sitters: Sequence[Sitter]) -> np.ndarray:
        """Pictures of several molecules, uint8 ``(molecules, size, size, 3)``, each as if it were drawn alone.

        They share a canvas, and with it the way out of RDKit, through a PNG file. Its place there may change the last
        bit of a shade, in one pixel of one picture of some hundred.
        """
        pictures = np.empty((len(sitters), self.size, self.size, 3), np.uint8)
        for start in range(0, len(sitters), SHEET):
            some = sitters[start : start + SHEET]
            pictures[start : start + SHEET] = self._sheet(some)
        return pictures

    def _sheet(self, sitters: Sequence[Sitter]) -> np.ndarray:
        size, columns = self.size, math.ceil(math.sqrt(len(sitters)))
        rows, step = -(-len(sitters) // columns), size + size // GUTTER
        drawing = rdMolDraw2D.MolDraw2DCairo(columns * step, rows * step, size, size)
        options = drawing.drawOptions()
        with rdBase.BlockLogs():
            for place, sitter in enumerate(sitters):
                options.rotate = sitter.angle
                drawing.SetOffset(place % columns * step, place // columns * step)
                rdMolDraw2D.PrepareAndDrawMolecule(drawing, _laid_out(sitter))
                options.clearBackground = False  # the first one cleared it for all
        drawing.FinishDrawing()
        sheet = np.asarray(Image.open(io.BytesIO(drawing.GetDrawingText())).convert("RGB"))
        cells = sheet.reshape(rows, step, columns, step, 3).swapaxes(1, 2)[:, :, :size, :size]
        return cells.reshape(-1, size, size, 3)[: len(sitters)]


def _laid_out(sitter: Sitter) -> Mol:
    """The molecule with its layout as a conformer."""
    if sitter.layout is None:
        mol = Chem.MolFromSmiles(Chem.MolToSmiles(sitter.mol))
        rdDepictor.Compute2DCoords(mol)
        return mol
    flat = Chem.Conformer(sitter.mol.GetNumAtoms())
    flat.SetPositions(np.pad(sitter.layout.astype(np.float64), ((0, 0), (0, 1))))
    flat.Set3D(False)
    mol = Mol(sitter.mol)
    mol.AddConformer(flat)
    return mol
