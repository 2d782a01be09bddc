"""The page about a benchmark: one HTML file with everything inside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from iem.report import contests
from iem.report.html import filled


@dataclass(frozen=True, kw_only=True)
class BenchmarkContent:
    """Everything that the page is made of; plain types only."""

    title: str
    """Name of the folder."""
    command: str
    """What makes this page again."""
    summary: str
    """What came out, in a few sentences."""
    scores: Sequence[tuple[str, str, str, str, str, str, str]]
    """Table, student, method, split, score here, score of all seeds together, score of the paper."""
    gaps: Sequence[tuple[str, float, float, float, str, float, bool]]
    """What is compared; mean difference, low and high end of its interval, the same on the validation part, corrected
    p, beyond one deviation."""
    choices: Sequence[tuple[str, str, str, str, str, str, str, str]]
    """Table, student, method, split, score alone, with pictures, of what the validation part chooses, how often it
    chooses pictures."""
    ranks: Sequence[tuple[str, float, int]]
    """Student and method, mean rank, number of tables; best first."""
    critical: float | None
    """Least difference of mean ranks that means something; None where there are no ranks."""
    runs: int
    hours: float
    """Of one core, in all."""
    causes: Mapping[str, Sequence[str]]
    """Settings of the runs; more than one value means that runs of different settings are in the folder."""
    versions: Mapping[str, str]


def benchmark_page(content: BenchmarkContent) -> str:
    """The finished HTML: no request leaves it."""
    found: list[dict[str, Any]] = []
    if content.gaps:
        found.append(
            {
                "title": "Differences",
                "svg": Markup(contests.forest([gap[:4] for gap in content.gaps])),
                "caption": "Mean over seeds with its 95 % confidence interval; right of zero is better. ROC-AUC in "
                "points, RMSE in per cent.",
                "alt": content.summary,
            }
        )
    line: list[dict[str, Any]] = []
    if content.ranks and content.critical is not None:
        line.append(
            {
                "title": "Mean ranks",
                "svg": Markup(contests.critical_differences([rank[:2] for rank in content.ranks], content.critical)),
                "caption": f"Over {content.ranks[0][2]} tables, 1 is best. A bar joins what differs by less than the "
                "critical difference of Nemenyi's test at 5 %: these tables cannot tell it apart.",
                "alt": "; ".join(f"{name}: {place:.2f}" for name, place, _ in content.ranks),
            }
        )
    return filled("benchmark.html.j2", content=content, figures=found, ranking=line)
