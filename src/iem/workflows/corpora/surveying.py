"""A corpus on the terminal and as a page."""

import io
import shlex
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from iem.chem.molecules import parse
from iem.chem.priors import PRIORS
from iem.data.corpus import Record, read_manifest
from iem.data.survey import Survey, survey
from iem.errors import OutputError
from iem.files import write_bytes
from iem.render.ballstick import BallStick
from iem.render.depiction import Depiction
from iem.render.views import rotations
from iem.report.corpus import UNITS, CorpusContent, corpus_page, spreads
from iem.report.text import STATUS_WORDS, plural
from iem.workflows.running.console import say

SIZE = 224
"""Pixels of a picture's side."""
ELEMENTS_SHOWN = 12


def show_corpus(folder: Path, *, out: Path, pictures: int) -> None:
    """See ``iem.workflows.corpus``."""
    if out.is_dir():
        raise OutputError(f"--out {out} is a folder; name an HTML file")
    found = survey(folder, sample=pictures)
    manifest = read_manifest(folder)
    summary = _summary(found)
    _print(summary, found)
    content = CorpusContent(
        title=folder.resolve().name,
        command=shlex.join(["iem", "corpus", str(folder)]),
        summary=summary,
        atoms=found.atoms,
        elements=found.elements,
        properties=found.properties,
        labels=PRIORS["property"].labels,
        left_out=found.left_out,
        examples=found.examples,
        pictures=_pictures(found.sample),
        settings=manifest["settings"],
        versions={name: version(name) for name in ("iem", "rdkit", "numpy", "pyarrow")},
        digests=manifest["shards"],
    )
    write_bytes(out, corpus_page(content).encode())
    say(f"plots and pictures are in {out}")


def _summary(found: Survey) -> str:
    """What the corpus is, in one sentence."""
    left_out = f"; {plural(sum(found.left_out.values()), 'row')} left out" if found.left_out else ""
    size = f"{found.size / 1e6:,.1f} MB" if found.size > 1e5 else f"{found.size / 1e3:,.0f} kB"
    return (
        f"{plural(found.molecules, 'molecule')} in {plural(found.shards, 'shard')} of {size} in all, "
        f"{found.size / found.molecules:,.0f} bytes each{left_out}."
    )


def _print(summary: str, found: Survey) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:  # a pipe has no width to fit
        console.width = 120
    console.print(summary, markup=False)
    _print_counts(
        console, "coordinates", [(STATUS_WORDS[name], count) for name, count in found.statuses.items()], found
    )
    if found.left_out:
        _print_counts(console, "left out", list(found.left_out.items()))
    sizes = np.repeat(np.arange(len(found.sizes)), found.sizes)
    low, middle, high = np.quantile(sizes, [0.05, 0.5, 0.95])
    grid = _grid("heavy atoms", "mean", "least", "5 %", "median", "95 %", "most")
    numbers = (f"{sizes.mean():.1f}", f"{sizes.min()}", f"{low:g}", f"{middle:g}", f"{high:g}", f"{sizes.max()}")
    grid.add_row("of a molecule", *numbers)
    console.print(grid)
    elements = list(found.elements.items())
    more = f" and {len(elements) - ELEMENTS_SHOWN} more" if len(elements) > ELEMENTS_SHOWN else ""
    _print_counts(console, f"elements (molecules with them){more}", elements[:ELEMENTS_SHOWN], found)
    grid = _grid("property", "mean", "standard deviation", "5 %", "median", "95 %", "known")
    for name, unit, cells in spreads(found.properties, PRIORS["property"].labels):
        grid.add_row(f"{name} ({UNITS[name]})" if unit else name, *cells)
    console.print(grid)


def _grid(*headings: str) -> Table:
    grid = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    for number, heading in enumerate(headings):
        grid.add_column(heading, justify="right" if number else "left", no_wrap=True)
    return grid


def _print_counts(
    console: Console, heading: str, counts: Sequence[tuple[str, int]], found: Survey | None = None
) -> None:
    """A table of counts, with their shares of all molecules where the corpus is given."""
    grid = _grid(heading, "count", *(["share"] if found else []))
    for name, count in counts:
        grid.add_row(name, f"{count:,}", *([f"{count / found.molecules:.2%}"] if found else []))
    console.print("", grid, sep="\n")


def _pictures(sample: Sequence[Record]) -> list[tuple[bytes, str]]:
    """Depiction and two views of each molecule, in one strip."""
    depiction, renderer, views = Depiction(SIZE), BallStick(SIZE), rotations("tetrahedral")[:2]
    strips = []
    for record in sample:
        strip = [depiction(parse(record.smiles)), *renderer(record.geometry, views)]
        buffer = io.BytesIO()
        Image.fromarray(np.concatenate(strip, axis=1)).save(buffer, "PNG", optimize=True)
        strips.append((buffer.getvalue(), f"{record.smiles} ({record.geometry.status})"))
    return strips
