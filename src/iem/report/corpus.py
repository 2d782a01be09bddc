"""The page about a corpus: one HTML file with everything inside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from iem.records import Rejection
from iem.report import figures, text
from iem.report.html import REJECTED_SHOWN, filled, inline
from iem.report.style import COLOURS, legend, styled, svg

ELEMENTS_SHOWN = 30
UNITS = {"MolWt": "Da", "TPSA": "Å²"}


@dataclass(frozen=True, kw_only=True)
class CorpusContent:
    """Everything that the page is made of; plain types and arrays only."""

    title: str
    """Name of the folder."""
    command: str
    """What makes this page again."""
    summary: str
    """What the corpus is, in one sentence."""
    atoms: Mapping[str, np.ndarray]
    """By conformer status: molecules by their number of heavy atoms, which is the index; all of one length."""
    elements: Mapping[str, int]
    """Molecules that contain an element, most frequent first."""
    properties: np.ndarray
    """Float ``(molecules, properties)``, NaN where unknown."""
    labels: Sequence[str]
    """Names of the properties."""
    left_out: Mapping[str, int]
    """Rows by the stage that they did not pass."""
    examples: Sequence[Rejection]
    """Some of them."""
    pictures: Sequence[tuple[bytes, str]]
    """PNG and caption."""
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    digests: Mapping[str, str]


def corpus_page(content: CorpusContent) -> str:
    """The finished HTML: no request leaves it, and nothing of the user's is taken for markup."""
    molecules = len(content.properties)
    return filled(
        "corpus.html.j2",
        content=content,
        figures=_figures(content, molecules),
        statuses=[
            (name, text.STATUS_WORDS.get(name, name), int(counts.sum()), counts.sum() / molecules)
            for name, counts in content.atoms.items()
        ],
        spreads=spreads(content.properties, content.labels),
        elements=[(symbol, count, count / molecules) for symbol, count in content.elements.items()],
        rejected=content.examples[:REJECTED_SHOWN],
        pictures=inline(content.pictures),
    )


def spreads(properties: np.ndarray, labels: Sequence[str]) -> list[tuple[str, str, list[str]]]:
    """Each property: its name, its unit, and mean, standard deviation, 5 %, 50 % and 95 % quantile, and known share."""
    rows = []
    for name, column in zip(labels, properties.T, strict=True):
        known = column[~np.isnan(column)].astype(float)
        numbers = [known.mean(), known.std(), *np.quantile(known, [0.05, 0.5, 0.95])] if len(known) else [None] * 5
        cells = [text.number(None if value is None else float(value)) for value in numbers]
        rows.append((name, UNITS.get(name, ""), [*cells, f"{len(known) / len(column):.1%}"]))
    return rows


def _figures(content: CorpusContent, molecules: int) -> list[dict[str, Any]]:
    """Figures, each with a title, a caption and words for those who cannot see it."""
    shown = dict(list(content.elements.items())[:ELEMENTS_SHOWN])
    inner = np.stack([_inner(column) for column in content.properties.T], axis=1)
    drawn = [
        (
            "Size",
            atom_counts(content.atoms),
            "Molecules by their number of heavy atoms, and how those of one size came by their coordinates. The "
            "largest, one in two hundred, are left out.",
            "Histogram of the number of heavy atoms, and the share of each conformer status by size.",
        ),
        (
            "Elements",
            element_shares({symbol: count / molecules for symbol, count in shown.items()}),
            f"Share of molecules that contain an element, on a logarithmic scale; {len(content.elements)} elements "
            "in all.",
            "Bars of the share of molecules that contain each element; the numbers are in the table.",
        ),
        (
            "Properties",
            figures.label_distributions({"": inner}, content.labels, UNITS, whole="molecules"),
            "What the property prior asks for. The outermost half per cent at either side is left out.",
            "Histograms of the properties; mean and quantiles are in the table.",
        ),
    ]
    return [
        {"title": title, "svg": Markup(image), "caption": caption, "alt": alt} for title, image, caption, alt in drawn
    ]


def atom_counts(atoms: Mapping[str, np.ndarray]) -> str:
    """How large molecules are, and at which sizes each kind of coordinates was found.

    Args:
        atoms: for each kind the molecules by their number of heavy atoms, which is the index; all of one length.
    """
    total = np.sum(list(atoms.values()), axis=0)
    last = int(np.searchsorted(np.cumsum(total), 0.995 * total.sum())) + 1  # a few giants would leave no room
    with styled("atoms"):
        figure = Figure(figsize=(7.4, 3.2))
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
        below, shares_below = np.zeros(last + 1), np.zeros(last + 1)
        for shade, (kind, counts) in zip(COLOURS, atoms.items(), strict=False):
            some = counts[: last + 1]
            below = below[: len(some)]
            shares = np.divide(100 * some, total[: len(some)], out=np.zeros(len(some)), where=total[: len(some)] > 0)
            upper.bar(np.arange(len(some)), some, bottom=below, width=1, color=shade, label=kind)
            lower.bar(np.arange(len(some)), shares, bottom=shares_below[: len(some)], width=1, color=shade)
            below, shares_below = below + some, shares_below[: len(some)] + shares
        upper.set(ylabel="molecules")
        lower.set(xlabel="heavy atoms", ylabel="% of a size", ylim=(0, 100))
        upper.xaxis.set_major_locator(MaxNLocator(integer=True))
        legend(upper, loc="upper right")
        return svg(figure)


def element_shares(shares: Mapping[str, float]) -> str:
    """Which elements molecules contain, on a logarithmic scale.

    Args:
        shares: by symbol, of all molecules, most frequent first; at most some thirty.
    """
    with styled("elements"):
        figure = Figure(figsize=(7.4, 2.4))
        axes = figure.subplots()
        axes.bar(list(shares), [100 * share for share in shares.values()], color=COLOURS[0], width=0.7)
        axes.set(ylabel="% of molecules with it", yscale="log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.grid(visible=False, axis="x")
        axes.margins(x=0.01)
        return svg(figure)


def _inner(column: np.ndarray) -> np.ndarray:
    """The column without the outermost half per cent at either side, which becomes NaN."""
    known = column[~np.isnan(column)]
    if not len(known):
        return column
    low, high = np.quantile(known, [0.005, 0.995])
    return np.where((low <= column) & (column <= high), column, np.nan)
