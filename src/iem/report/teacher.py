"""The page about a training of a teacher: one HTML file with everything inside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from iem.report import figures, text
from iem.report.html import filled, inline

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
                "svg": Markup(figures.teacher_losses(curve, best["visits"])),
                "caption": "Solid: held out. Dotted: in training, where every picture is turned and drawn anew. The "
                "vertical line is where the kept weights are from. Units are those of the table.",
                "alt": f"Curves of the losses of all tasks. {summary}",
            }
        ],
        pictures=inline(content.pictures),
    )


def _words(term: str) -> str:
    """The name of a term for people."""
    picture, _, prior = term.partition("_")
    return OVERALL.get(term) or f"{prior}, from {picture.upper()}"
