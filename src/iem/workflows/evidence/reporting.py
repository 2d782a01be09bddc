"""The tables and the page about finished runs: scores beside the paper's, differences, choices, and a summary."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from iem.artifact import versions
from iem.data.catalogue import DATASETS
from iem.data.published import reported
from iem.errors import ArtifactError
from iem.files import write_bytes
from iem.report.benchmark import BenchmarkContent, benchmark_page
from iem.report.text import VIEWS, plural
from iem.workflows.evidence.comparing import (
    ALONE,
    Choice,
    Gap,
    Interval,
    choices_of,
    critical_difference,
    gaps_of,
    opponents,
    ranks,
    taught_after,
)
from iem.workflows.evidence.methods import METHODS
from iem.workflows.evidence.results import Row, read_results, rows_of, unknown, write_lines
from iem.workflows.running.console import say

STARTS = {"pictures": "a head start from pictures", "priors": "a head start from the prior questions alone"}
"""What is said of them in a summary."""


class Findings(NamedTuple):
    """What the tables and the page say."""

    rows: list[Row]
    gaps: list[Gap]
    choices: list[Choice]

    @classmethod
    def of(cls, rows: list[Row]) -> "Findings":
        """From the scores alone."""
        return cls(rows, gaps_of(rows), choices_of(rows))


def write_report(results: Path, out: Path) -> None:
    """See ``iem.workflows.benchmark.report``."""
    runs = read_results(results)
    if not runs:
        raise ArtifactError(f"{results} holds no finished run; iem benchmark makes some")
    strange = unknown(runs)
    known = [run for run in runs if strange.isdisjoint((run["settings"]["dataset"], run["settings"]["method"]))]
    if strange:
        say(
            f"{plural(len(runs) - len(known), 'run')} of what this iem does not know ({', '.join(sorted(strange))}): "
            "left out of the tables; report them with the newer iem that made them"
        )
    if not known:
        raise ArtifactError(f"{results} holds no finished run that this iem knows; iem benchmark makes some")
    rows, causes = rows_of(known, results / "predictions" if results.is_dir() else None)
    found, places = Findings.of(rows), ranks(rows)
    write_bytes(out / "results.md", markdown(found).encode(), parents=True)
    if out / "results.jsonl" != results:
        write_lines(out, runs)
    content = BenchmarkContent(
        title=results.resolve().stem,
        command=f"iem benchmark report {results}" + (f" --out {out}" if out != results else ""),
        summary=summary(found),
        scores=[(*_place(row), METHODS[row.method].about, row.split, *_scores(row)) for row in rows],
        gaps=[(_label(gap, rows), *gap.test, _interval(gap.valid), gap.p, gap.beyond) for gap in found.gaps],
        choices=[
            (*_place(one.taught), METHODS[one.taught.method].about, one.taught.split, *_choice(one))
            for one in found.choices
        ],
        ranks=places,
        critical=critical_difference(len(places), places[0][2]) if places else None,
        runs=len(known),
        hours=sum(run["seconds"] for run in known) / 3600,
        causes=causes,
        versions=versions(),
    )
    write_bytes(out / "report.html", benchmark_page(content).encode())
    say(summary(found))
    say(f"{plural(len(runs), 'run')}: {out / 'report.html'}, {out / 'results.md'}, {out / 'results.jsonl'}")


def summary(found: Findings) -> str:
    """In a few sentences: how often pictures and a head start helped, and whether the controls do as well."""
    sentences = []
    for start, alone in ALONE.items():
        after = f" after {STARTS[start]}" if start in STARTS else ""
        if gaps := [gap for gap in found.gaps if gap.method == alone]:
            sentences.append(f"{STARTS[start].capitalize()} against none: {_counted(gaps)}")
        for taught in taught_after(start):
            pictures = VIEWS[METHODS[taught].sees]
            name = pictures[0].upper() + pictures[1:]
            for against in opponents(taught):
                if gaps := [gap for gap in found.gaps if (gap.method, gap.against) == (taught, against)]:
                    whom = "the student alone" if against == alone else f"{METHODS[against].about!r}"
                    sentences.append(f"{name}{after} against {whom}: {_counted(gaps)}")
            some = [one for one in found.choices if one.taught.method == taught and one.taught.is_classification]
            if len(some) > 1 and len({one.taught.student for one in some}) == 1:
                parts = ([one.alone for one in some], [one.taught for one in some], [one.chosen for one in some])
                means = [f"{100 * np.mean([row.mean for row in part]):.1f}" for part in parts]
                sentences.append(
                    f"Mean ROC-AUC of {plural(len(some), 'table')}{after}: {means[0]} alone, {means[1]} with {pictures}"
                    f", {means[2]} with whichever has the better validation score."
                )
    return " ".join(sentences) or f"{plural(len(found.rows), 'score')}; nothing to compare with the student alone yet."


def _counted(gaps: Sequence[Gap]) -> str:
    """How many of some differences are what."""
    better, worse = sum(gap.test.low > 0 for gap in gaps), sum(gap.test.high < 0 for gap in gaps)
    words = (
        f"of {plural(len(gaps), 'comparison')} {sum(gap.test.mean > 0 for gap in gaps)} came out better; {better} got "
        f"better and {worse} worse with a 95 % interval that excludes zero, and {sum(gap.beyond for gap in gaps)} "
        "better by more than a standard deviation."
    )
    for task, unit, sign in (("classification", "ROC-AUC: {:+.1f} points", 1), ("regression", "RMSE: {:+.1f} %", -1)):
        if means := [gap.test.mean for gap in gaps if DATASETS[gap.dataset].task == task]:
            over = plural(len(means), "comparison")
            words += f" Mean change of {unit.format(sign * float(np.mean(means)))} over {over}."
    return words


def markdown(found: Findings) -> str:
    """The tables as text for a manual."""
    columns = ("table", "student", "method", "split", "here (seeds)", "all seeds together", "paper", "unscored targets")
    lines = [summary(found), "", *_head(columns)]
    lines += [_line(*_place(row), row.method, row.split, *_scores(row), row.dropped or "–") for row in found.rows]
    if found.gaps:
        lines += ["", *_head(("difference", "seeds", "test part", "validation part", "p (Holm)", "beyond one s"))]
        lines += [
            _line(
                _label(gap, found.rows),
                gap.seeds,
                _interval(gap.test),
                _interval(gap.valid),
                f"{gap.p:.3f}",
                "yes" if gap.beyond else "no",
            )
            for gap in found.gaps
        ]
        lines += ["", "Differences: mean (95 % interval) of ROC-AUC in points, RMSE in per cent; positive is better."]
    if found.choices:
        columns = ("table", "student", "method", "split", "alone", "with pictures", "chosen", "pictures chosen")
        lines += ["", *_head(columns)]
        lines += [
            _line(*_place(one.taught), one.taught.method, one.taught.split, *_choice(one)) for one in found.choices
        ]
        lines += ["", "Chosen: of alone and with pictures whichever has the better validation score, seed by seed."]
    return "\n".join(lines) + "\n"


def _head(columns: Sequence[str]) -> list[str]:
    return [_line(*columns), "|" + len(columns) * "---|"]


def _line(*cells: object) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _place(row: Row) -> tuple[str, str]:
    return DATASETS[row.dataset].title, row.student


def _scores(row: Row) -> tuple[str, str, str]:
    """``74.3 ± 0.9 (10)``, mean of the seeds and their number; all seeds together; and the paper's of the same."""
    together = "–" if row.together is None else written(row.dataset, row.together, None)
    paper = reported(row.dataset, row.student, row.method) if row.split == "scaffold" else None
    return _score(row), together, "–" if paper is None else written(row.dataset, *paper)


def _score(row: Row) -> str:
    return f"{written(row.dataset, row.mean, row.std)} ({len(row.seeds)})"


def _choice(one: Choice) -> tuple[str, str, str, str]:
    return _score(one.alone), _score(one.taught), _score(one.chosen), f"{one.times} of {len(one.chosen.seeds)}"


def written(dataset: str, mean: float, std: float | None) -> str:
    """A score as the paper writes it: ROC-AUC in per cent, RMSE in its unit."""
    scale, digits = (100, 1) if DATASETS[dataset].task == "classification" else (1, 3)
    return f"{scale * mean:.{digits}f}" + (f" ± {scale * std:.{digits}f}" if std is not None else "")


def _interval(one: Interval | None) -> str:
    return "–" if one is None else f"{one.mean:+.1f} ({one.low:+.1f} to {one.high:+.1f})"


def _label(gap: Gap, rows: Sequence[Row]) -> str:
    """Which difference it is; the student is named where there are several."""
    several = len({row.student for row in rows} - {"none"}) > 1
    student = f", {gap.student}" if several else ""
    split = "" if gap.split == "scaffold" else f", {gap.split}"
    return f"{DATASETS[gap.dataset].title}{student}{split}: {gap.method} against {gap.against}"
