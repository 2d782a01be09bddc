"""Molecules to pictures, for workers that have no need of a network."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from rdkit import rdBase

from iem.chem.conformers import ConformerSettings, check_size, conformer, flat_geometry
from iem.chem.molecules import parse
from iem.errors import MoleculeError
from iem.records import Geometry
from iem.render.base import Renderer
from iem.render.depiction import Depiction
from iem.render.views import rotations

Coordinates = Geometry | str | None
"""Of a molecule; the reason why it has none; None where they have yet to be made."""


class Drawn(NamedTuple):
    """One molecule's pictures, or why there are none."""

    key: str
    pictures: np.ndarray | None
    """uint8 (views, height, width, 3)."""
    note: str
    """Conformer status, or the reason."""
    made: Coordinates = None
    """The conformer, or why there is none, if it had to be made."""


class Spatial(NamedTuple):
    """Draws the 3D views of a molecule."""

    renderer: Renderer
    view_set: str
    conformers: ConformerSettings

    @property
    def signature(self) -> str:
        return f"{self.renderer.signature} {self.view_set} {self.conformers.signature}"

    def __call__(self, smiles: str, geometry: Coordinates) -> Drawn:
        made = self._embedded(smiles) if geometry is None else None
        shown = made if geometry is None else geometry
        if isinstance(shown, Geometry):
            return Drawn(smiles, self.renderer(shown, rotations(self.view_set)), shown.status, made)
        assert shown is not None
        return Drawn(smiles, None, shown, made)

    def _embedded(self, smiles: str) -> Geometry | str:
        try:
            return conformer(parse(smiles), self.conformers)
        except MoleculeError as error:
            return error.reason


class Layout(NamedTuple):
    """Draws RDKit's flat layout as if it were a conformer: the paper's 2D image by PyMOL (Table 4)."""

    renderer: Renderer
    view_set: str

    @property
    def signature(self) -> str:
        return f"{self.renderer.signature} {self.view_set} layout+rdkit({rdBase.rdkitVersion})"

    def __call__(self, smiles: str, geometry: Coordinates) -> Drawn:
        try:
            flat = flat_geometry(parse(smiles))
        except MoleculeError as error:
            return Drawn(smiles, None, error.reason)
        return Drawn(smiles, self.renderer(flat, rotations(self.view_set)), "layout")


class Depicted(NamedTuple):
    """Draws the 2D depiction of a molecule; needs no conformer."""

    depiction: Depiction

    @property
    def signature(self) -> str:
        return self.depiction.signature

    def __call__(self, smiles: str, geometry: Coordinates) -> Drawn:
        try:
            mol = parse(smiles)
            check_size(mol)
            return Drawn(smiles, self.depiction(mol)[None], "depiction")
        except MoleculeError as error:
            return Drawn(smiles, None, error.reason)
        except (RuntimeError, ValueError) as error:
            return Drawn(smiles, None, f"RDKit cannot draw it ({error})")


def draw_some(artist: Spatial | Layout | Depicted, chunk: Sequence[tuple[str, Coordinates]]) -> list[Drawn]:
    """Pictures of several molecules, for one worker."""
    return [artist(smiles, geometry) for smiles, geometry in chunk]
