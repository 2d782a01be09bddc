"""What all figures of a report share: transparent SVG text in the colours of the page that they are put into."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = ("#0d9488", "#d97706", "#7c6fd0", "#c2557a")
"""One per arm or part, in order; told apart on white and on black, and by people who cannot see red or green."""

INK = "#010203"
"""Stands for the page's text colour, and is replaced by it in the finished SVG."""

STYLE: dict[Any, Any] = {
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": "medium",
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "grid.alpha": 0.12,
    "grid.color": INK,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "savefig.transparent": True,
    "svg.fonttype": "none",  # real text: it can be searched and read aloud, and takes the page's font
    "text.color": INK,
    "text.parse_math": False,  # a $ in a column name is a dollar
    "xtick.color": INK,
    "ytick.color": INK,
}


@contextmanager
def styled(name: str) -> Iterator[None]:
    """The house style; the name keeps the ids of several figures on one page apart."""
    with mpl.rc_context({**STYLE, "svg.hashsalt": name}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the reader's fonts draw it, not ours
        yield


def svg(figure: Figure) -> str:
    """The figure as an ``<svg>`` element."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # the same in every figure, and nothing refers to them
    least = round(54 * figure.get_figwidth())  # points, three quarters: on a phone the letters stay readable
    return text.replace(INK, "currentColor").replace("<svg", f'<svg aria-hidden="true" style="min-width: {least}pt"', 1)


def grid(panels: int, *, height: float = 2.5) -> tuple[Figure, list[Axes]]:
    """Panels in rows of up to three; one alone is wider."""
    columns = min(panels, 3)
    rows = -(-panels // columns)
    figure = Figure(figsize=(7.4 if columns == 3 else 5.6 if columns == 2 else 4.2, height * rows))
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for spare in axes[panels:]:
        spare.remove()
    return figure, axes[:panels]


def short(name: str, most: int = 30) -> str:
    """A column name that leaves room for its figure; the tables have it whole."""
    return name if len(name) <= most else name[: most - 1] + "…"


def legend(axes: Axes, **options: Any) -> None:
    """Where there is more than one thing to tell apart."""
    if len(axes.get_legend_handles_labels()[1]) > 1:
        axes.legend(**options)
