"""A labelled sheet of pictures: one row per molecule."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from iem.chem.conformers import conformer
from iem.chem.molecules import parse
from iem.errors import MoleculeError, TableError
from iem.files import write_bytes
from iem.render.ballstick import BallStick
from iem.render.depiction import Depiction
from iem.render.views import rotations
from iem.workflows.console import say

STATUS = {
    "etkdg": "3D conformer (ETKDGv3, MMFF94)",
    "etkdg-random-coords": "3D conformer (ETKDGv3 from random coordinates, MMFF94)",
    "flat": "no 3D conformer found, drawn flat",
}
INK, QUIET = (33, 37, 41), (108, 117, 125)


def draw_grid(molecules: Sequence[str], *, out: Path, size: int, views: str) -> None:
    """Draw what can be drawn, and say what cannot.

    Raises:
        TableError: none of the molecules can be drawn.
    """
    view_set, depiction, renderer = rotations(views), Depiction(size), BallStick(size)
    rows = []
    for text in molecules:
        try:
            mol = parse(text)
            geometry = conformer(mol)
        except MoleculeError as error:
            say(f"left out: {error}")
            continue
        pictures = [depiction(mol), *renderer(geometry, view_set)]
        rows.append(labelled(np.concatenate(pictures, axis=1), text, STATUS.get(geometry.status, geometry.status)))
    if not rows:
        raise TableError("none of the molecules can be drawn")
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(rows)).save(buffer, "PNG", optimize=True)
    write_bytes(out, buffer.getvalue())
    say(f"{len(rows)} of {len(molecules)} molecules drawn to {out}")


def labelled(strip: np.ndarray, title: str, note: str) -> np.ndarray:
    """A strip of pictures with two lines of text below it."""
    height, width = strip.shape[:2]
    big, small = (max(11, round(height * share)) for share in (0.075, 0.06))
    sheet = Image.new("RGB", (width, height + round(2.2 * big) + small), "white")
    sheet.paste(Image.fromarray(strip), (0, 0))
    pen = ImageDraw.Draw(sheet)
    font = font_manager.findfont("DejaVu Sans")
    margin = round(0.05 * height)
    title_font, note_font = ImageFont.truetype(font, big), ImageFont.truetype(font, small)
    pen.text((margin, height), elided(title, title_font, width - 2 * margin), INK, font=title_font)
    pen.text((margin, height + round(1.35 * big)), elided(note, note_font, width - 2 * margin), QUIET, font=note_font)
    return np.asarray(sheet)


def elided(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """The text, or as much of its beginning as fits into some pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
