"""Typed tuples that cross the borders between rooms. NumPy only."""

from typing import NamedTuple

import numpy as np

STATUSES = ("etkdg", "etkdg-random-coords", "given", "flat")
"""How a molecule came by its coordinates, best first (``given``: by the user, in an SDF)."""

BOND_ORDERS = ("single", "double", "triple", "aromatic")
"""Meaning of ``Geometry.bonds[:, 2]``: an index into this tuple; any other bond is drawn and counted as single."""


class Rejection(NamedTuple):
    """One input row that was left out, and why."""

    row: int
    """Zero-based position in the input, header not counted."""
    input: str
    """The molecule as the user wrote it."""
    stage: str
    """``parse``, ``label``, ``conformer``, ``featurize``, ..."""
    reason: str
    """In words, for people."""


class Geometry(NamedTuple):
    """The heavy atoms of one molecule in space: all that a renderer needs."""

    numbers: np.ndarray
    """Atomic numbers, uint8, shape ``(atoms,)``."""
    bonds: np.ndarray
    """Begin atom, end atom, index into ``BOND_ORDERS``; uint16, shape ``(bonds, 3)``."""
    coordinates: np.ndarray
    """Position in ångström, float32, shape ``(atoms, 3)``."""
    status: str
    """One of ``STATUSES``."""


class PriorTarget(NamedTuple):
    """One molecule's answer to one prior (atom counts, geometry, ...)."""

    values: np.ndarray
    """float32, shape ``(size,)``, in the units that the prior declares; meaningless where unknown."""
    known: np.ndarray
    """bool, shape ``(size,)``; false where no answer exists: padding, a failed descriptor."""


class Split(NamedTuple):
    """Row positions of the three parts; disjoint, ascending within the order of the splitter."""

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
