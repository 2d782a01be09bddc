"""Numbers and findings in plain words."""

import math
from collections.abc import Mapping
from typing import Any

METRIC_NAMES = {"roc_auc": "ROC-AUC", "rmse": "RMSE"}

STATUS_WORDS = {
    "etkdg": "3D conformer embedded at the first attempt",
    "etkdg-random-coords": "3D conformer embedded from random starting coordinates",
    "given": "3D coordinates came with the molecule",
    "flat": "no 3D conformer was found: drawn from its flat coordinates",
    "depiction": "drawn as a 2D depiction",
    "layout": "the flat layout drawn in ball-and-stick style",
}
"""What a conformer status says; any other is the reason why a molecule has no picture."""

VIEWS = {
    "3d": "views of a 3D conformer",
    "2d": "the 2D depiction",
    "flat": "the flat layout in ball-and-stick style",
}
"""What a teacher sees."""


def decimals(value: float) -> int:
    """Digits after the point that leave about four figures to read."""
    size = abs(value)
    return 3 if size < 10 else 2 if size < 100 else 1 if size < 1_000 else 0


def number(value: float | None, *, like: float | None = None) -> str:
    """A score for people: ``0.853``, ``12.40``, ``–`` where there is none.

    Args:
        value: the score.
        like: a number whose decimals are to be used, so that a mean and its spread line up.
    """
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.{decimals(value if like is None else like)}f}"


def spread(part: Mapping[str, Any]) -> str:
    """Mean and sample standard deviation over seeds, ``0.853 ± 0.012``; without the latter for one seed."""
    mean, std = part["mean"], part["std"]
    return number(mean) + (f" ± {number(std, like=mean)}" if std is not None and mean is not None else "")


def plural(count: int, noun: str) -> str:
    """``1 row``, ``2,050 rows``."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def doubt(metric: str, test: Mapping[str, Any], baseline: float | None) -> str:
    """What to say of a model that has learned nothing which carries over to the test part; empty for any other.

    Args:
        metric: ``roc_auc`` or ``rmse``.
        test: summary of the test part, as in ``metrics.json``.
        baseline: the RMSE of always answering with the mean of the training labels, where there is one.
    """
    if test["mean"] is None:
        return ""
    score = f"Test {METRIC_NAMES[metric]} {number(test['mean'])}"
    if metric == "roc_auc" and test["mean"] <= 0.5:
        return f"{score} is no better than guessing: do not rely on the predictions."
    if metric == "rmse" and baseline is not None and test["mean"] >= baseline:
        return (
            f"{score} is no better than always answering with the mean of the training labels ({number(baseline)}): "
            "do not rely on the predictions."
        )
    return ""


def verdict(
    metric: str, test: Mapping[str, Any], difference: Mapping[str, Any] | None, *, unit: str, aid: str
) -> tuple[str, str]:
    """What came out, in one or two sentences.

    Args:
        metric: ``roc_auc`` or ``rmse``.
        test: summary of the test part, as in ``metrics.json``.
        difference: of the two arms, if they were compared.
        unit: of the target, empty if unknown or different between targets.
        aid: what the student had besides labels: ``pictures``, ``prior questions``, or nothing.

    Returns:
        The tone, ``good``, ``bad`` or ``open``, and the words.
    """
    if difference is not None:
        interval = difference["ci95"]
        crosses = interval is None or interval[0] <= 0 <= interval[1]
        tone = "good" if difference["improved"] else "open" if crosses else "bad"
        return tone, difference["verdict"]
    if test["mean"] is None:
        return "open", "The test part has no score: no target has labels of both classes there."
    seeds = len(test["per_seed"])
    over = f" over {plural(seeds, 'seed')}" if seeds > 1 else ""
    words = f"Test {METRIC_NAMES[metric]} {spread(test)}{f' {unit}' * bool(unit)}{over}."
    if aid:
        words += f" Whether the {aid} helped was not asked; --compare trains without them too and tells."
    return "open", words
