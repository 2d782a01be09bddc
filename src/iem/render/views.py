"""From which sides a molecule is looked at: sets of rotation matrices."""

import math

import numpy as np

from iem.errors import ConfigError

PAPER = np.array([np.diag(signs) for signs in ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1))], dtype=np.float64)
"""None, and 180° about x, y and z: the views of the paper's appendix."""

DIRECTIONS = np.array([(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)], dtype=np.float64) / math.sqrt(3)
"""Corners of a tetrahedron."""

MOST = 1_000
"""Views of a set; more than that is a slip of the pen, and fills the memory."""


def rotations(name: str) -> np.ndarray:
    """The rotations of a view set, float64 ``(views, 3, 3)``; each turns the molecule before it is looked at along -z.

    Args:
        name: ``paper`` (four), ``tetrahedral`` (four directions, no two the same or opposite), ``fibonacci:N`` (N
            directions spread evenly over the sphere), ``random:N`` or ``random:N:SEED`` (uniform).

    Raises:
        ConfigError: another name, or N is not a number from 1 to 1,000.
    """
    kind, *numbers = name.split(":")
    if name == "paper":
        return PAPER.copy()
    if name == "tetrahedral":
        return np.stack([_towards(direction) for direction in DIRECTIONS])
    known = (kind == "fibonacci" and len(numbers) == 1) or (kind == "random" and len(numbers) in (1, 2))
    if not known or not all(number.isdecimal() for number in numbers) or int(numbers[0]) < 1:
        raise ConfigError("views", name, "it must be paper, tetrahedral, fibonacci:N, random:N or random:N:SEED")
    count = int(numbers[0])
    if count > MOST:
        raise ConfigError("views", name, f"a molecule has {MOST:,} views at most")
    if kind == "random":
        return _uniform(np.random.default_rng(int(numbers[1]) if len(numbers) > 1 else 0), count)
    height = 1 - (2 * np.arange(count) + 1) / count
    angle = np.arange(count) * math.pi * (3 - math.sqrt(5))
    ring = np.sqrt(1 - height**2)
    return np.stack(
        [_towards(direction) for direction in np.column_stack([ring * np.cos(angle), ring * np.sin(angle), height])]
    )


def in_plane(degrees: float) -> np.ndarray:
    """Rotation of the picture about its centre, counter-clockwise, ``(3, 3)``."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])


def _towards(direction: np.ndarray) -> np.ndarray:
    """A rotation that brings a unit vector to +z, where the camera is."""
    helper = np.array([0.0, 1.0, 0.0]) if abs(direction[1]) < 0.9 else np.array([1.0, 0.0, 0.0])
    right = np.cross(helper, direction)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(direction, right), direction])


def _uniform(rng: np.random.Generator, count: int) -> np.ndarray:
    """Rotations uniform over all orientations, from random unit quaternions."""
    w, x, y, z = (quaternions := rng.normal(size=(count, 4))).T / np.linalg.norm(quaternions, axis=1)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    )
    return np.array(rows).transpose(2, 0, 1)
