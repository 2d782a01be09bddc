"""What a renderer is: a geometry and some directions in, pictures out."""

from typing import Any, Protocol, runtime_checkable

import numpy as np

from iem.records import Geometry
from iem.registry import Registry


@runtime_checkable
class Renderer(Protocol):
    """Draws a molecule from one or more directions. Pure: the same geometry gives the same pixels, bit for bit."""

    @property
    def signature(self) -> str:
        """Everything that the pixels depend on besides geometry and directions, as text; part of every cache key."""

    def __call__(self, geometry: Geometry, rotations: np.ndarray) -> np.ndarray:
        """Pictures, uint8 ``(views, height, width, 3)``.

        Args:
            geometry: atoms and bonds.
            rotations: one per view, ``(views, 3, 3)``, about the centre of the atoms.
        """


RENDERERS: Registry[Renderer] = Registry("renderer")
"""Renderers by name; other packages join through entry points of the group ``iem.renderer``."""


@RENDERERS.add("ballstick")
def ballstick(**settings: Any) -> Renderer:
    """Ours; see ``BallStick``."""
    from iem.render.ballstick import BallStick

    return BallStick(**settings)


@RENDERERS.add("pymol")
def pymol(**settings: Any) -> Renderer:
    """The referee; see ``PyMOL``."""
    from iem.render.pymol import PyMOL

    return PyMOL(**settings)
