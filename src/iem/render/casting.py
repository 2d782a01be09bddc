"""Rays against balls and sticks: what each ray hits first, and in which light. Compiled; one molecule, many views.

A picture is made in three steps. Every ball and stick is cast at the samples that it may cover, and a depth buffer
keeps the nearest. Then samples in a row that hit the same thing are shaded together, so that a processor can do several
at once. Last, samples are averaged to pixels.

Numba keeps compiled code until the file of the outermost function changes. So nothing compiled here calls or quotes
another module, and this one is long.
"""

import math
from typing import NamedTuple

import numba
import numpy as np

from iem.render.scene import Scene

OVERSAMPLING = 2
"""Rays per pixel and direction."""
SLOPE = math.tan(math.radians(10))
"""Half the field of view."""
PAD = 640 / 480
"""The frame is 4:3 and padded to a square."""
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
NOTHING = -1
"""What a ray hits that hits nothing."""
X, Y, Z, NORMAL_X, NORMAL_Y, NORMAL_Z, ALONG, DARK, RED, GREEN, BLUE = range(11)
"""What is known of every sample of a batch: its place, its normal, how far along the stick it is (0 to 1), whether it
is in the shadow (0 or 1), and its colour."""
ACROSS, UP, TOWARDS = RED, GREEN, BLUE
"""Its place as the light sees it, as long as it has no colour."""
BAND = 16
"""Rows of pixels that are shaded at a time, so that they stay near the processor."""
BATCH = 512
"""Samples of one thing that are shaded at a time."""

compiled = numba.njit(nogil=True, error_model="numpy")


class Band(NamedTuple):
    """Working memory for some rows of a picture, all in samples."""

    depth: np.ndarray
    """Distance along the camera's axis of what is hit, float32 ``(rows, columns)``."""
    owner: np.ndarray
    """Number of the ball or stick that is hit, or ``NOTHING``; int32."""
    spans: np.ndarray
    """The first sample of each row that may be hit, and the one behind the last; ``(rows, 2)``."""
    runs: np.ndarray
    """Neighbours that hit the same: row, first, the one behind the last, and the next run of the same owner."""
    latest: np.ndarray
    """Where the runs of each owner begin."""
    batch: np.ndarray
    """Samples that are shaded together, see ``X``; ``(11, samples)``."""
    colours: np.ndarray
    """Red, green and blue, 0 to 1; ``(rows, 3, columns)``."""


class Light(NamedTuple):
    """Who keeps the light from whom."""

    things: np.ndarray
    """Balls, then sticks, as the light sees them, ``(things, 8)``: two coordinates across the light and one towards it,
    of the begin; radius; for sticks the direction in the same coordinates, and the length."""
    first: np.ndarray
    """What may cast a shadow on thing ``i`` is ``shades[first[i] : first[i + 1]]``."""
    shades: np.ndarray


@numba.njit(cache=True, nogil=True, error_model="numpy")
def draw(pictures: np.ndarray, molecule: Scene, colours: np.ndarray, rotations: np.ndarray) -> None:
    """Draw views of one molecule into a buffer; releases the GIL.

    Args:
        pictures: uint8 ``(views, size, size, channels)``, white; a fourth channel is black, and takes the nearness.
        molecule: what to draw.
        colours: red, green and blue of each atom, 0 to 1; float64 ``(atoms, 3)``.
        rotations: float64 ``(views, 3, 3)``.
    """
    size = pictures.shape[1]
    fine, rows = size * OVERSAMPLING, min(size, BAND) * OVERSAMPLING
    scene = Scene(np.empty_like(molecule.atoms), molecule.balls, molecule.sticks.copy(), molecule.radius)
    count = len(scene.atoms) + len(scene.sticks)
    boxes = np.empty((count, 4), dtype=np.int64)
    band = Band(
        depth=np.empty((rows, fine), dtype=np.float32),
        owner=np.empty((rows, fine), dtype=np.int32),
        spans=np.empty((rows, 2), dtype=np.int64),
        runs=np.empty((rows * fine, 4), dtype=np.int32),
        latest=np.full(count, NOTHING, dtype=np.int32),
        batch=np.empty((11, max(fine, BATCH))),
        colours=np.empty((rows, 3, fine)),
    )
    for view in range(len(pictures)):
        _turn(molecule.atoms, rotations[view], scene.atoms, 0)
        _turn(molecule.sticks, rotations[view], scene.sticks, 0)
        _turn(molecule.sticks, rotations[view], scene.sticks, 3)
        _outline_balls(boxes, fine, scene)
        _outline_sticks(boxes[len(scene.atoms) :], fine, scene)
        light = _enlighten(scene)
        for top in range(0, size, BAND):
            height = min(BAND, size - top)
            above, rows = top * OVERSAMPLING, height * OVERSAMPLING
            _clear(band, rows)
            _hit_balls(band, above, rows, boxes, scene)
            _hit_sticks(band, above, rows, boxes, scene)
            _find_runs(band, rows)
            _shade(band, above, scene, light, colours)
            _average(pictures[view, top : top + height], band)
            if pictures.shape[3] > 3:
                _measure(pictures[view, top : top + height], band, scene.radius)


@compiled
def _turn(points: np.ndarray, rotation: np.ndarray, turned: np.ndarray, column: int) -> None:
    """Rotate the three coordinates that begin at a column."""
    for place in range(len(points)):
        x, y, z = points[place, column], points[place, column + 1], points[place, column + 2]
        for axis in range(3):
            turned[place, column + axis] = rotation[axis, 0] * x + rotation[axis, 1] * y + rotation[axis, 2] * z


@compiled
def _outline_balls(boxes: np.ndarray, fine: int, scene: Scene) -> None:
    """Left, right, top and bottom of what each ball may cover, in samples; nothing if the camera is within."""
    half, pixel = 0.5 * fine - 0.5, 2 * SLOPE * PAD / fine  # on the plane at distance 1
    atoms, balls, radius = scene.atoms, scene.balls, scene.radius
    for atom in range(len(atoms)):
        x, y, d = atoms[atom, 0], atoms[atom, 1], radius / SLOPE - atoms[atom, 2]
        ball = balls[atom]
        boxes[atom, 2] = boxes[atom, 3] = 0
        if d > ball:
            gap = x * x + y * y + d * d - ball * ball
            scale = 1 / ((d * d - ball * ball) * pixel)
            wide, high = ball * math.sqrt(gap - y * y), ball * math.sqrt(gap - x * x)
            boxes[atom, 0], boxes[atom, 1] = _clip(half + (x * d - wide) * scale, half + (x * d + wide) * scale, fine)
            boxes[atom, 2], boxes[atom, 3] = _clip(half - (y * d + high) * scale, half - (y * d - high) * scale, fine)


@compiled
def _outline_sticks(boxes: np.ndarray, fine: int, scene: Scene) -> None:
    """The same for sticks, but only top and bottom."""
    half, pixel = 0.5 * fine - 0.5, 2 * SLOPE * PAD / fine
    sticks, radius = scene.sticks, scene.radius
    for stick in range(len(sticks)):
        d, d1, thick = radius / SLOPE - sticks[stick, 2], radius / SLOPE - sticks[stick, 5], sticks[stick, 6]
        boxes[stick, 2] = boxes[stick, 3] = 0
        if min(d, d1) > thick:
            v0, v1 = sticks[stick, 1] / d, sticks[stick, 4] / d1
            reach = 1.2 * thick / (min(d, d1) - thick)  # of the outline from the axis, on the plane at distance 1
            low, high = half - (max(v0, v1) + reach) / pixel, half - (min(v0, v1) - reach) / pixel
            boxes[stick, 2], boxes[stick, 3] = _clip(low, high, fine)


@compiled
def _hit_balls(band: Band, above: int, rows: int, boxes: np.ndarray, scene: Scene) -> None:
    """Cast rays at the balls: ``rows`` rows of samples that have ``above`` others above them."""
    depth, owner, spans = band.depth, band.owner, band.spans
    atoms, radius = scene.atoms, scene.radius
    fine = depth.shape[1]
    half, pixel = 0.5 * fine - 0.5, 2 * SLOPE * PAD / fine
    for atom in range(len(atoms)):
        left, right = boxes[atom, 0], boxes[atom, 1]
        top, bottom = max(boxes[atom, 2] - above, 0), min(boxes[atom, 3] - above, rows)
        if top >= bottom:
            continue
        x, y, d = atoms[atom, 0], atoms[atom, 1], radius / SLOPE - atoms[atom, 2]
        ball = scene.balls[atom]
        gap = x * x + y * y + d * d - ball * ball
        for row in range(top, bottom):
            _widen(spans, row, left, right)
            v = (half - (above + row)) * pixel
            depths, owners = depth[row, left:right], owner[row, left:right]
            for k in range(len(depths)):
                u = (left + k - half) * pixel
                a, b = u * u + v * v + 1.0, u * x + v * y + d
                root = b * b - a * gap
                t = np.float32((b - math.sqrt(root)) / a)
                nearer = (root > 0.0) & (t < depths[k])
                depths[k] = t if nearer else depths[k]
                owners[k] = np.int32(atom) if nearer else owners[k]


@compiled
def _hit_sticks(band: Band, above: int, rows: int, boxes: np.ndarray, scene: Scene) -> None:
    """Cast rays at the sticks, otherwise as ``_hit_balls``."""
    depth, owner, spans = band.depth, band.owner, band.spans
    sticks, radius, first = scene.sticks, scene.radius, len(scene.atoms)
    fine = depth.shape[1]
    half, pixel = 0.5 * fine - 0.5, 2 * SLOPE * PAD / fine
    for stick in range(len(sticks)):
        top = max(boxes[first + stick, 2] - above, 0)
        bottom = min(boxes[first + stick, 3] - above, rows)
        if top >= bottom:
            continue
        x, y, d = sticks[stick, 0], sticks[stick, 1], radius / SLOPE - sticks[stick, 2]
        x1, y1, d1 = sticks[stick, 3], sticks[stick, 4], radius / SLOPE - sticks[stick, 5]
        thick = sticks[stick, 6]
        length = math.sqrt((x1 - x) ** 2 + (y1 - y) ** 2 + (d1 - d) ** 2)
        p, q, w = (x1 - x) / length, (y1 - y) / length, (d1 - d) / length
        u0, u1, v0, v1 = x / d, x1 / d1, y / d, y1 / d1
        reach = 1.2 * thick / (min(d, d1) - thick)
        slant = (u1 - u0) / (v1 - v0) if v1 != v0 else np.inf
        spread = reach * math.sqrt(1 + slant * slant)
        before = x * p + y * q + d * w  # of the begin, along the axis from the camera
        ox, oy, od = before * p - x, before * q - y, before * w - d
        c = ox * ox + oy * oy + od * od - thick * thick
        for row in range(top, bottom):
            v = (half - (above + row)) * pixel
            low, far = min(u0, u1) - reach, max(u0, u1) + reach
            if spread < 1e3:
                middle = u0 + (v - v0) * slant
                low, far = max(low, middle - spread), min(far, middle + spread)
            left, right = _clip(half + low / pixel, half + far / pixel, fine)
            if left >= right:
                continue
            _widen(spans, row, left, right)
            depths, owners = depth[row, left:right], owner[row, left:right]
            for k in range(len(depths)):
                u = (left + k - half) * pixel
                along = u * p + v * q + w
                dx, dy, dd = u - along * p, v - along * q, 1.0 - along * w
                a, b = dx * dx + dy * dy + dd * dd, dx * ox + dy * oy + dd * od
                root = b * b - a * c
                t = (-b - math.sqrt(root)) / a
                place, near = t * along - before, np.float32(t)
                nearer = (root > 0.0) & (place >= 0.0) & (place <= length) & (near < depths[k])
                depths[k] = near if nearer else depths[k]
                owners[k] = np.int32(first + stick) if nearer else owners[k]


@compiled
def _clip(low: float, high: float, fine: int) -> tuple[int, int]:
    """Range of samples between two places, within the picture."""
    return int(min(max(low, 0.0), fine)), int(min(max(high + 1.0, 0.0), fine))


@compiled
def _widen(spans: np.ndarray, row: int, left: int, right: int) -> None:
    spans[row, 0], spans[row, 1] = min(spans[row, 0], left), max(spans[row, 1], right)


@compiled
def _clear(band: Band, rows: int) -> None:
    for row in range(rows):
        depths, owners = band.depth[row], band.owner[row]
        band.spans[row, 0], band.spans[row, 1] = len(depths), 0
        for column in range(len(depths)):
            depths[column] = np.inf
        for column in range(len(owners)):
            owners[column] = NOTHING


@compiled
def _find_runs(band: Band, rows: int) -> None:
    """Fill ``band.runs`` and ``band.latest``, and make white what ``_average`` will look at and nothing has hit."""
    found = 0
    for row in range(rows):
        left, right = _columns(band.spans, row // OVERSAMPLING)
        line, start, stop = band.owner[row], left * OVERSAMPLING, right * OVERSAMPLING
        while start < stop:
            hit, end = line[start], start + 1
            while end < stop and line[end] == hit:
                end += 1
            if hit == NOTHING:
                for channel in range(3):
                    blank = band.colours[row, channel, start:end]
                    for k in range(len(blank)):
                        blank[k] = 1.0
            else:
                run = band.runs[found]
                run[0], run[1], run[2], run[3] = row, start, end, band.latest[hit]
                band.latest[hit] = found
                found += 1
            start = end


@compiled
def _columns(spans: np.ndarray, row: int) -> tuple[int, int]:
    """Pixels of a row that may be hit: the first and the one behind the last."""
    left, right = spans[row * OVERSAMPLING, 0], spans[row * OVERSAMPLING, 1]
    for i in range(row * OVERSAMPLING + 1, (row + 1) * OVERSAMPLING):
        left, right = min(left, spans[i, 0]), max(right, spans[i, 1])
    return left // OVERSAMPLING, (right + OVERSAMPLING - 1) // OVERSAMPLING


@compiled
def _average(picture: np.ndarray, band: Band) -> None:
    """Samples of a band to rows of pixels, uint8 ``(rows, columns, 3)``, which come in white."""
    share, colours = 255.0 / (OVERSAMPLING * OVERSAMPLING), band.colours
    for row in range(len(picture)):
        left, right = _columns(band.spans, row)
        for column in range(left, right):
            for channel in range(3):
                total = 0.0
                for i in range(row * OVERSAMPLING, (row + 1) * OVERSAMPLING):
                    for j in range(column * OVERSAMPLING, (column + 1) * OVERSAMPLING):
                        total += colours[i, channel, j]
                picture[row, column, channel] = int(total * share)  # PyMOL cuts off, too


@compiled
def _measure(picture: np.ndarray, band: Band, radius: float) -> None:
    """How near the samples are to the camera, between the planes of the fog, as the fourth value of a pixel."""
    share = 255.0 / (OVERSAMPLING * OVERSAMPLING)
    for row in range(len(picture)):
        left, right = _columns(band.spans, row)
        for column in range(left, right):
            total = 0.0
            for i in range(row * OVERSAMPLING, (row + 1) * OVERSAMPLING):
                for j in range(column * OVERSAMPLING, (column + 1) * OVERSAMPLING):
                    z = radius / SLOPE - band.depth[i, j]  # minus infinity where nothing is hit
                    total += min(max(0.5 + 0.5 * z / (SLAB * radius), 0.0), 1.0)
            picture[row, column, 3] = int(total * share)


@compiled
def _shade(band: Band, above: int, scene: Scene, light: Light, colours: np.ndarray) -> None:
    """Colour what the rays hit, thing by thing."""
    runs, batch, atoms = band.runs, band.batch, len(scene.atoms)
    for hit in range(len(band.latest)):
        run = band.latest[hit]
        band.latest[hit] = NOTHING
        while run != NOTHING:
            begin, count = run, 0
            while run != NOTHING and count + runs[run, 2] - runs[run, 1] <= batch.shape[1]:
                count += _place(batch, count, band.depth, above, runs[run, 0], runs[run, 1], runs[run, 2], scene.radius)
                run = runs[run, 3]
            near_half = far_half = hit
            if hit < atoms:
                _face_ball(batch, count, scene.atoms[hit], scene.balls[hit])
            else:
                stick = scene.sticks[hit - atoms]
                near_half, far_half = int(stick[7]), int(stick[8])
                _face_stick(batch, count, stick)
            _darken(batch, count, hit, light, atoms)
            _colour(batch, count, colours[near_half], colours[far_half], scene.radius)
            _put(band, begin, run)


@compiled
def _put(band: Band, begin: int, stop: int) -> None:
    """The colours of a batch to where its runs are."""
    run, done = begin, 0
    while run != stop:
        row, start, end = band.runs[run, 0], band.runs[run, 1], band.runs[run, 2]
        for channel in range(3):
            line = band.colours[row, channel, start:end]
            for k in range(len(line)):
                line[k] = band.batch[RED + channel, done + k]
        done += end - start
        run = band.runs[run, 3]


@compiled
def _place(
    batch: np.ndarray, done: int, depth: np.ndarray, above: int, row: int, start: int, end: int, radius: float
) -> int:
    """Where the samples of a run are; returns how many they are."""
    fine = depth.shape[1]
    half, pixel = 0.5 * fine - 0.5, 2 * SLOPE * PAD / fine
    depths, v = depth[row, start:end], (half - (above + row)) * pixel
    for k in range(len(depths)):
        t = float(depths[k])
        batch[X, done + k], batch[Y, done + k], batch[Z, done + k] = (
            (start + k - half) * pixel * t,
            v * t,
            radius / SLOPE - t,
        )
    return end - start


@compiled
def _face_ball(batch: np.ndarray, count: int, atom: np.ndarray, ball: float) -> None:
    x, y, z = atom[0], atom[1], atom[2]
    for k in range(count):
        batch[NORMAL_X, k], batch[NORMAL_Y, k] = (batch[X, k] - x) / ball, (batch[Y, k] - y) / ball
        batch[NORMAL_Z, k], batch[ALONG, k] = (batch[Z, k] - z) / ball, 0.0


@compiled
def _face_stick(batch: np.ndarray, count: int, stick: np.ndarray) -> None:
    x, y, z, thick = stick[0], stick[1], stick[2], stick[6]
    ax, ay, az = stick[3] - x, stick[4] - y, stick[5] - z
    square = ax * ax + ay * ay + az * az
    for k in range(count):
        nx, ny, nz = batch[X, k] - x, batch[Y, k] - y, batch[Z, k] - z
        along = (nx * ax + ny * ay + nz * az) / square
        batch[NORMAL_X, k], batch[NORMAL_Y, k] = (nx - along * ax) / thick, (ny - along * ay) / thick
        batch[NORMAL_Z, k], batch[ALONG, k] = (nz - along * az) / thick, along


@compiled
def _colour(batch: np.ndarray, count: int, near_half: np.ndarray, far_half: np.ndarray, radius: float) -> None:
    """Red, green and blue of a batch from the rest and the colours of the halves."""
    red, green, blue = near_half[0], near_half[1], near_half[2]
    far_red, far_green, far_blue = far_half[0], far_half[1], far_half[2]
    for k in range(count):
        nx, ny, nz = batch[NORMAL_X, k], batch[NORMAL_Y, k], batch[NORMAL_Z, k]
        facing = nx * LIGHT_X + ny * LIGHT_Y + nz * LIGHT_Z
        lit = (facing > 0.0) & (batch[DARK, k] == 0.0)
        glance = nx * HALF_X + ny * HALF_Y + nz * HALF_Z
        g4 = glance * glance * glance * glance
        g16 = g4 * g4 * g4 * g4
        shine = SPECULAR * g16 * g16 * g16 * g4 * glance * glance * glance  # shininess 55
        shine = shine if lit & (glance > 0.8) else 0.0
        bright = AMBIENT + DIRECT * nz + (REFLECT * facing if lit else 0.0)
        bright = min(max(bright, 0.0), 1.0)
        fog = (0.5 - 0.5 * batch[Z, k] / (SLAB * radius) - FOG_START) / (1.0 - FOG_START)
        fog = min(max(fog, 0.0), 1.0)
        near = batch[ALONG, k] < 0.5
        batch[RED, k] = min(fog + (1.0 - fog) * ((red if near else far_red) * bright + shine), 1.0)
        batch[GREEN, k] = min(fog + (1.0 - fog) * ((green if near else far_green) * bright + shine), 1.0)
        batch[BLUE, k] = min(fog + (1.0 - fog) * ((blue if near else far_blue) * bright + shine), 1.0)


@compiled
def _darken(batch: np.ndarray, count: int, hit: int, light: Light, balls: int) -> None:
    """Find the samples of a batch that a ball or stick keeps from the light; ``balls`` of the things are balls."""
    things = light.things
    for k in range(count):
        across, up, towards = _to_light(batch[X, k], batch[Y, k], batch[Z, k])
        batch[ACROSS, k], batch[UP, k], batch[TOWARDS, k], batch[DARK, k] = across, up, towards + SHADOW_GAP, 0.0
    for other in light.shades[light.first[hit] : light.first[hit + 1]]:
        x, y, z, r = things[other, 0], things[other, 1], things[other, 2], things[other, 3]
        if other < balls:
            for k in range(count):
                dx, dy, before = batch[ACROSS, k] - x, batch[UP, k] - y, batch[DARK, k]
                dark = (z > batch[TOWARDS, k]) & (dx * dx + dy * dy < r * r)
                batch[DARK, k] = 1.0 if dark else before
            continue
        ax, ay, az, length = things[other, 4], things[other, 5], things[other, 6], things[other, 7]
        flat = ax * ax + ay * ay  # of the axis, across the light
        for k in range(count):
            dx, dy = batch[ACROSS, k] - x, batch[UP, k] - y
            towards, before = batch[TOWARDS, k], batch[DARK, k]
            miss = dx * ay - dy * ax
            chord = math.sqrt(
                (r * r - miss * miss / flat) / flat
            )  # times az, ± from the middle: the ray's way in and out
            middle = (dx * ax + dy * ay) / flat
            low, high = middle - chord * az, middle + chord * az
            enters = (low >= 0.0) & (low <= length) & (z + low * az - chord * flat > towards)
            leaves = (high >= 0.0) & (high <= length) & (z + high * az + chord * flat > towards)
            dark = (miss * miss < r * r * flat) & (enters | leaves)
            batch[DARK, k] = 1.0 if dark else before


@compiled
def _enlighten(scene: Scene) -> Light:
    atoms, balls, sticks = scene.atoms, scene.balls, scene.sticks
    things = np.zeros((len(atoms) + len(sticks), 8))
    for atom in range(len(atoms)):
        across, up, towards = _to_light(atoms[atom, 0], atoms[atom, 1], atoms[atom, 2])
        things[atom, 0], things[atom, 1], things[atom, 2], things[atom, 3] = across, up, towards, balls[atom]
    for stick in range(len(sticks)):
        thing = things[len(atoms) + stick]
        x, y, z = _to_light(sticks[stick, 0], sticks[stick, 1], sticks[stick, 2])
        x1, y1, z1 = _to_light(sticks[stick, 3], sticks[stick, 4], sticks[stick, 5])
        length = math.sqrt((x1 - x) * (x1 - x) + (y1 - y) * (y1 - y) + (z1 - z) * (z1 - z))
        thing[0], thing[1], thing[2], thing[3] = x, y, z, sticks[stick, 6]
        thing[4], thing[5], thing[6], thing[7] = (x1 - x) / length, (y1 - y) / length, (z1 - z) / length, length
    first, shades = _occluders(things, len(atoms))
    return Light(things, first, shades)


@compiled
def _to_light(x: float, y: float, z: float) -> tuple[float, float, float]:
    """Two coordinates across the light and one towards it."""
    across = (x - y) * math.sqrt(0.5)
    up = (z * (LIGHT_X + LIGHT_Y) - (x + y) * LIGHT_Z) * math.sqrt(0.5)
    return across, up, x * LIGHT_X + y * LIGHT_Y + z * LIGHT_Z


@compiled
def _occluders(things: np.ndarray, balls: int) -> tuple[np.ndarray, np.ndarray]:
    """See ``Light.first``."""
    count = len(things)
    boxes = np.empty((6, count))  # two corners: across, up, towards
    widest = 0.0
    for i in range(count):
        for axis in range(3):
            step = things[i, 4 + axis] * things[i, 7]
            boxes[axis, i] = things[i, axis] + min(step, 0.0) - things[i, 3]
            boxes[3 + axis, i] = things[i, axis] + max(step, 0.0) + things[i, 3]
        widest = max(widest, boxes[3, i] - boxes[0, i])
    order = _sorted(boxes[0])
    first = np.zeros(count + 1, dtype=np.int64)
    shades = np.empty(16 * count + 16, dtype=np.int32)
    found = 0
    for i in range(count):
        floor = boxes[2, i] + things[i, 3]  # what is lit faces the light and lies above the centre or axis
        begin, end = 0, count  # those that do not end too far left, by halving
        while begin < end:
            middle = (begin + end) // 2
            if boxes[0, order[middle]] < boxes[0, i] - widest:
                begin = middle + 1
            else:
                end = middle
        for place in range(begin, count):
            j = order[place]
            if boxes[0, j] >= boxes[3, i]:
                break
            if (
                i == j
                or boxes[3, j] <= boxes[0, i]
                or boxes[4, j] <= boxes[1, i]
                or boxes[1, j] >= boxes[4, i]
                or boxes[5, j] <= floor
            ):
                continue
            if i < balls and j < balls:
                x, y = things[i, 0] - things[j, 0], things[i, 1] - things[j, 1]
                if x * x + y * y >= (things[i, 3] + things[j, 3]) ** 2:
                    continue
            if found == len(shades):
                shades = _enlarged(shades)
            shades[found] = j
            found += 1
        first[i + 1] = found
    return first, shades


@compiled
def _enlarged(values: np.ndarray) -> np.ndarray:
    """The same with as much room again; simpler for the compiler than ``np.concatenate``."""
    larger = np.empty(2 * len(values), dtype=np.int32)
    for i in range(len(values)):
        larger[i] = values[i]
    return larger


@compiled
def _sorted(keys: np.ndarray) -> np.ndarray:
    """Positions in ascending order of their keys; by insertion, as there are few and compiling must be quick."""
    order = np.arange(len(keys))
    for i in range(1, len(keys)):
        moved, place = order[i], i
        while place > 0 and keys[order[place - 1]] > keys[moved]:
            order[place] = order[place - 1]
            place -= 1
        order[place] = moved
    return order
