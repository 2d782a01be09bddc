"""What the finished runs of a benchmark say: scores beside the paper's, paired differences, ranks."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from iem.artifact import versions
from iem.data.catalogue import DATASETS
from iem.data.published import reported
from iem.errors import ArtifactError
from iem.files import write_bytes
from iem.report.benchmark import BenchmarkContent, benchmark_page
from iem.report.text import plural
from iem.workflows.evidence.methods import METHODS
from iem.workflows.evidence.predictions import score_together
from iem.workflows.running.console import say

BASELINE = "plain"
OF_THE_METHOD = ("ke", "ke_scale", "te", "te_head", "space", "ramp", "lr", "norms")
"""Settings of a recipe that belong to a method: the teacher's, and what a head start changes."""
LEAST = 3
"""Seeds from which a difference is tested."""


class Row(NamedTuple):
    """The scores of one table, student, method and split, by seed."""

    dataset: str
    student: str
    method: str
    split: str
    seeds: Mapping[int, float]
    dropped: int
    """Targets without a test score."""
    training: str = ""
    """How the student was trained, whatever taught it: only rows that agree in it are compared."""
    together: float | None = None
    """Score of the mean of all seeds' predictions; None if it is not known."""

    @property
    def mean(self) -> float:
        """Over the seeds; ROC-AUC as a fraction, RMSE in the unit of the table."""
        return float(np.mean(list(self.seeds.values())))

    @property
    def std(self) -> float | None:
        """Sample standard deviation; None for one seed."""
        return float(np.std(list(self.seeds.values()), ddof=1)) if len(self.seeds) > 1 else None


class Gap(NamedTuple):
    """What a method changes against the same student alone, same seeds and split; positive is better."""

    dataset: str
    student: str
    method: str
    split: str
    seeds: int
    mean: float
    """ROC-AUC points (0.01), or per cent of the RMSE."""
    low: float
    """95 % confidence interval, Student's t over the pairs."""
    high: float
    p: float
    """Two-sided paired t-test, after Holm's correction over all differences of the page."""
    beyond: bool
    """Better than the mean of the baseline by more than its standard deviation, as the paper counts."""


def read_results(out: Path) -> list[dict[str, Any]]:
    """All finished runs, in a fixed order.

    Raises:
        ArtifactError: a file that is no result; names it.
    """
    found = []
    for path in sorted((out / "runs").glob("*.json")):
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
            key = [result["settings"][name] for name in ("dataset", "student", "method", "split", "seed")]
        except (ValueError, KeyError, TypeError) as error:
            raise ArtifactError(f"{path} is no result of a run ({error}); delete it and run it again") from error
        found.append((key, path.name, result))
    return [result for *_, result in sorted(found, key=lambda one: one[:2])]


def write_lines(out: Path, results: Sequence[Mapping[str, Any]]) -> None:
    """Finished runs as JSON lines."""
    lines = "".join(json.dumps(result, sort_keys=True, allow_nan=False) + "\n" for result in results)
    write_bytes(out / "results.jsonl", lines.encode())


def write_report(out: Path) -> None:
    """See ``iem.workflows.benchmark.report``."""
    results = read_results(out)
    if not results:
        raise ArtifactError(f"{out} holds no finished run; iem benchmark makes some")
    rows, causes = rows_of(results, out / "predictions")
    gaps, places = gaps_of(rows), ranks(rows)
    write_lines(out, results)
    write_bytes(out / "results.md", markdown(rows, gaps).encode())
    content = BenchmarkContent(
        title=out.resolve().name,
        command=f"iem benchmark report {out}",
        summary=summary(rows, gaps),
        scores=[
            (
                DATASETS[row.dataset].title,
                row.student,
                METHODS[row.method].about,
                row.split,
                score(row),
                together(row),
                paper(row),
            )
            for row in rows
        ],
        gaps=[(label(gap), gap.mean, gap.low, gap.high, gap.p, gap.beyond) for gap in gaps],
        ranks=places,
        critical=critical_difference(len(places), places[0][2]) if places else None,
        runs=len(results),
        hours=sum(result["seconds"] for result in results) / 3600,
        causes=causes,
        versions=versions(),
    )
    write_bytes(out / "report.html", benchmark_page(content).encode())
    say(summary(rows, gaps))
    say(f"{plural(len(results), 'run')}: {out / 'report.html'}, {out / 'results.md'}, {out / 'results.jsonl'}")


def rows_of(
    results: Sequence[Mapping[str, Any]], predictions: Path | None = None
) -> tuple[list[Row], dict[str, list[str]]]:
    """Runs that differ only in their seed, together; of runs under other settings the most frequent ones.

    Args:
        results: finished runs, as ``read_results`` returns them.
        predictions: folder of what they predict, if that is to be scored together.

    Returns:
        The rows, and for each setting that all runs share the values that were met.
    """
    groups: dict[tuple[str, str, str, str], dict[str, list[Mapping[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    causes: dict[str, set[str]] = defaultdict(set)
    for result in results:
        settings = result["settings"]
        where = (settings["dataset"], settings["student"], settings["method"], settings["split"])
        rest = {name: settings.get(name) for name in ("version", "teacher", "start", "recipe")}
        groups[where][json.dumps(rest, sort_keys=True)].append(result)
        for name, value in rest.items():
            if value is not None:
                causes[name].add(value if isinstance(value, str) else json.dumps(value, sort_keys=True))
    rows = []
    for where, variants in groups.items():
        chosen = max(variants.values(), key=len)
        seeds = {run["settings"]["seed"]: run["test"] for run in chosen if run["test"] is not None}
        if seeds:
            files = [predictions / f"{run['key']}.npz" for run in chosen] if predictions else []
            ensemble = score_together(files, DATASETS[where[0]].task)
            rows.append(Row(*where, seeds, chosen[0]["targets_dropped"], _training(chosen[0]["settings"]), ensemble))
    order = {name: place for place, name in enumerate(DATASETS)}
    methods = {name: place for place, name in enumerate(METHODS)}
    rows.sort(key=lambda row: (order[row.dataset], row.split, row.student, methods[row.method]))
    return rows, {name: sorted(values) for name, values in causes.items()}


def _training(settings: Mapping[str, Any]) -> str:
    recipe = {name: value for name, value in (settings.get("recipe") or {}).items() if name not in OF_THE_METHOD}
    return json.dumps([settings["version"], recipe], sort_keys=True)


def gaps_of(rows: Iterable[Row]) -> list[Gap]:
    """Differences to the same student alone, over the seeds that both have; at least three."""
    by_place = {(row.dataset, row.student, row.method, row.split): row for row in rows}
    found = []
    for row in by_place.values():
        base = by_place.get((row.dataset, row.student, BASELINE, row.split))
        if base is None or row.method == BASELINE or row.training != base.training:
            continue
        common = sorted(base.seeds.keys() & row.seeds.keys())
        if len(common) < LEAST:
            continue
        ours, theirs = (np.array([one.seeds[seed] for seed in common]) for one in (row, base))
        classification = DATASETS[row.dataset].task == "classification"
        gaps = 100 * (ours - theirs) if classification else 100 * (theirs - ours) / theirs
        mean, spread = float(gaps.mean()), float(gaps.std(ddof=1) / np.sqrt(len(gaps)))
        half = float(stats.t.ppf(0.975, len(gaps) - 1)) * spread
        p = float(2 * stats.t.sf(abs(mean) / spread, len(gaps) - 1)) if spread else float(mean == 0)
        better = ours.mean() - theirs.mean() if classification else theirs.mean() - ours.mean()
        beyond = bool(better > theirs.std(ddof=1))
        found.append(Gap(*row[:4], len(gaps), mean, mean - half, mean + half, p, beyond))
    corrected = holm([gap.p for gap in found])
    return [gap._replace(p=p) for gap, p in zip(found, corrected, strict=True)]


def holm(values: Sequence[float]) -> list[float]:
    """P-values corrected for their number (Holm, Scand. J. Stat. 1979).

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    corrected, largest = [0.0] * len(values), 0.0
    for place, index in enumerate(sorted(range(len(values)), key=lambda index: values[index])):
        largest = max(largest, min(1.0, values[index] * (len(values) - place)))
        corrected[index] = largest
    return corrected


def ranks(rows: Sequence[Row]) -> list[tuple[str, float, int]]:
    """Mean rank of every method and student over the tables that all of them have; best first."""
    table: dict[str, dict[str, float]] = defaultdict(dict)
    for row in rows:
        if row.split == "scaffold":
            way = f"{row.student} {row.method}" if row.student != "none" else row.method
            larger = DATASETS[row.dataset].task == "classification"
            table[way][row.dataset] = row.mean if larger else -row.mean
    most = max((len(found) for found in table.values()), default=0)
    full = {way: found for way, found in table.items() if len(found) == most}
    common = sorted(set.intersection(*(set(found) for found in full.values()))) if full else []
    if len(full) < 2 or not common:
        return []
    places = np.mean([stats.rankdata([-found[name] for found in full.values()]) for name in common], axis=0)
    return sorted(
        ((way, float(place), len(common)) for way, place in zip(full, places, strict=True)), key=lambda r: r[1]
    )


def critical_difference(ways: int, tables: int) -> float:
    """Difference of two mean ranks that chance exceeds once in twenty times (Nemenyi's test).

    Args:
        ways: methods that are ranked, at least two.
        tables: on which they are ranked.

    References:
        Demšar, J. Mach. Learn. Res. 2006, 7, 1-30, whose table 5 has the quantiles.
    """
    quantile = float(stats.studentized_range.ppf(0.95, ways, np.inf)) / np.sqrt(2)
    return float(quantile * np.sqrt(ways * (ways + 1) / (6 * tables)))


def score(row: Row) -> str:
    """``74.3 ± 0.9 (10)`` in per cent, or RMSE in its unit; the number of seeds behind it."""
    return f"{written(row.dataset, row.mean, row.std)} ({len(row.seeds)})"


def together(row: Row) -> str:
    """The score of all seeds' mean, or a dash."""
    return "–" if row.together is None else written(row.dataset, row.together, None)


def paper(row: Row) -> str:
    """The paper's score of the same, or a dash."""
    found = reported(row.dataset, row.student, row.method) if row.split == "scaffold" else None
    return "–" if found is None else written(row.dataset, *found)


def written(dataset: str, mean: float, std: float | None) -> str:
    """A score as the paper writes it."""
    scale, digits = (100, 1) if DATASETS[dataset].task == "classification" else (1, 3)
    return f"{scale * mean:.{digits}f}" + (f" ± {scale * std:.{digits}f}" if std is not None else "")


def label(gap: Gap) -> str:
    """Which difference it is."""
    split = "" if gap.split == "scaffold" else f", {gap.split}"
    return f"{DATASETS[gap.dataset].title}, {gap.student}, {gap.method}{split}"


CLAIMS = {
    "iem": "with pictures",
    "start": "with a head start from pictures",
    "priors start": "with a head start from the prior questions alone, without any picture",
}
"""What is said of a method in a summary."""


def summary(rows: Sequence[Row], gaps: Sequence[Gap]) -> str:
    """In a few sentences: how often the pictures and a head start helped, and whether the controls do as well."""
    sentences = []
    for method, words in CLAIMS.items():
        some = [gap for gap in gaps if gap.method == method]
        if not some:
            continue
        better, worse = sum(gap.low > 0 for gap in some), sum(gap.high < 0 for gap in some)
        sentences.append(
            f"Of {plural(len(some), 'comparison')} of a student {words} and the student alone, {better} got better and "
            f"{worse} worse with a 95 % interval that excludes zero; {sum(gap.beyond for gap in some)} by more than a "
            "standard deviation of the student alone (better)."
        )
        if means := [gap.mean for gap in some if DATASETS[gap.dataset].task == "classification"]:
            over = plural(len(means), "comparison")
            sentences.append(f"Mean change of ROC-AUC: {np.mean(means):+.1f} points over {over}.")
        if means := [gap.mean for gap in some if DATASETS[gap.dataset].task == "regression"]:
            sentences.append(f"Mean change of RMSE: {-np.mean(means):+.1f} % over {plural(len(means), 'comparison')}.")
    places = {(gap.dataset, gap.student, gap.split): gap for gap in gaps if gap.method == "iem"}
    controls = [gap for gap in gaps if gap.method == "priors" and (gap.dataset, gap.student, gap.split) in places]
    if controls:
        as_good = sum(gap.mean >= places[gap.dataset, gap.student, gap.split].mean for gap in controls)
        sentences.append(
            f"The same questions as plain auxiliary tasks, without any picture, did as well or better in {as_good} of "
            f"{len(controls)}."
        )
    return " ".join(sentences) or f"{plural(len(rows), 'score')}; nothing to compare with the student alone yet."


def markdown(rows: Sequence[Row], gaps: Sequence[Gap]) -> str:
    """The tables as text for a manual."""
    columns = ("table", "student", "method", "split", "here (seeds)", "all seeds together", "paper", "unscored targets")
    lines = [summary(rows, gaps), "", f"| {' | '.join(columns)} |", "|" + len(columns) * "---|"]
    for row in rows:
        name, dropped = DATASETS[row.dataset].title, row.dropped or "–"
        lines.append(
            f"| {name} | {row.student} | {row.method} | {row.split} | {score(row)} | {together(row)} | {paper(row)} | "
            f"{dropped} |"
        )
    if gaps:
        lines += ["", "| difference to the student alone | seeds | mean | 95 % interval | p (Holm) | beyond one s |"]
        lines.append("|---|---|---|---|---|---|")
        lines += [
            f"| {label(gap)} | {gap.seeds} | {gap.mean:+.2f} | {gap.low:+.2f} to {gap.high:+.2f} | {gap.p:.3f} | "
            f"{'yes' if gap.beyond else 'no'} |"
            for gap in gaps
        ]
        lines += ["", "Differences: ROC-AUC in points, RMSE in per cent of the student alone; positive is better."]
    return "\n".join(lines) + "\n"
