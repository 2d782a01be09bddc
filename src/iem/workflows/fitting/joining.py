"""What predicts: the student with help or without, alone or with trees. The validation part chooses; the test part is
scored once.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from iem.report.text import METRIC_NAMES, number
from iem.workflows.fitting.boosting import Boosted
from iem.workflows.fitting.trainings import Result, Study
from iem.workflows.inference.trees import together
from iem.workflows.measures.metrics import METRICS, mean_score, resampled, scores, summary


class Joined(NamedTuple):
    """The mean of each network and the trees."""

    joined: bool
    """Whether they predict together."""
    members: np.ndarray
    """Predictions for the test part, float64 (seeds, molecules, targets)."""
    metrics: dict[str, Any]
    """``joined``, ``valid`` as a summary, ``verdict`` in plain words; and ``test`` if they do."""


def better_of(study: Study, arms: Mapping[str, Sequence[Result]]) -> tuple[str, str]:
    """The arm whose networks predict, and why in plain words: the better mean score on the validation part.

    It is a choice between two, by few molecules: on most tables that were tried it is the test part's, not on all.

    Args:
        study: what was learned.
        arms: the results of each, one per seed; the first is the one that was asked for, and wins where nothing is to
            be told apart.
    """
    scored = {arm: float(np.mean([mean_score(result.valid) for result in some])) for arm, some in arms.items()}
    first = next(iter(scored))
    if len(scored) == 1:
        return first, ""
    if any(map(math.isnan, scored.values())):
        return first, f"The validation part has no score, so the networks trained {first} predict."
    kept = (max if study.task == "classification" else min)(scored, key=lambda arm: scored[arm])
    told = ", ".join(f"{number(score)} {arm}" for arm, score in scored.items())
    name = METRIC_NAMES[METRICS[study.task]]
    return kept, f"The networks trained {kept} predict, which the validation part chose ({name} {told})."


def joined_of(study: Study, results: Sequence[Result], boosted: Boosted) -> Joined:
    """Together, unless the validation part is clearly against it: by a paired bootstrap over its molecules.

    Models that err for different reasons err less in the mean, so the burden of proof is on *no*; and the score of the
    network on that part flatters it, because it is the best of all its epochs there. The two count alike: one choice,
    yes or no, is all that is fitted.

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
    before, after = (some["valid"].mean(axis=0) for some in (alone, members))
    scored = [mean_score(scores(task, labels["valid"], outputs)) for outputs in (after, before)]
    name = METRIC_NAMES[METRICS[task]]
    joined, told = False, f"{name} {number(scored[0])}, the network alone {number(scored[1])}"
    if math.isnan(scored[0]):
        verdict = "The validation part has no score, so the network predicts without the trees."
    else:
        low, high = resampled(task, labels["valid"], after, before) or (0.0, 0.0)  # of too few nothing is clear
        joined = high >= 0 if task == "classification" else low <= 0
        if joined:
            tested = number(mean_score(scores(task, labels["test"], members["test"].mean(axis=0))))
            verdict = (
                f"The model predicts the mean of network and trees: test {name} {tested} (on the "
                f"validation part, which is not clearly against it, {told})."
            )
        else:
            verdict = (
                f"The network predicts alone: on the validation part its mean with the trees is clearly "
                f"behind ({told}; 95 % confidence interval of the difference {low:+.3f} to {high:+.3f})."
            )
    summaries = {
        part: summary([scores(task, labels[part], outputs) for outputs in members[part]], table.targets)
        for part in ("valid", "test")
        if joined or part == "valid"
    }
    return Joined(joined, members["test"], {"joined": joined, **summaries, "verdict": verdict})
