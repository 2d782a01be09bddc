"""Ball-and-stick pictures in PyMOL's style: analytic spheres and cylinders in a z-buffer, with cast shadows.

Camera, framing, sizes, colours, lights and fog are those of PyMOL's ray tracer under the settings of the paper's
appendix. Coordinates are in Å; x points right, y up and z to the camera, which looks at the mean of the atoms.
"""

from typing import final

import numpy as np

from iem.errors import ConfigError, MoleculeError
from iem.records import Geometry
from iem.render import casting, scene
from iem.render.elements import COLOURS

VERSION = 2
"""Counts changes that may change a pixel."""


@final
class BallStick:
    """PyMOL's ball-and-stick look without PyMOL.

    Args:
        size: side of the pictures in pixels.
        letterbox: cut the square to PyMOL's 4:3 frame, as the paper's pictures are; what sticks out is lost.
        depth: add a fourth channel: how near each pixel is to the camera, from 0 on the plane where the fog is complete
            (``casting.SLAB`` framing radii behind the centre of the atoms) to 255 on the one as far before it; 0 where
            nothing is. Colours do not change.
    """

    def __init__(self, size: int = 224, *, letterbox: bool = False, depth: bool = False) -> None:
        if not 1 <= size <= 4096:
            raise ConfigError("size", size, "a picture has between 1 and 4096 pixels a side")
        self.size, self.letterbox, self.depth = size, letterbox, depth

    @property
    def _blank(self) -> np.ndarray:
        """A pixel without anything: white, and infinitely far."""
        return np.array([255, 255, 255, 0][: 3 + self.depth], dtype=np.uint8)

    @property
    def signature(self) -> str:
        """Everything that the pixels depend on besides geometry and directions."""
        return f"ballstick {VERSION} size={self.size}" + " letterbox" * self.letterbox + " depth" * self.depth

    def __call__(self, geometry: Geometry, rotations: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Pictures, uint8 ``(views, size, size, channels)``; every view is framed like the pose as it stands.

        Three channels, red, green and blue; four with ``depth``.

        Args:
            geometry: atoms and bonds; ``bonds`` and ``coordinates`` may be of any numeric type.
            rotations: one per view, ``(views, 3, 3)``, about the mean of the atoms.
            out: where to draw, if the caller has a place for it.

        Raises:
            ConfigError: ``out`` has another shape or type than the pictures.
            MoleculeError: stage ``render``: the geometry cannot be drawn, see ``check``.
        """
        shape = (len(rotations), self.size, self.size, 3 + self.depth)
        pictures = np.empty(shape, dtype=np.uint8) if out is None else out
        if pictures.shape != shape or pictures.dtype != np.uint8:
            raise ConfigError("out", f"{pictures.dtype} {pictures.shape}", f"these pictures need uint8 {shape}")
        check(geometry)
        drawn = pictures if pictures.flags.c_contiguous else np.empty_like(pictures, order="C")
        drawn[...] = self._blank
        # Copies, because for read-only arrays numba would compile everything a second time.
        coordinates = np.array(geometry.coordinates, dtype=np.float32, order="C")
        bonds = np.array(geometry.bonds, dtype=np.uint16, order="C").reshape(-1, 3)
        views = np.array(rotations, dtype=np.float64, order="C").reshape(-1, 3, 3)
        casting.draw(drawn, scene.build(coordinates, bonds), COLOURS[geometry.numbers], views)
        if self.letterbox:
            bar = round(self.size * (1 - 1 / casting.PAD) / 2)
            drawn[:, :bar] = self._blank
            drawn[:, self.size - bar :] = self._blank
        if drawn is not pictures:
            pictures[...] = drawn
        return pictures


def check(geometry: Geometry) -> None:
    """Stop what compiled code would stumble over.

    Raises:
        MoleculeError: stage ``render``: an atom has no finite place, or a bond ends at an atom that is not there.
    """
    count, name = len(geometry.numbers), f"a geometry of {len(geometry.numbers):,} atoms"
    if geometry.coordinates.shape != (count, 3) or not np.isfinite(geometry.coordinates).all():
        raise MoleculeError(name, "render", "it needs three finite coordinates for every atom")
    if len(geometry.bonds) and np.max(geometry.bonds[:, :2]) >= count:
        raise MoleculeError(name, "render", "a bond ends at an atom that is not there")
