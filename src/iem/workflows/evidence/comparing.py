"""What scores say: paired differences, what the validation part would choose, ranks."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from iem.workflows.evidence.methods import METHODS, Method
from iem.workflows.evidence.results import Row

ALONE = {"none": "plain", "pictures": "start", "priors": "priors start"}
"""The student alone, by where it begins."""
LEAST = 3
"""Seeds from which a difference is tested."""


class Interval(NamedTuple):
    """A mean difference and its 95 % confidence interval, Student's t over the pairs; positive is better."""

    mean: float
    """ROC-AUC points (0.01), or per cent of the RMSE that it is compared with."""
    low: float
    high: float


class Gap(NamedTuple):
    """What a method changes against another of the same student, same seeds and split."""

    dataset: str
    student: str
    method: str
    against: str
    split: str
    seeds: int
    test: Interval
    valid: Interval | None
    """The same on the validation part; None where that has no score."""
    p: float
    """Of the test part: two-sided paired t-test, corrected (Holm) for the tables, students and splits of the same
    question, this method against this other."""
    beyond: bool
    """Better than the mean of the other by more than its standard deviation, as the paper counts."""


class Choice(NamedTuple):
    """A student alone, with pictures, and whichever of the two has the better validation score, seed by seed."""

    alone: Row
    taught: Row
    chosen: Row
    times: int
    """How many seeds chose pictures."""


def opponents(name: str) -> list[str]:
    """Whom a method is compared with: the same student alone, then its controls.

    A head start is compared with none; what learns more after it, with the head start alone.

    Example:
        >>> opponents("iem"), opponents("priors start")
        (['plain', 'priors', 'shuffled', 'untrained'], ['plain'])
    """
    method = METHODS[name]
    alone = ALONE[method.start]
    if method.model != "student" or name == "plain":
        return []
    if name == alone:
        return ["plain"]
    return [alone, *(other for other, control in METHODS.items() if _is_control(control, method))]


def taught_after(start: str) -> list[str]:
    """The methods that show a student the right pictures of all molecules with both enhancers, by where it begins.

    Example:
        >>> taught_after("priors")
        ['priors start+iem', 'priors start+2d', 'priors start+flat']
    """
    return [
        name
        for name, method in METHODS.items()
        if method.shows_pictures and method.share == 1 and method.ke and method.te and method.start == start
    ]


def _is_control(control: Method, method: Method) -> bool:
    """Whether it is what a method that shows the right pictures is, but for these."""
    if not method.shows_pictures or method.share < 1 or control.start != method.start:
        return False
    wrong = control.shuffled or control.untrained
    same = (control.sees, control.ke, control.te) == (method.sees, method.ke, method.te)
    return (wrong and same) or (control.priors and method.ke)


def gaps_of(rows: Iterable[Row]) -> list[Gap]:
    """Differences to the opponents, over the seeds that both have; at least three."""
    by_place = {(row.dataset, row.student, row.method, row.split): row for row in rows}
    found = []
    for row in by_place.values():
        for against in opponents(row.method):
            base = by_place.get((row.dataset, row.student, against, row.split))
            if base is None or row.training != base.training:
                continue
            common = sorted(base.seeds.keys() & row.seeds.keys())
            if len(common) < LEAST:
                continue
            test, p = _paired(row.seeds, base.seeds, common, larger=row.is_classification)
            valid = None
            if all(seed in row.valid and seed in base.valid for seed in common):
                valid, _ = _paired(row.valid, base.valid, common, larger=row.is_classification)
            ours, theirs = (np.array([one.seeds[seed] for seed in common]) for one in (row, base))
            better = ours.mean() - theirs.mean() if row.is_classification else theirs.mean() - ours.mean()
            beyond = bool(better > theirs.std(ddof=1))
            found.append(
                Gap(row.dataset, row.student, row.method, against, row.split, len(common), test, valid, p, beyond)
            )
    return _corrected(found)


def _corrected(gaps: Sequence[Gap]) -> list[Gap]:
    """In the same order, p corrected within each question: more questions on a page do not weaken the answers."""
    questions: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, gap in enumerate(gaps):
        questions[gap.method, gap.against].append(place)
    found = list(gaps)
    for places in questions.values():
        for place, p in zip(places, holm([gaps[place].p for place in places]), strict=True):
            found[place] = gaps[place]._replace(p=p)
    return found


def _paired(
    one: Mapping[int, float], other: Mapping[int, float], seeds: Sequence[int], *, larger: bool
) -> tuple[Interval, float]:
    """The difference over some seeds, and its p-value."""
    ours, theirs = (np.array([scores[seed] for seed in seeds]) for scores in (one, other))
    gaps = 100 * (ours - theirs) if larger else 100 * (theirs - ours) / theirs
    mean, spread = float(gaps.mean()), float(gaps.std(ddof=1) / np.sqrt(len(gaps)))
    half = float(stats.t.ppf(0.975, len(gaps) - 1)) * spread
    p = float(2 * stats.t.sf(abs(mean) / spread, len(gaps) - 1)) if spread else float(mean == 0)
    return Interval(mean, mean - half, mean + half), p


def choices_of(rows: Iterable[Row]) -> list[Choice]:
    """What ``iem fit`` would take of each student with and without pictures: it looks at the validation part."""
    by_place = {(row.dataset, row.student, row.method, row.split): row for row in rows}
    found = []
    for taught in by_place.values():
        method = METHODS[taught.method]
        alone = by_place.get((taught.dataset, taught.student, ALONE[method.start], taught.split))
        if not method.shows_pictures or alone is None or alone.training != taught.training:
            continue
        seeds = sorted(set.intersection(*(set(part) for one in (alone, taught) for part in (one.seeds, one.valid))))
        if not seeds:
            continue
        sign = 1 if taught.is_classification else -1
        won = {seed: sign * taught.valid[seed] > sign * alone.valid[seed] for seed in seeds}
        chosen = {seed: (taught if won[seed] else alone).seeds[seed] for seed in seeds}
        one, other = (row._replace(seeds={seed: row.seeds[seed] for seed in seeds}) for row in (alone, taught))
        found.append(Choice(one, other, one._replace(seeds=chosen, together=None), sum(won.values())))
    return found


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
            table[way][row.dataset] = row.mean if row.is_classification else -row.mean
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
