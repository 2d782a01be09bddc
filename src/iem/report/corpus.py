"""The page about a corpus: one HTML file with everything inside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from iem.records import Rejection
from iem.report import figures, text
from iem.report.html import REJECTED_SHOWN, filled, inline

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
            figures.atom_counts(content.atoms),
            "Molecules by their number of heavy atoms, and how those of one size came by their coordinates. The "
            "largest, one in two hundred, are left out.",
            "Histogram of the number of heavy atoms, and the share of each conformer status by size.",
        ),
        (
            "Elements",
            figures.element_shares({symbol: count / molecules for symbol, count in shown.items()}),
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
    return [{"title": title, "svg": Markup(svg), "caption": caption, "alt": alt} for title, svg, caption, alt in drawn]


def _inner(column: np.ndarray) -> np.ndarray:
    """The column without the outermost half per cent at either side, which becomes NaN."""
    known = column[~np.isnan(column)]
    if not len(known):
        return column
    low, high = np.quantile(known, [0.005, 0.995])
    return np.where((low <= column) & (column <= high), column, np.nan)
