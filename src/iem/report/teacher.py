"""The page about a training of a teacher: one HTML file with everything inside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from iem.report import text
from iem.report.html import filled, inline
from iem.report.style import COLOURS, INK, grid, legend, styled, svg

OVERALL = {"loss": "all tasks", "contrast": "contrast"}


@dataclass(frozen=True, kw_only=True)
class TeacherContent:
    """Everything that the page is made of; plain types only."""

    title: str
    """Name of the folder."""
    command: str
    """What makes this teacher again."""
    curve: Sequence[Mapping[str, float]]
    """Per round ``visits`` and mean losses, as in ``curve.json``; one round or more."""
    facts: Mapping[str, Any]
    """What the card says in a word or two."""
    pictures: Sequence[tuple[bytes, str]]
    """PNG and caption."""
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    digests: Mapping[str, str]


def teacher_page(content: TeacherContent) -> str:
    """The finished HTML: no request leaves it, and nothing of the user's is taken for markup."""
    curve = content.curve
    best = min(curve, key=lambda point: point["valid/loss"])
    last = curve[-1]
    summary = (
        f"Best held-out loss {text.number(best['valid/loss'])} after {best['visits']:,} of {last['visits']:,} visits; "
        f"it was {text.number(curve[0]['valid/loss'])} after the first {curve[0]['visits']:,}."
    )
    terms = [name.removeprefix("valid/") for name in best if name.startswith("valid/")]
    terms.sort(key=lambda term: (term not in OVERALL, term.partition("_")[2]))
    rows = [
        (_words(term), *(text.number(point[f"{part}/{term}"]) for part, point in cells))
        for cells in [(("valid", curve[0]), ("valid", best), ("train", best))]
        for term in terms
    ]
    return filled(
        "teacher.html.j2",
        content=content,
        summary=summary,
        rows=rows,
        figures=[
            {
                "title": "By molecules seen",
                "svg": Markup(losses(curve, best["visits"])),
                "caption": "Solid: held out. Dotted: in training, where every picture is turned and drawn anew. The "
                "vertical line is where the kept weights are from. Units are those of the table.",
                "alt": f"Curves of the losses of all tasks. {summary}",
            }
        ],
        pictures=inline(content.pictures),
    )


def losses(curve: Sequence[Mapping[str, float]], best: float) -> str:
    """How a teacher learned: all five tasks together, the contrast, and the error of each prior from either picture.

    Args:
        curve: per round ``visits``, and mean losses named ``train/…`` and ``valid/…``: ``loss``, ``contrast``, and
            ``2d_…`` and ``3d_…`` for every prior.
        best: visits after which the weights that were kept had been reached.
    """
    priors = [name.removeprefix("valid/3d_") for name in curve[0] if name.startswith("valid/3d_")]
    panels = {"all tasks": {"": "loss"}, "contrast": {"": "contrast"}}
    panels |= {name: {"3D": f"3d_{name}", "2D": f"2d_{name}"} for name in priors}
    visits = np.array([point["visits"] for point in curve]) / 1000
    with styled("teacher"):
        figure, axes = grid(len(panels), height=2.1)
        for place, (title, lines) in zip(axes, panels.items(), strict=True):
            for shade, (picture, name) in zip(COLOURS, lines.items(), strict=False):
                for part, style in (("valid", "-"), ("train", (0, (2, 1.5)))):
                    label = picture if part == "valid" else None
                    if not picture:
                        label = "held out" if part == "valid" else "training"
                    values = [point[f"{part}/{name}"] for point in curve]
                    few = "." if len(curve) < 20 else None
                    place.plot(visits, values, color=shade, linestyle=style, marker=few, markersize=4, label=label)
            place.axvline(best / 1000, color=INK, alpha=0.35, linewidth=0.8, linestyle=(0, (4, 3)))
            place.set(title=title)
            place.xaxis.set_major_locator(MaxNLocator(nbins=4))
        for place in axes[-min(len(axes), 3) :]:
            place.set(xlabel="molecules seen, in thousands")
        for place in axes[0], axes[2]:
            legend(place)
        return svg(figure)


def _words(term: str) -> str:
    """The name of a term for people."""
    picture, _, prior = term.partition("_")
    return OVERALL.get(term) or f"{prior}, from {picture.upper()}"
