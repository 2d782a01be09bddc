"""Labelled sheets of pictures: one row per molecule, or all of them side by side and turning."""

import io
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont
from rdkit.Chem import Mol

from iem.chem.conformers import EnsembleSettings, conformer, ensemble, flat_geometry, given_geometry
from iem.chem.molecules import parse
from iem.data.reading import open_source
from iem.errors import MoleculeError, TableError
from iem.files import write_bytes
from iem.records import Geometry
from iem.render.base import RENDERERS
from iem.render.depiction import Depiction
from iem.render.views import rotations
from iem.report.text import plural
from iem.workflows.running.console import say

STATUS = {
    "etkdg": "3D conformer (ETKDGv3, MMFF94)",
    "etkdg-random-coords": "3D conformer (ETKDGv3 from random coordinates, MMFF94)",
    "given": "3D coordinates as given",
    "flat": "no 3D conformer found, drawn flat",
}
INK, QUIET = (33, 37, 41), (108, 117, 125)
LARGEST = 100_000_000
"""Pixels of a sheet, or of all frames of a turn; molecules beyond are left out."""
FRAMES = 60
"""Pictures of one turn."""
PAUSE = 60
"""Milliseconds between them."""
_FILE = re.compile(r"\.(sdf?|smi|smiles|ism|csv|tsv|txt|parquet)(\.gz)?$", re.IGNORECASE)


class Subject(NamedTuple):
    """A molecule to be drawn."""

    title: str
    mol: Mol
    geometry: Geometry
    note: str
    """How it came by its coordinates."""


def draw_grid(found: Iterable[Subject], *, out: Path, size: int, views: str, renderer: str, noun: str) -> None:
    """Draw molecules one below the other, as many as fit.

    Args:
        found: as ``subjects`` gives them.
        out: PNG to write.
        size: side of every picture in pixels.
        views: see ``rotations``, or ``flat``.
        renderer: its name.
        noun: what a row is called.

    Raises:
        TableError: there are none.
    """
    view_set = np.eye(3)[None] if views == "flat" else rotations(views)
    artist, depiction = RENDERERS.build(renderer, size=size), Depiction(size)
    cell = size * size * 1.3 * (1 + len(view_set))  # with its label, about

    def row(subject: Subject) -> np.ndarray:
        pictures = [depiction(subject.mol), *artist(subject.geometry, view_set)]
        return labelled(np.concatenate(pictures, axis=1), subject.title, subject.note)

    rows = _draw(found, row, noun, most=int(LARGEST / cell))
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(rows)).save(buffer, "PNG", optimize=True)
    write_bytes(out, buffer.getvalue())
    say(f"{plural(len(rows), noun)} drawn to {out}")


def draw_turning(found: Iterable[Subject], *, out: Path, size: int, renderer: str, noun: str) -> None:
    """Draw molecules side by side that turn once about the vertical axis; arguments as in ``draw_grid``."""
    artist = RENDERERS.build(renderer, size=size)
    turns = np.stack([_about_vertical(2 * math.pi * frame / FRAMES) for frame in range(FRAMES)])

    def film(subject: Subject) -> np.ndarray:
        return np.stack([labelled(frame, subject.title, subject.note) for frame in artist(subject.geometry, turns)])

    films = _draw(found, film, noun, most=int(LARGEST / (size * size * 1.3 * FRAMES)))
    columns = math.ceil(math.sqrt(len(films)))
    films += [np.full_like(films[0], 255)] * (-len(films) % columns)
    strips = [np.concatenate(films[start : start + columns], axis=2) for start in range(0, len(films), columns)]
    frames = [Image.fromarray(frame) for frame in np.concatenate(strips, axis=1)]
    form = "GIF" if out.suffix.lower() == ".gif" else "PNG"
    buffer = io.BytesIO()
    frames[0].save(buffer, form, save_all=True, append_images=frames[1:], duration=PAUSE, loop=0)
    write_bytes(out, buffer.getvalue())
    say(f"{out} turns once in {FRAMES * PAUSE / 1000:.1f} s")


def _draw(found: Iterable[Subject], picture: Callable[[Subject], np.ndarray], noun: str, most: int) -> list[np.ndarray]:
    """One picture for each, up to a number of them."""
    drawn: list[np.ndarray] = []
    for subject in found:
        if len(drawn) == max(1, most):
            full = f"{plural(len(drawn), noun)}, which fill the sheet"
            say(f"left out: what comes after {full}; a smaller --size fits more")
            break
        drawn.append(picture(subject))
    if not drawn:
        raise TableError("none of the molecules can be drawn")
    return drawn


def subjects(molecules: Sequence[str], *, flat: bool, conformers: int) -> Iterator[Subject]:
    """What can be drawn; the rest is named on the console.

    Args:
        molecules: SMILES and files.
        flat: take the flat layout.
        conformers: to embed of each molecule; coordinates that one comes with are used only if it is 1.

    Raises:
        TableError: a file cannot be read.
    """
    for title, found in _read(molecules):
        try:
            mol = found if isinstance(found, Mol) else parse(found)
            if flat:
                yield Subject(title, mol, flat_geometry(mol), "flat layout")
            elif conformers > 1:
                yield from _shapes(title, mol, conformers)
            else:
                geometry = given_geometry(mol) if isinstance(found, Mol) else conformer(mol)
                yield Subject(title, mol, geometry, STATUS[geometry.status])
        except MoleculeError as error:
            say(f"left out: {error}")


def _shapes(title: str, mol: Mol, count: int) -> Iterator[Subject]:
    """Different conformers of one molecule, lowest energy first."""
    found = ensemble(mol, EnsembleSettings(count=count))
    for number, (geometry, energy) in enumerate(found, start=1):
        above = "lowest energy" if number == 1 else f"+{energy - found[0].energy:.2f} kcal/mol"
        known = f"conformer {number} of {len(found)}, {above if np.isfinite(energy) else 'no force field'}"
        yield Subject(title, mol, geometry, STATUS["flat"] if geometry.status == "flat" else known)


def _read(molecules: Sequence[str]) -> Iterator[tuple[str, str | Mol]]:
    """Titles, and SMILES or molecules in space, from words that are SMILES or names of files."""
    for word in molecules:
        if not _FILE.search(word):
            yield word, word
            continue
        with open_source(word, rows=100) as source:
            if source.smiles is None:
                raise TableError(f"{word} is not an SDF or a SMILES list (.smi); iem render draws these and SMILES")
            for piece in source.pieces:
                for position, row in enumerate(piece.frame.to_dict("records")):
                    title = str(row.get("title") or row.get("name") or row["smiles"])
                    if position in piece.problems:
                        say(f"left out: record {title!r} of {word}: {piece.problems[position]}")
                    else:
                        yield title, piece.mols.get(position, row["smiles"])


def _about_vertical(angle: float) -> np.ndarray:
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.array([[cosine, 0.0, sine], [0.0, 1.0, 0.0], [-sine, 0.0, cosine]])


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
