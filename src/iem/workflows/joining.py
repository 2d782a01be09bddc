"""Whether network and trees predict together: decided by the validation part, scored once on the test part."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from iem.report.text import METRIC_NAMES, number
from iem.workflows.boosting import Boosted
from iem.workflows.metrics import METRICS, mean_score, scores, summary
from iem.workflows.trainings import Result, Study
from iem.workflows.trees import together


class Joined(NamedTuple):
    """The mean of each network and the trees."""

    better: bool
    """On the validation part, than the networks alone."""
    members: np.ndarray
    """Predictions for the test part, float64 (seeds, molecules, targets)."""
    metrics: dict[str, Any]
    """``joined``, ``valid`` as a summary, ``verdict`` in plain words; and ``test`` if they are better."""


def joined_of(study: Study, results: Sequence[Result], boosted: Boosted) -> Joined:
    """Try it. The two count alike: one choice, yes or no, is all that the validation part makes.

    Args:
        study: what was learned.
        results: of the networks that predict, one per seed.
        boosted: the trees.
    """
    table, split, task = study.table, study.split, study.task
    alone = {
        "valid": np.stack([result.valid_outputs for result in results]),
        "test": np.stack([result.outputs for result in results]),
    }
    members = {part: together(networks, boosted.opinions[part]) for part, networks in alone.items()}
    labels = {part: table.labels[getattr(split, part)] for part in alone}
    before, after = (mean_score(scores(task, labels["valid"], some["valid"].mean(axis=0))) for some in (alone, members))
    better = after > before if task == "classification" else after < before
    name = METRIC_NAMES[METRICS[task]]
    if math.isnan(after):
        verdict = "The validation part has no score, so the network predicts without the trees."
    elif better:
        tested = number(mean_score(scores(task, labels["test"], members["test"].mean(axis=0))))
        verdict = (
            f"The model predicts the mean of network and trees, which does better on the validation part ({name} "
            f"{number(after)}, the network alone {number(before)}): test {name} {tested}."
        )
    else:
        verdict = (
            f"The network predicts alone: its mean with the trees does no better on the validation part ({name} "
            f"{number(after)}, the network alone {number(before)})."
        )
    summaries = {
        part: summary([scores(task, labels[part], outputs) for outputs in members[part]], table.targets)
        for part in ("valid", "test")
        if better or part == "valid"
    }
    return Joined(better, members["test"], {"joined": better, **summaries, "verdict": verdict})
