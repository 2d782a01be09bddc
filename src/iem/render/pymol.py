"""The referee: PyMOL's ray tracer with the settings of the paper's appendix. Slow, and an extra of its own."""

import io
import sys
from functools import cache
from threading import Lock
from typing import Any, final

import numpy as np
from PIL import Image

from iem.errors import ConfigError, UnavailableError
from iem.records import Geometry

SETTINGS = {
    "stick_ball": 1,
    "stick_ball_ratio": 3.5,
    "stick_radius": 0.15,
    "sphere_scale": 0.2,
    "valence": 1,
    "valence_mode": 0,
    "valence_size": 0.1,
    "ray_opaque_background": 1,
    "auto_color": 0,
}
"""Those of the appendix, a background that is there, and green carbon; everything else is PyMOL's default."""
WIDTH, HEIGHT = 640, 480
"""Pixels of PyMOL's frame."""
_ORDERS = (1, 2, 3, 4)
"""PyMOL's bond orders by ``BOND_ORDERS``."""
_IN_USE = Lock()


@final
class PyMOL:
    """Ray-traced frames of 640×480, padded with white to a square and resized, as the paper's pictures.

    Every molecule is drawn with sticks and, for atoms without bonds, small spheres: the look that PyMOL by itself
    gives to what contains carbon. One session a process, used by one thread at a time.

    Args:
        size: side of the pictures in pixels.

    Raises:
        UnavailableError: PyMOL is not installed.
    """

    def __init__(self, size: int = 224) -> None:
        if not 1 <= size <= 4096:
            raise ConfigError("size", size, "a picture has between 1 and 4096 pixels a side")
        self.size = size
        session()

    @property
    def signature(self) -> str:
        """Everything that the pixels depend on besides geometry and rotations."""
        return f"pymol {session().cmd.get_version()[0]} size={self.size}"

    def __call__(self, geometry: Geometry, rotations: np.ndarray) -> np.ndarray:
        """Pictures, uint8 ``(views, size, size, 3)``; every view is framed like the pose as it stands.

        Args:
            geometry: atoms and bonds.
            rotations: one per view, ``(views, 3, 3)``, about the mean of the atoms.
        """
        return np.stack([squared(frame, self.size) for frame in frames(geometry, rotations)])


def frames(geometry: Geometry, rotations: np.ndarray, width: int = WIDTH, height: int = HEIGHT) -> list[np.ndarray]:
    """PyMOL's own frames, uint8 ``(height, width, 3)`` each; arguments as those of ``PyMOL``."""
    cmd = session().cmd
    with _IN_USE:
        cmd.delete("all")
        cmd.load_model(_model(geometry), "molecule")
        cmd.hide("everything")
        cmd.show("sticks")
        cmd.show("nb_spheres")
        framing = cmd.get_view()[9:]
        drawn = []
        for rotation in rotations:
            cmd.set_view((*np.asarray(rotation, dtype=float).T.ravel(), *framing))
            cmd.ray(width, height)
            drawn.append(np.asarray(Image.open(io.BytesIO(cmd.png(None))).convert("RGB")))
    return drawn


def squared(frame: np.ndarray, size: int) -> np.ndarray:
    """A frame padded with white to a square and resized (bicubic), uint8 ``(size, size, 3)``."""
    height, width = frame.shape[:2]
    side = max(height, width)
    square = Image.new("RGB", (side, side), "white")
    square.paste(Image.fromarray(frame), ((side - width) // 2, (side - height) // 2))
    return np.asarray(square.resize((size, size)))


@cache
def session() -> Any:
    """This process's PyMOL."""
    script = vars(sys.modules["__main__"])
    taken = script.get("pymol")
    try:
        import pymol2
    except ImportError as error:
        raise UnavailableError("PyMOL is not installed; pip install 'iem[pymol]' brings it") from error
    session = pymol2.PyMOL()
    session.start()
    if taken is not None:
        script["pymol"] = taken  # PyMOL writes itself over whatever the running script calls so
    session.cmd.bg_color("white")
    for name, value in SETTINGS.items():
        session.cmd.set(name, value)
    return session


def _model(geometry: Geometry) -> Any:
    """The molecule as PyMOL takes it."""
    from chempy import Atom, Bond
    from chempy.models import Indexed
    from rdkit.Chem import GetPeriodicTable

    table, model = GetPeriodicTable(), Indexed()
    for number, point in zip(geometry.numbers, geometry.coordinates, strict=True):
        atom = Atom()
        atom.symbol = atom.name = table.GetElementSymbol(int(number)) if number else "X"
        atom.coord = [float(value) for value in point]
        model.atom.append(atom)
    for begin, end, order in geometry.bonds:
        bond = Bond()
        bond.index, bond.order = [int(begin), int(end)], _ORDERS[min(int(order), len(_ORDERS) - 1)]
        model.bond.append(bond)
    return model
