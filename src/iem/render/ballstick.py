"""Ball-and-stick pictures in PyMOL's style: analytic spheres and cylinders in a z-buffer, with cast shadows.

Camera, framing, sizes, colours, lights and fog are PyMOL's under the settings of the paper's appendix: the molecule
stands at its own centre, the field of view is 20°, the 4:3 frame is padded to a square.
"""

import math
from typing import final

import numba
import numpy as np

from iem.records import Geometry
from iem.render.base import RENDERERS
from iem.render.elements import COLOURS

VERSION = 1
"""Counts changes that may change a pixel."""

BALL = 0.525
"""Å; stick_radius 0.15 times stick_ball_ratio 3.5."""
STICK = 0.15
"""Å."""
LINES = ((1, 0.0, STICK), (2, 0.075, 0.075), (3, 0.1, 0.05), (2, 0.075, 0.075))
"""By bond order (``BOND_ORDERS``): how many parallel sticks, their distance from the bond's axis, their radius; Å."""
SLOPE = math.tan(math.radians(10))
"""Half the field of view."""
PAD = 640 / 480
"""The frame is 4:3 and padded to a square."""
SMALLEST = 2.5
"""Å; PyMOL never zooms closer."""
SLAB = 1.2
"""Distance of the clipping planes from the centre, in units of the framing radius; fog is measured between them."""
FOG_START = 0.45
AMBIENT, DIRECT, REFLECT, SPECULAR, SHININESS = 0.075, 0.535, 0.465, 0.5, 55
"""Measured on a single ball of PyMOL's ray tracer (residual 0.3 % of full scale)."""
LIGHT = np.array([0.4, 0.4, 1.0]) / math.sqrt(1.32)
HALFWAY = np.add(LIGHT, (0.0, 0.0, 1.0)) / np.linalg.norm(np.add(LIGHT, (0.0, 0.0, 1.0)))
OVERSAMPLING = 2
"""Rays per pixel and direction."""


@final
class BallStick:
    """PyMOL's ball-and-stick look without PyMOL.

    Args:
        size: side of the pictures in pixels.
    """

    def __init__(self, size: int = 224) -> None:
        self.size = size

    @property
    def signature(self) -> str:
        return f"ballstick {VERSION} size={self.size}"

    def __call__(self, geometry: Geometry, rotations: np.ndarray) -> np.ndarray:
        """Pictures, uint8 ``(views, size, size, 3)``; every view is framed like the pose as it stands."""
        pictures = np.empty((len(rotations), self.size, self.size, 3), dtype=np.uint8)
        points = geometry.coordinates.astype(np.float64)
        points = points - points.mean(axis=0)
        radius = max(float(np.abs(points).max(initial=0.0)), SMALLEST)
        sticks = sticks_of(points, geometry.bonds.astype(np.int64))
        colours = COLOURS[geometry.numbers]
        for rotation, picture in zip(rotations, pictures, strict=True):
            turned = sticks.copy()
            turned[:, :3], turned[:, 3:6] = sticks[:, :3] @ rotation.T, sticks[:, 3:6] @ rotation.T
            draw_into(picture, points @ rotation.T, turned, colours, radius)
        return pictures


RENDERERS.add("ballstick")(BallStick)


def sticks_of(points: np.ndarray, bonds: np.ndarray) -> np.ndarray:
    """Cylinders of all bonds, ``(sticks, 9)``: two ends, radius, and the two atoms whose colours they take.

    The lines of a multiple bond lie side by side in the plane of the bond's neighbours.
    """
    neighbours: list[list[int]] = [[] for _ in points]
    for begin, end, _ in bonds:
        neighbours[begin].append(int(end))
        neighbours[end].append(int(begin))
    rows = []
    for begin, end, order in bonds:
        count, offset, radius = LINES[order]
        side = _sideways(points, int(begin), int(end), neighbours) if count > 1 else np.zeros(3)
        for line in range(count):
            shift = side * offset * (line * 2 / (count - 1) - 1) if count > 1 else side
            rows.append([*(points[begin] + shift), *(points[end] + shift), radius, begin, end])
    return np.array(rows, dtype=np.float64).reshape(-1, 9)


def _sideways(points: np.ndarray, begin: int, end: int, neighbours: list[list[int]]) -> np.ndarray:
    """Unit vector at right angles to a bond, in the plane of a neighbour if one is off the axis."""
    axis = points[end] - points[begin]
    away = [
        points[other] - points[atom] for atom in (begin, end) for other in neighbours[atom] if other not in (begin, end)
    ]
    for direction in (*away, np.array([0.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0])):
        normal = direction - axis * (direction @ axis) / max(axis @ axis, 1e-12)
        length = np.linalg.norm(normal)
        if length > 0.1:
            return normal / length
    return np.zeros(3)


@numba.njit(cache=True, nogil=True)
def draw_into(picture: np.ndarray, atoms: np.ndarray, sticks: np.ndarray, colours: np.ndarray, radius: float) -> None:
    """Draw one view.

    Args:
        picture: uint8 (size, size, 3), overwritten.
        atoms: centres, turned, around the origin; float64 (atoms, 3), Å.
        sticks: as ``sticks_of`` returns them, turned.
        colours: of the atoms, 0 to 1, float64 (atoms, 3).
        radius: framing radius, Å.
    """
    size = picture.shape[0]
    fine = size * OVERSAMPLING
    distance = radius / SLOPE
    pixel = 2 * SLOPE * PAD / fine  # on the plane at distance 1
    depth = np.full((fine, fine), np.inf)
    normals = np.zeros((fine, fine, 3))
    owner = np.full((fine, fine), -1, dtype=np.int32)

    for atom in range(len(atoms)):
        x, y, z = atoms[atom, 0], atoms[atom, 1], atoms[atom, 2] - distance
        if -z <= BALL:
            continue
        left, right, top, bottom = _bounds(x, y, -z, x, y, -z, BALL, pixel, fine)
        gap = x * x + y * y + z * z - BALL * BALL
        for row in range(top, bottom):
            v = (0.5 * fine - row - 0.5) * pixel
            for column in range(left, right):
                u = (column + 0.5 - 0.5 * fine) * pixel
                a, b = u * u + v * v + 1.0, u * x + v * y - z
                root = b * b - a * gap
                if root <= 0.0:
                    continue
                t = (b - math.sqrt(root)) / a
                if t < depth[row, column]:
                    depth[row, column], owner[row, column] = t, atom
                    normals[row, column, 0] = (u * t - x) / BALL
                    normals[row, column, 1] = (v * t - y) / BALL
                    normals[row, column, 2] = (-t - z) / BALL

    for stick in range(len(sticks)):
        x, y, z = sticks[stick, 0], sticks[stick, 1], sticks[stick, 2] - distance
        p, q, w = sticks[stick, 3] - x, sticks[stick, 4] - y, sticks[stick, 5] - distance - z
        thick = sticks[stick, 6]
        length = math.sqrt(p * p + q * q + w * w)
        if length < 1e-6 or -z <= thick or -z - w <= thick:
            continue
        p, q, w = p / length, q / length, w / length
        left, right, top, bottom = _bounds(
            x, y, -z, x + p * length, y + q * length, -z - w * length, thick, pixel, fine
        )
        along0 = -(x * p + y * q + z * w)  # of the camera, measured from the begin
        ox, oy, oz = -x - along0 * p, -y - along0 * q, -z - along0 * w
        c = ox * ox + oy * oy + oz * oz - thick * thick
        for row in range(top, bottom):
            v = (0.5 * fine - row - 0.5) * pixel
            for column in range(left, right):
                u = (column + 0.5 - 0.5 * fine) * pixel
                along = u * p + v * q - w
                dx, dy, dz = u - along * p, v - along * q, -1.0 - along * w
                a, b = dx * dx + dy * dy + dz * dz, dx * ox + dy * oy + dz * oz
                root = b * b - a * c
                if root <= 0.0 or a < 1e-12:
                    continue
                t = (-b - math.sqrt(root)) / a
                place = along0 + t * along
                if t >= depth[row, column] or place < 0.0 or place > length:
                    continue
                depth[row, column] = t
                owner[row, column] = int(sticks[stick, 7 if 2 * place < length else 8])
                normals[row, column, 0] = (ox + t * dx) / thick
                normals[row, column, 1] = (oy + t * dy) / thick
                normals[row, column, 2] = (oz + t * dz) / thick

    reach = _shadow_reach(atoms)
    block = OVERSAMPLING * OVERSAMPLING
    for row in range(size):
        for column in range(size):
            red, green, blue = 0.0, 0.0, 0.0
            for i in range(row * OVERSAMPLING, (row + 1) * OVERSAMPLING):
                for j in range(column * OVERSAMPLING, (column + 1) * OVERSAMPLING):
                    atom = owner[i, j]
                    if atom < 0:
                        red, green, blue = red + 1.0, green + 1.0, blue + 1.0
                        continue
                    nx, ny, nz = normals[i, j, 0], normals[i, j, 1], normals[i, j, 2]
                    t = depth[i, j]
                    x = (j + 0.5 - 0.5 * fine) * pixel * t
                    y = (0.5 * fine - i - 0.5) * pixel * t
                    z = distance - t
                    bright, shine = AMBIENT + DIRECT * max(nz, 0.0), 0.0
                    facing = nx * LIGHT[0] + ny * LIGHT[1] + nz * LIGHT[2]
                    if facing > 0.0 and not _in_shadow(x, y, z, atom, atoms, reach):
                        bright += REFLECT * facing
                        glance = nx * HALFWAY[0] + ny * HALFWAY[1] + nz * HALFWAY[2]
                        if glance > 0.8:
                            shine = SPECULAR * glance**SHININESS
                    fog = (0.5 - 0.5 * z / (SLAB * radius) - FOG_START) / (1.0 - FOG_START)
                    fog = min(max(fog, 0.0), 1.0)
                    red += fog + (1.0 - fog) * min(colours[atom, 0] * bright + shine, 1.0)
                    green += fog + (1.0 - fog) * min(colours[atom, 1] * bright + shine, 1.0)
                    blue += fog + (1.0 - fog) * min(colours[atom, 2] * bright + shine, 1.0)
            picture[row, column, 0] = int(red / block * 255.0 + 0.5)
            picture[row, column, 1] = int(green / block * 255.0 + 0.5)
            picture[row, column, 2] = int(blue / block * 255.0 + 0.5)


@numba.njit(cache=True, nogil=True, inline="always")
def _bounds(
    x0: float, y0: float, d0: float, x1: float, y1: float, d1: float, thick: float, pixel: float, fine: int
) -> tuple[int, int, int, int]:
    """Columns and rows that a capsule between two points at depths d0 and d1 can touch."""
    near0, near1 = d0 - thick, d1 - thick
    left = min(min((x0 - thick) / near0, (x0 - thick) / d0), min((x1 - thick) / near1, (x1 - thick) / d1)) / pixel
    right = max(max((x0 + thick) / near0, (x0 + thick) / d0), max((x1 + thick) / near1, (x1 + thick) / d1)) / pixel
    low = min(min((y0 - thick) / near0, (y0 - thick) / d0), min((y1 - thick) / near1, (y1 - thick) / d1)) / pixel
    high = max(max((y0 + thick) / near0, (y0 + thick) / d0), max((y1 + thick) / near1, (y1 + thick) / d1)) / pixel
    half = 0.5 * fine
    return (
        int(min(max(half + left - 1.0, 0.0), fine)),
        int(min(max(half + right + 2.0, 0.0), fine)),
        int(min(max(half - high - 1.0, 0.0), fine)),
        int(min(max(half - low + 2.0, 0.0), fine)),
    )


@numba.njit(cache=True, nogil=True)
def _shadow_reach(atoms: np.ndarray) -> np.ndarray:
    """Atoms in the order in which the light meets them, nearest to it first, with how far along its way they are."""
    along = atoms[:, 0] * LIGHT[0] + atoms[:, 1] * LIGHT[1] + atoms[:, 2] * LIGHT[2]
    order = np.argsort(-along)
    result = np.empty((len(atoms), 2))
    for place in range(len(atoms)):
        result[place, 0], result[place, 1] = order[place], along[order[place]]
    return result


@numba.njit(cache=True, nogil=True)
def _in_shadow(x: float, y: float, z: float, owner: int, atoms: np.ndarray, reach: np.ndarray) -> bool:
    """Whether a ball of another atom stands between a point and the light."""
    here = x * LIGHT[0] + y * LIGHT[1] + z * LIGHT[2]
    for place in range(len(reach)):
        if reach[place, 1] <= here:  # this one and all that follow are behind
            return False
        atom = int(reach[place, 0])
        if atom == owner:
            continue
        dx, dy, dz = atoms[atom, 0] - x, atoms[atom, 1] - y, atoms[atom, 2] - z
        along = dx * LIGHT[0] + dy * LIGHT[1] + dz * LIGHT[2]
        if dx * dx + dy * dy + dz * dz - along * along < BALL * BALL:
            return True
    return False
