"""Scores of predictions with missing labels, their spread over seeds, and the paired difference of two arms."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from iem.report.text import plural

METRICS = {"classification": "roc_auc", "regression": "rmse"}
RESAMPLES, LEAST_RESAMPLES = 1_000, 200
"""Test parts that are drawn for an interval: shared out over the targets, but never fewer than the latter."""
CELLS = 2_000_000
"""Molecules of drawn parts that are scored at a time; bounds the memory."""
FEWEST = 10
"""Molecules from which parts are drawn: of fewer the same ones come again and again, and the interval is too narrow."""


def scores(task: str, labels: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Score per target: ROC-AUC, or RMSE in the unit of the labels.

    Args:
        task: ``classification`` or ``regression``.
        labels: float (molecules, targets), NaN where missing.
        outputs: probabilities or values, of the same shape.

    Returns:
        float (targets,); NaN for a target without labels, or without both classes, as in the paper.
    """
    result = np.full(labels.shape[1], np.nan)
    for target, (truth, output) in enumerate(zip(labels.T, outputs.T, strict=True)):
        known = ~np.isnan(truth)
        result[target] = _counted(task, truth[known], output[known], np.ones((1, known.sum())))[0]
    return result


def mean_score(per_target: np.ndarray) -> float:
    """Average over the targets that have a score; NaN if none has."""
    return float(np.nanmean(per_target)) if np.isfinite(per_target).any() else math.nan


def summary(per_seed: Sequence[np.ndarray], targets: Sequence[str]) -> dict[str, Any]:
    """Scores of several seeds as ``metrics.json`` holds them: mean, sample standard deviation, and the parts.

    Args:
        per_seed: for each seed the score per target, as ``scores`` returns them.
        targets: their names.
    """

    def spread(values: Sequence[float]) -> dict[str, Any]:
        known = [None if math.isnan(value) else float(value) for value in values]
        present = [value for value in known if value is not None]
        return {
            "mean": float(np.mean(present)) if present else None,
            "std": float(np.std(present, ddof=1)) if len(present) > 1 else None,
            "per_seed": known,
        }

    table = np.stack(per_seed)
    return spread([mean_score(row) for row in table]) | {
        "per_target": {name: spread(list(column)) for name, column in zip(targets, table.T, strict=True)},
    }


def difference(
    task: str,
    labels: np.ndarray,
    taught: Sequence[np.ndarray],
    plain: Sequence[np.ndarray],
    aid: str = "pictures",
) -> dict[str, Any]:
    """Paired difference of the test score, with help minus without, and its 95 % confidence interval.

    With several seeds: Student's t over the pairs, which measures the luck of training (weights, order of molecules);
    the test molecules are the same for both. With one seed: a paired bootstrap over the test molecules, which
    measures the luck of the test part and knows nothing of the luck of training.

    Args:
        task: tells whether larger (ROC-AUC) or smaller (RMSE) is better.
        labels: of the test part, float (molecules, targets), NaN where missing.
        taught: predictions for the test part, one array of the same shape per seed.
        plain: those of the same student with the same seeds and no help.
        aid: what it was, ``pictures`` or ``prior questions``.

    Returns:
        ``mean``, ``ci95`` (a pair; None where there is no score, or one seed and too few molecules), ``improved`` (the
        interval lies wholly on the better side of zero), and ``verdict`` in plain words.
    """
    pairs = list(zip(taught, plain, strict=True))
    gaps = np.array([_gap(task, labels, *pair) for pair in pairs])
    mean = float(gaps.mean())
    if math.isnan(mean):
        verdict = f"The test part has no score, so nothing can be said about the {aid}."
        return {"mean": None, "ci95": None, "improved": False, "verdict": verdict}
    name = {"classification": "ROC-AUC", "regression": "RMSE"}[task]
    source = "the teacher" if aid == "pictures" else "them"
    change = f"{name} {'rose' if mean > 0 else 'fell'} by {abs(mean):.3f} with {source}"
    if abs(mean) < 0.0005:
        change = f"{name} is the same with {source}"
    if len(pairs) > 1:
        half = float(stats.t.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1) / math.sqrt(len(gaps)))
        low, high, over = mean - half, mean + half, f"over {len(gaps)} seeds"
    else:
        drawn = resampled(task, labels, *pairs[0])
        if drawn is None:
            few = plural(len(labels), "molecule")
            verdict = f"{change}, but with {few} in the test part nobody can tell whether the {aid} helped."
            return {"mean": mean, "ci95": None, "improved": False, "verdict": verdict}
        low, high = drawn
        over = "over the test molecules; with one seed the luck of training is not counted, so use --seeds 3 or more"
    span = f"95 % confidence interval {low:+.3f} to {high:+.3f} {over}"
    improved = low > 0 if task == "classification" else high < 0
    if improved:
        verdict = f"Yes, the {aid} helped: {change} ({span})."
    elif low <= 0 <= high:
        verdict = f"No clear effect of the {aid}: {change}, and the interval includes zero ({span})."
    else:
        verdict = f"No, the {aid} did harm: {change} ({span}). Use --teacher none for this table."
    return {"mean": mean, "ci95": [low, high], "improved": improved, "verdict": verdict}


def against(
    task: str, labels: np.ndarray, ours: Sequence[np.ndarray], theirs: np.ndarray, rival: str
) -> dict[str, Any]:
    """How a model stands to another one on the same test molecules, by a paired bootstrap over them.

    Args:
        task: tells whether larger (ROC-AUC) or smaller (RMSE) is better.
        labels: of the test part, float (molecules, targets), NaN where missing.
        ours: predictions of the model, one array of the same shape per network; their mean counts.
        theirs: those of the other one.
        rival: what that is.

    Returns:
        ``mean``, the test score minus that of the other one; ``ci95`` (a pair; None where there is no score, or too few
        molecules); ``ahead`` (True, False, or None where nobody can tell); and ``verdict`` in plain words.
    """
    together, several = np.mean(ours, axis=0), f", {len(ours)} networks together," * (len(ours) > 1)
    mine, other = (mean_score(scores(task, labels, outputs)) for outputs in (together, theirs))
    if math.isnan(mine - other):
        return {"mean": None, "ci95": None, "ahead": None, "verdict": ""}
    name = {"classification": "ROC-AUC", "regression": "RMSE"}[task]
    drawn = resampled(task, labels, together, theirs)
    if drawn is None:
        few = plural(len(labels), "molecule")
        verdict = (
            f"The graph network alone has a test {name} of {mine:.3f}{several} where {rival}, trained on the same "
            f"molecules, has {other:.3f}; with {few} in the test part nobody can tell who is ahead."
        )
        return {"mean": mine - other, "ci95": None, "ahead": None, "verdict": verdict}
    low, high = drawn
    larger, ahead = low > 0, None
    if not low <= 0 <= high:
        ahead = larger if task == "classification" else not larger
    standing = {True: "is ahead of", False: "is behind", None: "does not clearly differ from"}[ahead]
    verdict = (
        f"The graph network alone {standing} {rival}, trained on the same molecules: test {name} "
        f"{mine:.3f}{several} against {other:.3f} "
        f"(95 % confidence interval of the difference {low:+.3f} to {high:+.3f} over the test molecules)."
    )
    return {"mean": mine - other, "ci95": [low, high], "ahead": ahead, "verdict": verdict}


def _gap(task: str, labels: np.ndarray, one: np.ndarray, other: np.ndarray) -> float:
    """The score of one minus that of the other."""
    return mean_score(scores(task, labels, one)) - mean_score(scores(task, labels, other))


def resampled(task: str, labels: np.ndarray, one: np.ndarray, other: np.ndarray) -> tuple[float, float] | None:
    """95 % of the differences over parts drawn with repetition from this one; None below ``FEWEST`` molecules.

    A part that is drawn is known by how often it has each molecule, so that many are scored at once.
    """
    rows, targets = labels.shape
    if rows < FEWEST:
        return None
    rng, times = np.random.default_rng(0), max(LEAST_RESAMPLES, RESAMPLES // targets)
    known, gaps = ~np.isnan(labels), np.empty((times, targets))
    block = max(1, CELLS // rows)
    for first in range(0, times, block):
        drawn = [rng.integers(0, rows, rows) for _ in range(min(block, times - first))]
        counts = np.stack([np.bincount(part, minlength=rows) for part in drawn]).astype(float)
        for target in range(targets):
            some = known[:, target]
            mine, its = (
                _counted(task, labels[some, target], outputs[some, target], counts[:, some]) for outputs in (one, other)
            )
            gaps[first : first + block, target] = mine - its
    gaps = gaps[np.isfinite(gaps).any(axis=1)]  # in some parts that are drawn no target has both classes
    low, high = np.quantile(np.nanmean(gaps, axis=1), [0.025, 0.975])
    return float(low), float(high)


def _counted(task: str, truth: np.ndarray, output: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Scores of one target where every molecule counts once, several times, or not at all.

    Args:
        task: ``classification`` or ``regression``.
        truth: labels, float (molecules,).
        output: predictions, float (molecules,).
        counts: float (draws, molecules).

    Returns:
        float (draws,); NaN without labels, without both classes, or where a prediction is NaN.
    """
    if not len(truth) or np.isnan(output).any():
        return np.full(len(counts), np.nan)
    with np.errstate(invalid="ignore"):  # 0/0 is the NaN that is promised
        if task == "regression":
            return np.sqrt(counts @ (truth - output) ** 2 / counts.sum(axis=1))
        order = np.argsort(output, kind="stable")
        _, starts = np.unique(output[order], return_index=True)  # of molecules that share a prediction
        counts, positive = counts[:, order], truth[order] == 1
        positives, negatives = (np.add.reduceat(counts * chosen, starts, axis=1) for chosen in (positive, ~positive))
        below = negatives.cumsum(axis=1) - negatives / 2  # a tie is half a pair in the right order
        return (positives * below).sum(axis=1) / (positives.sum(axis=1) * negatives.sum(axis=1))
