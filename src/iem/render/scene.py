"""What PyMOL would build of a molecule: balls and sticks in Å, around the centre that the camera looks at."""

import math
from typing import NamedTuple

import numba
import numpy as np

BALL = 0.525
"""Å; stick_radius 0.15 times stick_ball_ratio 3.5."""
LONE_BALL = 0.25
"""Å; an atom without bonds (nb_spheres_size)."""
LINES = np.array([[1, 0.0, 0.15], [2, 0.09, 0.06], [3, 0.75 / 7, 0.3 / 7], [2, 0.09, 0.06]])
"""By bond order (``BOND_ORDERS``): how many parallel sticks, their distance from the bond's axis, their radius; Å."""
SMALLEST = 2.5
"""Å; PyMOL never zooms closer."""

compiled = numba.njit(nogil=True, error_model="numpy")


class Scene(NamedTuple):
    """Balls and sticks of one molecule; float64."""

    atoms: np.ndarray
    """Places around their mean, ``(atoms, 3)``."""
    balls: np.ndarray
    """Radius of the ball of each atom, ``(atoms,)``."""
    sticks: np.ndarray
    """The visible parts, ``(sticks, 9)``: two ends, radius, and the atoms whose colours the halves take."""
    radius: float
    """What PyMOL zooms to: the largest deviation along an axis."""


@numba.njit(cache=True, nogil=True, error_model="numpy")
def build(coordinates: np.ndarray, bonds: np.ndarray) -> Scene:
    """The molecule at rest.

    Args:
        coordinates: Å, float32 ``(atoms, 3)``.
        bonds: begin, end, order; uint16 ``(bonds, 3)``.
    """
    points, radius = _framed(coordinates)
    balls = np.empty(len(points))
    for atom in range(len(points)):
        balls[atom] = LONE_BALL
    for row in range(len(bonds)):
        balls[bonds[row, 0]] = BALL
        balls[bonds[row, 1]] = BALL
    return Scene(points, balls, _sticks(points, bonds), radius)


@compiled
def _framed(coordinates: np.ndarray) -> tuple[np.ndarray, float]:
    count = len(coordinates)
    points = np.empty((count, 3))
    radius = SMALLEST
    for axis in range(3):
        total = 0.0
        for atom in range(count):
            total += coordinates[atom, axis]
        for atom in range(count):
            points[atom, axis] = coordinates[atom, axis] - total / count
            radius = max(radius, abs(points[atom, axis]))
    return points, radius


@compiled
def _sticks(points: np.ndarray, bonds: np.ndarray) -> np.ndarray:
    """The lines of a multiple bond lie side by side in the plane of the bond's neighbours.

    What is inside the balls at both ends is cut off; bonds so short that nothing remains are left out.
    """
    rows = np.empty((3 * len(bonds), 9))
    axis, side = np.empty(3), np.zeros(3)
    count = 0
    for row in range(len(bonds)):
        begin, end, order = int(bonds[row, 0]), int(bonds[row, 1]), min(int(bonds[row, 2]), len(LINES) - 1)
        for i in range(3):
            axis[i] = points[end, i] - points[begin, i]
        length = _length(axis)
        lines, offset, thick = int(LINES[order, 0]), LINES[order, 1], LINES[order, 2]
        hidden = math.sqrt(BALL**2 - (offset + thick) ** 2) - 1e-6 * length
        if not length > 2 * hidden:
            continue
        _normalise(axis)
        if lines > 1:
            _sideways(points, bonds, begin, end, axis, side)
        for line in range(lines):
            shift = offset * (2 * line / (lines - 1) - 1) if lines > 1 else 0.0
            for i in range(3):
                rows[count, i] = points[begin, i] + axis[i] * hidden + side[i] * shift
                rows[count, 3 + i] = points[end, i] - axis[i] * hidden + side[i] * shift
            rows[count, 6], rows[count, 7], rows[count, 8] = thick, begin, end
            count += 1
    return rows[:count]


@compiled
def _sideways(points: np.ndarray, bonds: np.ndarray, begin: int, end: int, axis: np.ndarray, side: np.ndarray) -> None:
    """Set ``side`` to a unit vector across a bond, in the plane of a neighbour if one is off the axis."""
    for atom in (begin, end):
        for row in range(len(bonds)):
            other = int(bonds[row, 1]) if bonds[row, 0] == atom else int(bonds[row, 0])
            if atom not in (bonds[row, 0], bonds[row, 1]) or other in (begin, end):
                continue
            for i in range(3):
                side[i] = points[other, i] - points[atom, i]
            _project(side, axis)
            if _length(side) > 0.003:
                _normalise(side)
                return
    side[0], side[1], side[2] = axis[0], axis[1], -axis[2]  # PyMOL's choice where no neighbour gives a plane
    _project(side, axis)
    if _length(side) < 1e-6:
        side[0] = axis[1] * axis[0] - axis[2] * axis[2]
        side[1] = axis[2] * axis[1] - axis[0] * axis[0]
        side[2] = axis[0] * axis[2] - axis[1] * axis[1]
    _normalise(side)


@compiled
def _project(vector: np.ndarray, axis: np.ndarray) -> None:
    """Take away what lies along an axis."""
    along = axis[0] * vector[0] + axis[1] * vector[1] + axis[2] * vector[2]
    for i in range(3):
        vector[i] -= axis[i] * along


@compiled
def _normalise(vector: np.ndarray) -> None:
    length = _length(vector)
    for i in range(3):
        vector[i] /= length


@compiled
def _length(vector: np.ndarray) -> float:
    return math.sqrt(vector[0] ** 2 + vector[1] ** 2 + vector[2] ** 2)
