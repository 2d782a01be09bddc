"""A slow and obvious ray caster for the look of ``BallStick``: every ray against every ball and stick, in NumPy.

Shares no code with the renderer but the colours. Sticks run from atom to atom, through the balls.
"""

import numpy as np

from iem.records import BOND_ORDERS, Geometry
from iem.render.elements import COLOURS

FIELD_OF_VIEW = np.radians(20)
LIGHT = np.array([0.4, 0.4, 1.0]) / np.linalg.norm([0.4, 0.4, 1.0])
CAMERA = np.array([0.0, 0.0, 1.0])
LINES = {  # distance of each line from the bond's axis, radius of the lines; Å
    "single": ([0.0], 0.15),
    "double": ([-0.09, 0.09], 0.06),
    "triple": ([-0.75 / 7, 0.0, 0.75 / 7], 0.3 / 7),
    "aromatic": ([-0.09, 0.09], 0.06),
}


def picture(geometry: Geometry, rotation: np.ndarray, size: int) -> np.ndarray:
    """Uint8 ``(size, size, 4)``, as ``BallStick(size, depth=True)`` should draw it."""
    fine = 2 * size
    points = geometry.coordinates.astype(float) - geometry.coordinates.astype(float).mean(axis=0)
    reach = max(2.5, np.abs(points).max())
    balls, sticks = scene(geometry, points)
    balls = [(rotation @ centre, radius, colour) for centre, radius, colour in balls]
    sticks = [(rotation @ begin, rotation @ end, *rest) for begin, end, *rest in sticks]

    ticks = (np.arange(fine) + 0.5) / fine * 2 - 1
    wide = 640 / 480 * np.tan(FIELD_OF_VIEW / 2)
    u, v = np.meshgrid(ticks * wide, -ticks * wide)
    rays = np.stack([u, v, -np.ones_like(u)], axis=-1)
    eye = np.array([0.0, 0.0, reach / np.tan(FIELD_OF_VIEW / 2)])

    nearest = np.full(u.shape, np.inf)
    normals, colours = np.zeros((*u.shape, 3)), np.ones((*u.shape, 3))
    for centre, radius, colour in balls:
        t = hit_ball(eye, rays, centre, radius)[0]
        closer = t < nearest
        nearest[closer] = t[closer]
        normals[closer] = ((eye + t[..., None] * rays - centre) / radius)[closer]
        colours[closer] = colour
    for begin, end, radius, first, second in sticks:
        t = hit_stick(eye, rays, begin, end, radius)[0]
        closer = t < nearest
        nearest[closer] = t[closer]
        axis = end - begin
        along = (eye + t[closer][:, None] * rays[closer] - begin) @ axis / (axis @ axis)
        normals[closer] = (eye + t[closer][:, None] * rays[closer] - begin - along[:, None] * axis) / radius
        colours[closer] = np.where(along[:, None] < 0.5, first, second)

    seen = np.isfinite(nearest)
    places = eye + nearest[seen][:, None] * rays[seen]
    facing = normals[seen] @ LIGHT
    lit = (facing > 0) & ~shadowed(places, balls, sticks)
    half = (LIGHT + CAMERA) / np.linalg.norm(LIGHT + CAMERA)
    glance = normals[seen] @ half
    bright = 0.14 + 0.45 * normals[seen] @ CAMERA + lit * 0.45 * 2 / (1 + LIGHT[2]) * facing
    shine = np.where(lit & (glance > 0.8), 0.5 * np.maximum(glance, 0) ** 55, 0)
    colour = colours[seen] * np.clip(bright, 0, 1)[:, None] + shine[:, None]
    fog = np.clip(((1 - places[:, 2:] / (1.2 * reach)) / 2 - 0.45) / 0.55, 0, 1)
    sheet = np.ones((fine, fine, 4)) * (1, 1, 1, 0)
    sheet[seen, :3] = np.minimum(fog + (1 - fog) * colour, 1)
    sheet[seen, 3] = np.clip((places[:, 2] + 1.2 * reach) / (2.4 * reach), 0, 1)
    return (sheet.reshape(size, 2, size, 2, 4).mean(axis=(1, 3)) * 255).astype(np.uint8)


def scene(geometry: Geometry, points: np.ndarray) -> tuple[list[tuple], list[tuple]]:
    """Balls (centre, radius, colour) and sticks (begin, end, radius, colour of the halves)."""
    colours = COLOURS[geometry.numbers]
    bonded = set(geometry.bonds[:, :2].ravel().tolist())
    balls = [(point, 0.525 if atom in bonded else 0.25, colours[atom]) for atom, point in enumerate(points)]
    sticks = []
    for begin, end, order in geometry.bonds.tolist():
        shifts, radius = LINES[BOND_ORDERS[order]]
        side = sideways(geometry, points, begin, end)
        for shift in shifts:
            ends = (points[begin] + shift * side, points[end] + shift * side)
            sticks.append((*ends, radius, colours[begin], colours[end]))
    return balls, sticks


def sideways(geometry: Geometry, points: np.ndarray, begin: int, end: int) -> np.ndarray:
    """At right angles to the bond: towards a neighbour, or as PyMOL does where there is none."""
    axis = (points[end] - points[begin]) / np.linalg.norm(points[end] - points[begin])
    hints = []
    for atom in (begin, end):
        for one, other in geometry.bonds[:, :2].tolist():
            if atom in (one, other) and {one, other} != {begin, end}:
                hints.append(points[one + other - atom] - points[atom])
    lone = [axis * (1, 1, -1), np.cross(axis, axis[[1, 2, 0]])]
    for hint, least in [*((hint, 0.003) for hint in hints), *((hint, 1e-6) for hint in lone)]:
        across = hint - (hint @ axis) * axis
        if np.linalg.norm(across) > least:
            return across / np.linalg.norm(across)
    raise AssertionError("no direction is at right angles to the bond")


def hit_ball(start: np.ndarray, rays: np.ndarray, centre: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Where rays enter and leave a ball, in lengths of the ray; infinity where they miss."""
    away = start - centre
    a, b, c = (rays**2).sum(-1), (rays * away).sum(-1), (away**2).sum(-1) - radius**2
    root = np.sqrt(np.where(b * b > a * c, b * b - a * c, np.nan))
    return miss_is_infinite((-b - root) / a), miss_is_infinite((-b + root) / a)


def hit_stick(
    start: np.ndarray, rays: np.ndarray, begin: np.ndarray, end: np.ndarray, radius: float
) -> tuple[np.ndarray, np.ndarray]:
    """The same for the mantle of a cylinder between two points."""
    axis = (end - begin) / np.linalg.norm(end - begin)
    flat_rays = rays - (rays @ axis)[..., None] * axis
    away = start - begin
    flat_away = away - (away @ axis)[..., None] * axis
    a, b = (flat_rays**2).sum(-1), (flat_rays * flat_away).sum(-1)
    c = (flat_away**2).sum(-1) - radius**2
    root = np.sqrt(np.where(b * b > a * c, b * b - a * c, np.nan))
    hits = []
    for t in ((-b - root) / a, (-b + root) / a):
        along = (away + t[..., None] * rays) @ axis
        inside = (along >= 0) & (along <= np.linalg.norm(end - begin))
        hits.append(miss_is_infinite(np.where(inside, t, np.nan)))
    return hits[0], hits[1]


def miss_is_infinite(t: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(t), np.inf, t)


def shadowed(places: np.ndarray, balls: list[tuple], sticks: list[tuple]) -> np.ndarray:
    """Whether something is hit on the way to the light; what a place itself lies on is not."""
    rays = np.broadcast_to(LIGHT, places.shape)
    dark = np.zeros(len(places), dtype=bool)
    for centre, radius, _ in balls:
        own = np.abs(np.linalg.norm(places - centre, axis=1) - radius) < 1e-4
        for t in hit_ball(places, rays, centre, radius):
            dark |= ~own & (t > 1e-3) & np.isfinite(t)
    for begin, end, radius, *_ in sticks:
        axis = (end - begin) / np.linalg.norm(end - begin)
        away = places - begin
        own = np.abs(np.linalg.norm(away - (away @ axis)[:, None] * axis, axis=1) - radius) < 1e-4
        for t in hit_stick(places, rays, begin, end, radius):
            dark |= ~own & (t > 1e-3) & np.isfinite(t)
    return dark
