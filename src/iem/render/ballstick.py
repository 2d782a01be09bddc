"""Ball-and-stick pictures in PyMOL's style: analytic spheres and cylinders in a z-buffer, with cast shadows.

Camera, framing, sizes, colours, lights and fog are those of PyMOL's ray tracer under the settings of the paper's
appendix. Coordinates are in Å; x points right, y up and z to the camera, which looks at the mean of the atoms.
"""

import math
from typing import final

import numba
import numpy as np

from iem.errors import ConfigError, MoleculeError
from iem.records import Geometry
from iem.render.elements import COLOURS

VERSION = 2
"""Counts changes that may change a pixel."""

OVERSAMPLING = 2
"""Rays per pixel and direction."""
BALL = 0.525
"""Å; stick_radius 0.15 times stick_ball_ratio 3.5."""
LONE_BALL = 0.25
"""Å; an atom without bonds (nb_spheres_size)."""
LINES = np.array([[1, 0.0, 0.15], [2, 0.09, 0.06], [3, 0.75 / 7, 0.3 / 7], [2, 0.09, 0.06]])
"""By bond order (``BOND_ORDERS``): how many parallel sticks, their distance from the bond's axis, their radius; Å."""
SLOPE = math.tan(math.radians(10))
"""Half the field of view."""
PAD = 640 / 480
"""The frame is 4:3 and padded to a square."""
SMALLEST = 2.5
"""Å; PyMOL never zooms closer."""
SLAB = 1.2
"""Clipping planes before and behind the centre, in framing radii; the fog is measured between them."""
FOG_START = 0.45
AMBIENT, DIRECT, SPECULAR = 0.14, 0.45, 0.5
_NORM = math.sqrt(0.4**2 + 0.4**2 + 1.0)
LIGHT_X, LIGHT_Y, LIGHT_Z = 0.4 / _NORM, 0.4 / _NORM, 1.0 / _NORM
"""Where the light comes from."""
REFLECT = 0.45 * 2 / (1 + LIGHT_Z)
"""PyMOL's reflect, which it scales by the direction of the light."""
_HALF = math.sqrt(2 + 2 * LIGHT_Z)
HALF_X, HALF_Y, HALF_Z = LIGHT_X / _HALF, LIGHT_Y / _HALF, (LIGHT_Z + 1) / _HALF
"""Halfway between light and camera: where a surface faces when it shines."""
SHADOW_GAP = 0.001
"""Å; what is no farther towards the light casts no shadow (ray_shadow_fudge)."""


@final
class BallStick:
    """PyMOL's ball-and-stick look without PyMOL.

    Args:
        size: side of the pictures in pixels.
        letterbox: cut the square to PyMOL's 4:3 frame, as the paper's pictures are; what sticks out is lost.
    """

    def __init__(self, size: int = 224, *, letterbox: bool = False) -> None:
        if not 1 <= size <= 4096:
            raise ConfigError("size", size, "a picture has between 1 and 4096 pixels a side")
        self.size, self.letterbox = size, letterbox

    @property
    def signature(self) -> str:
        """Everything that the pixels depend on besides geometry and directions."""
        return f"ballstick {VERSION} size={self.size}" + (" letterbox" if self.letterbox else "")

    def __call__(self, geometry: Geometry, rotations: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Pictures, uint8 ``(views, size, size, 3)``; every view is framed like the pose as it stands.

        Args:
            geometry: atoms and bonds; ``bonds`` and ``coordinates`` may be of any numeric type.
            rotations: one per view, ``(views, 3, 3)``, about the mean of the atoms.
            out: where to draw, if the caller has a place for it.

        Raises:
            ConfigError: ``out`` has another shape or type than the pictures.
            MoleculeError: stage ``render``: the geometry cannot be drawn, see ``check``.
        """
        shape = (len(rotations), self.size, self.size, 3)
        pictures = np.empty(shape, dtype=np.uint8) if out is None else out
        if pictures.shape != shape or pictures.dtype != np.uint8:
            raise ConfigError("out", f"{pictures.dtype} {pictures.shape}", f"these pictures need uint8 {shape}")
        check(geometry)
        drawn = pictures if pictures.flags.c_contiguous else np.empty_like(pictures, order="C")
        draw_into(
            drawn,
            np.ascontiguousarray(geometry.numbers, dtype=np.uint8),
            np.ascontiguousarray(geometry.bonds, dtype=np.uint16).reshape(-1, 3),
            np.ascontiguousarray(geometry.coordinates, dtype=np.float32),
            np.ascontiguousarray(rotations, dtype=np.float64).reshape(-1, 3, 3),
        )
        if self.letterbox:
            bar = round(self.size * (1 - 1 / PAD) / 2)
            drawn[:, :bar] = 255
            drawn[:, self.size - bar :] = 255
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


@numba.njit(cache=True, nogil=True, error_model="numpy")
def draw_into(
    pictures: np.ndarray, numbers: np.ndarray, bonds: np.ndarray, coordinates: np.ndarray, rotations: np.ndarray
) -> None:
    """Draw views of one molecule into a buffer; releases the GIL.

    Args:
        pictures: uint8 ``(views, size, size, 3)``, overwritten.
        numbers: atomic numbers, uint8 ``(atoms,)``.
        bonds: begin, end, order; uint16 ``(bonds, 3)``.
        coordinates: Å, float32 ``(atoms, 3)``.
        rotations: float64 ``(views, 3, 3)``.
    """
    points, radius = _framed(coordinates)
    balls = np.full(len(points), LONE_BALL)
    for bond in bonds:
        balls[bond[0]] = balls[bond[1]] = BALL
    sticks = _sticks_of(points, bonds)
    fine = pictures.shape[1] * OVERSAMPLING
    depth = np.empty((fine, fine), dtype=np.float32)
    owner = np.empty((fine, fine), dtype=np.int32)
    for view in range(len(pictures)):
        atoms, lines = np.empty_like(points), sticks.copy()
        _turn(points, rotations[view], atoms)
        _turn(sticks[:, :3], rotations[view], lines[:, :3])
        _turn(sticks[:, 3:6], rotations[view], lines[:, 3:6])
        depth[:] = np.inf
        _hit_balls(depth, owner, atoms, balls, radius)
        _hit_sticks(depth, owner, len(atoms), lines, radius)
        _shade(pictures[view], depth, owner, numbers, atoms, balls, lines, radius)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _framed(coordinates: np.ndarray) -> tuple[np.ndarray, float]:
    """Atoms around their mean, float64, and the radius that PyMOL zooms to: the largest deviation along an axis."""
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


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _turn(points: np.ndarray, rotation: np.ndarray, turned: np.ndarray) -> None:
    for place in range(len(points)):
        x, y, z = points[place, 0], points[place, 1], points[place, 2]
        for axis in range(3):
            turned[place, axis] = rotation[axis, 0] * x + rotation[axis, 1] * y + rotation[axis, 2] * z


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _sticks_of(points: np.ndarray, bonds: np.ndarray) -> np.ndarray:
    """The visible part of all sticks, ``(sticks, 9)``: two ends, radius, and the atoms whose colours the halves take.

    The lines of a multiple bond lie side by side in the plane of the bond's neighbours. What is inside the balls at
    both ends is cut off; bonds so short that nothing remains are left out.
    """
    rows = np.empty((3 * len(bonds), 9))
    count = 0
    for bond in bonds:
        begin, end, order = int(bond[0]), int(bond[1]), min(int(bond[2]), len(LINES) - 1)
        x, y, z = points[end] - points[begin]
        length = math.sqrt(x * x + y * y + z * z)
        lines, offset, thick = int(LINES[order, 0]), LINES[order, 1], LINES[order, 2]
        hidden = math.sqrt(BALL**2 - (offset + thick) ** 2) - 1e-6 * length
        if not length > 2 * hidden:
            continue
        axis = np.array([x / length, y / length, z / length])
        side = _sideways(points, bonds, begin, end, axis) if lines > 1 else np.zeros(3)
        for line in range(lines):
            shift = offset * (2 * line / (lines - 1) - 1) if lines > 1 else 0.0
            rows[count, :3] = points[begin] + axis * hidden + side * shift
            rows[count, 3:6] = points[end] - axis * hidden + side * shift
            rows[count, 6], rows[count, 7], rows[count, 8] = thick, begin, end
            count += 1
    return rows[:count]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _sideways(points: np.ndarray, bonds: np.ndarray, begin: int, end: int, axis: np.ndarray) -> np.ndarray:
    """Unit vector at right angles to a bond, in the plane of a neighbour if one is off the axis."""
    for atom in (begin, end):
        for bond in bonds:
            other = int(bond[1]) if bond[0] == atom else int(bond[0]) if bond[1] == atom else atom
            if other not in (begin, end):
                away = points[other] - points[atom]
                away -= axis * (axis[0] * away[0] + axis[1] * away[1] + axis[2] * away[2])
                length = math.sqrt(away[0] ** 2 + away[1] ** 2 + away[2] ** 2)
                if length > 0.003:
                    return away / length
    away = np.array([axis[0], axis[1], -axis[2]])  # PyMOL's choices where no neighbour gives a plane
    away -= axis * (axis[0] * away[0] + axis[1] * away[1] + axis[2] * away[2])
    length = math.sqrt(away[0] ** 2 + away[1] ** 2 + away[2] ** 2)
    if length < 1e-6:
        away = np.cross(axis, np.array([axis[1], axis[2], axis[0]]))
        length = math.sqrt(away[0] ** 2 + away[1] ** 2 + away[2] ** 2)
    return away / length


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _hit_balls(depth: np.ndarray, owner: np.ndarray, atoms: np.ndarray, balls: np.ndarray, radius: float) -> None:
    """Cast rays at the balls; ``depth`` is the distance along the camera's axis, ``owner`` the atom."""
    fine = len(depth)
    half, pixel = 0.5 * fine - 0.5, 2 * SLOPE * PAD / fine  # on the plane at distance 1
    for atom in range(len(atoms)):
        x, y, d = atoms[atom, 0], atoms[atom, 1], radius / SLOPE - atoms[atom, 2]
        ball = balls[atom]
        if d <= ball:
            continue
        gap = x * x + y * y + d * d - ball * ball
        scale = 1 / ((d * d - ball * ball) * pixel)
        wide, high = ball * math.sqrt(gap - y * y), ball * math.sqrt(gap - x * x)
        left, right = _clip(half + (x * d - wide) * scale, half + (x * d + wide) * scale, fine)
        top, bottom = _clip(half - (y * d + high) * scale, half - (y * d - high) * scale, fine)
        for row in range(top, bottom):
            v = (half - row) * pixel
            for column in range(left, right):
                u = (column - half) * pixel
                a, b = u * u + v * v + 1.0, u * x + v * y + d
                root = b * b - a * gap
                if root > 0.0:
                    t = np.float32((b - math.sqrt(root)) / a)
                    if t < depth[row, column]:
                        depth[row, column], owner[row, column] = t, atom


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _hit_sticks(depth: np.ndarray, owner: np.ndarray, first: int, sticks: np.ndarray, radius: float) -> None:
    """Cast rays at the sticks; owners are counted on from ``first``."""
    fine = len(depth)
    half, pixel = 0.5 * fine - 0.5, 2 * SLOPE * PAD / fine
    for stick in range(len(sticks)):
        x, y, d = sticks[stick, 0], sticks[stick, 1], radius / SLOPE - sticks[stick, 2]
        x1, y1, d1 = sticks[stick, 3], sticks[stick, 4], radius / SLOPE - sticks[stick, 5]
        thick = sticks[stick, 6]
        if min(d, d1) <= thick:
            continue
        length = math.sqrt((x1 - x) ** 2 + (y1 - y) ** 2 + (d1 - d) ** 2)
        p, q, w = (x1 - x) / length, (y1 - y) / length, (d1 - d) / length
        u0, u1, v0, v1 = x / d, x1 / d1, y / d, y1 / d1
        reach = 1.2 * thick / (min(d, d1) - thick)  # of the outline from the axis, on the plane at distance 1
        top, bottom = _clip(half - (max(v0, v1) + reach) / pixel, half - (min(v0, v1) - reach) / pixel, fine)
        slant = (u1 - u0) / (v1 - v0) if v1 != v0 else np.inf
        spread = reach * math.sqrt(1 + slant * slant)
        before = x * p + y * q + d * w  # of the begin, along the axis from the camera
        ox, oy, od = before * p - x, before * q - y, before * w - d
        c = ox * ox + oy * oy + od * od - thick * thick
        for row in range(top, bottom):
            v = (half - row) * pixel
            low, far = min(u0, u1) - reach, max(u0, u1) + reach
            if spread < 1e3:
                middle = u0 + (v - v0) * slant
                low, far = max(low, middle - spread), min(far, middle + spread)
            left, right = _clip(half + low / pixel, half + far / pixel, fine)
            for column in range(left, right):
                u = (column - half) * pixel
                along = u * p + v * q + w
                dx, dy, dd = u - along * p, v - along * q, 1.0 - along * w
                a, b = dx * dx + dy * dy + dd * dd, dx * ox + dy * oy + dd * od
                root = b * b - a * c
                if root > 0.0:
                    t = (-b - math.sqrt(root)) / a
                    place = t * along - before
                    if 0.0 <= place <= length and np.float32(t) < depth[row, column]:
                        depth[row, column], owner[row, column] = np.float32(t), first + stick


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _clip(low: float, high: float, fine: int) -> tuple[int, int]:
    """Range of samples between two places, within the picture."""
    return int(min(max(low, 0.0), fine)), int(min(max(high + 1.0, 0.0), fine))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _shade(
    picture: np.ndarray,
    depth: np.ndarray,
    owner: np.ndarray,
    numbers: np.ndarray,
    atoms: np.ndarray,
    balls: np.ndarray,
    sticks: np.ndarray,
    radius: float,
) -> None:
    """Colour what the rays hit, and average over the pixels."""
    fine = len(depth)
    half, pixel = 0.5 * fine - 0.5, 2 * SLOPE * PAD / fine
    things = _in_light(atoms, balls, sticks)
    first, shades = _occluders(things, len(atoms))
    for row in range(len(picture)):
        for column in range(len(picture)):
            red, green, blue = 0.0, 0.0, 0.0
            for i in range(row * OVERSAMPLING, (row + 1) * OVERSAMPLING):
                for j in range(column * OVERSAMPLING, (column + 1) * OVERSAMPLING):
                    t = float(depth[i, j])
                    if t == np.inf:
                        red, green, blue = red + 1.0, green + 1.0, blue + 1.0
                        continue
                    hit = owner[i, j]
                    x, y, z = (j - half) * pixel * t, (half - i) * pixel * t, radius / SLOPE - t
                    if hit < len(atoms):
                        atom = hit
                        ball = balls[atom]
                        nx, ny, nz = (
                            (x - atoms[atom, 0]) / ball,
                            (y - atoms[atom, 1]) / ball,
                            (z - atoms[atom, 2]) / ball,
                        )
                    else:
                        stick = sticks[hit - len(atoms)]
                        ax, ay, az = stick[3] - stick[0], stick[4] - stick[1], stick[5] - stick[2]
                        nx, ny, nz = x - stick[0], y - stick[1], z - stick[2]
                        place = (nx * ax + ny * ay + nz * az) / (ax * ax + ay * ay + az * az)
                        atom = int(stick[7 if place < 0.5 else 8])
                        thick = stick[6]
                        nx, ny, nz = (nx - place * ax) / thick, (ny - place * ay) / thick, (nz - place * az) / thick
                    bright, shine = AMBIENT + DIRECT * nz, 0.0
                    facing = nx * LIGHT_X + ny * LIGHT_Y + nz * LIGHT_Z
                    if facing > 0.0 and not _in_shadow(
                        x, y, z, shades[first[hit] : first[hit + 1]], things, len(atoms)
                    ):
                        bright += REFLECT * facing
                        glance = nx * HALF_X + ny * HALF_Y + nz * HALF_Z
                        if glance > 0.8:
                            g4 = glance * glance * glance * glance
                            g16 = g4 * g4 * g4 * g4
                            shine = SPECULAR * g16 * g16 * g16 * g4 * glance * glance * glance  # shininess 55
                    bright = min(max(bright, 0.0), 1.0)
                    fog = (0.5 - 0.5 * z / (SLAB * radius) - FOG_START) / (1.0 - FOG_START)
                    fog = min(max(fog, 0.0), 1.0)
                    colour = COLOURS[numbers[atom]]
                    red += min(fog + (1.0 - fog) * (colour[0] * bright + shine), 1.0)
                    green += min(fog + (1.0 - fog) * (colour[1] * bright + shine), 1.0)
                    blue += min(fog + (1.0 - fog) * (colour[2] * bright + shine), 1.0)
            share = 255.0 / (OVERSAMPLING * OVERSAMPLING)
            picture[row, column, 0] = int(red * share)  # PyMOL cuts off, too
            picture[row, column, 1] = int(green * share)
            picture[row, column, 2] = int(blue * share)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _in_light(atoms: np.ndarray, balls: np.ndarray, sticks: np.ndarray) -> np.ndarray:
    """Balls and sticks as the light sees them, ``(things, 8)``.

    Two coordinates across the light and one towards it, of the begin; then the radius; then for sticks the direction
    in the same coordinates, and the length (0 for balls).
    """
    things = np.zeros((len(atoms) + len(sticks), 8))
    for atom in range(len(atoms)):
        across, up, towards = _to_light(atoms[atom, 0], atoms[atom, 1], atoms[atom, 2])
        things[atom, 0], things[atom, 1], things[atom, 2], things[atom, 3] = across, up, towards, balls[atom]
    for stick in range(len(sticks)):
        begin = _to_light(sticks[stick, 0], sticks[stick, 1], sticks[stick, 2])
        end = _to_light(sticks[stick, 3], sticks[stick, 4], sticks[stick, 5])
        x, y, z = end[0] - begin[0], end[1] - begin[1], end[2] - begin[2]
        length = math.sqrt(x * x + y * y + z * z)
        thing = things[len(atoms) + stick]
        thing[0], thing[1], thing[2], thing[3] = begin[0], begin[1], begin[2], sticks[stick, 6]
        thing[4], thing[5], thing[6], thing[7] = x / length, y / length, z / length, length
    return things


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _to_light(x: float, y: float, z: float) -> tuple[float, float, float]:
    """Two coordinates across the light and one towards it."""
    across = (x - y) * math.sqrt(0.5)
    up = (z * (LIGHT_X + LIGHT_Y) - (x + y) * LIGHT_Z) * math.sqrt(0.5)
    return across, up, x * LIGHT_X + y * LIGHT_Y + z * LIGHT_Z


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _occluders(things: np.ndarray, balls: int) -> tuple[np.ndarray, np.ndarray]:
    """What can cast a shadow on what: those on ``i`` are ``shades[first[i] : first[i + 1]]``."""
    count = len(things)
    boxes = np.empty((count, 6))
    for i in range(count):
        for axis in range(3):
            step = things[i, 4 + axis] * things[i, 7]
            boxes[i, axis] = things[i, axis] + min(step, 0.0) - things[i, 3]
            boxes[i, 3 + axis] = things[i, axis] + max(step, 0.0) + things[i, 3]
    first = np.zeros(count + 1, dtype=np.int64)
    shades = np.empty(16 * count + 16, dtype=np.int32)
    found = 0
    for i in range(count):
        for j in range(count):
            if (
                boxes[j, 5] > boxes[i, 2]
                and boxes[j, 0] < boxes[i, 3]
                and boxes[i, 0] < boxes[j, 3]
                and boxes[j, 1] < boxes[i, 4]
                and boxes[i, 1] < boxes[j, 4]
                and i != j
            ):
                if i < balls and j < balls:
                    x, y = things[i, 0] - things[j, 0], things[i, 1] - things[j, 1]
                    if x * x + y * y >= (things[i, 3] + things[j, 3]) ** 2:
                        continue
                if found == len(shades):
                    shades = np.concatenate((shades, shades))
                shades[found] = j
                found += 1
        first[i + 1] = found
    return first, shades


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _in_shadow(x: float, y: float, z: float, shades: np.ndarray, things: np.ndarray, balls: int) -> bool:
    """Whether a ball or stick stands between a point and the light."""
    across, up, towards = _to_light(x, y, z)
    towards += SHADOW_GAP
    for other in shades:
        r = things[other, 3]
        dx, dy = across - things[other, 0], up - things[other, 1]
        if other < balls:
            if things[other, 2] > towards and dx * dx + dy * dy < r * r:
                return True
            continue
        ax, ay, az = things[other, 4], things[other, 5], things[other, 6]
        flat = ax * ax + ay * ay  # of the axis, across the light
        miss = dx * ay - dy * ax
        if miss * miss >= r * r * flat:
            continue
        chord = math.sqrt(
            (r * r - miss * miss / flat) / flat
        )  # times az, ± from the middle: where the ray goes in and out
        middle = (dx * ax + dy * ay) / flat
        for sign in (-1.0, 1.0):
            place = middle + sign * chord * az
            height = things[other, 2] + place * az + sign * chord * flat
            if 0.0 <= place <= things[other, 7] and height > towards:
                return True
    return False
