"""Gradient boosting on fingerprints and descriptors: the number to beat, and a second opinion for predictions."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.special import logit

from iem.chem.fingerprints import BITS, DESCRIPTORS, described
from iem.chem.molecules import parse
from iem.report.text import METRIC_NAMES, plural
from iem.workflows.fitting.trainings import Study
from iem.workflows.inference.trees import Trees
from iem.workflows.measures.baselines import rarest, trained_model
from iem.workflows.measures.metrics import METRICS, mean_score, scores
from iem.workflows.running.console import progress, say

BOOSTING = "gradient boosting on fingerprints and descriptors"
"""ECFP4 counts, 83 quick descriptors and scikit-learn's defaults: seconds for most tables, and hard to beat on many."""
MOST_MOLECULES, MOST_LABELS = 100_000, 300_000
"""Of a table that it is trained on; beyond, it would take gigabytes, or as long as the student."""
LEAF = 20
"""Fewest molecules in a leaf, scikit-learn's default."""
CERTAIN = 20.0
"""Log-odds where all labels to learn from are the same."""


class Boosted(NamedTuple):
    """What was trained, how it scored, and what it says."""

    trees: Trees
    valid: np.ndarray
    """Score per target."""
    test: np.ndarray
    opinions: dict[str, np.ndarray]
    """``valid`` and ``test``: predictions for the part, float64 (molecules, targets)."""


def boosted_of(study: Study) -> Boosted | None:
    """Trained on the training part; None for a table that is too large, which is said."""
    table, split = study.table, study.split
    if len(table.keys) > MOST_MOLECULES or np.isfinite(table.labels).sum() > MOST_LABELS:
        say(f"{BOOSTING} is left out beyond {MOST_MOLECULES:,} molecules or {MOST_LABELS:,} labels")
        return None
    say(f"{BOOSTING} learns from the same {plural(len(split.train), 'molecule')}")
    balanced = study.recipe.class_weights == "balanced"
    values = np.empty((len(table.keys), BITS + len(DESCRIPTORS)), np.float32)
    with progress() as bars:
        bar = bars.add_task("describing molecules for the trees", total=len(values))
        for row, key in enumerate(table.keys):
            values[row] = described(parse(key))
            bars.advance(bar)
        bar = bars.add_task("growing trees", total=len(table.targets))
        trees = grown(
            values[split.train],
            table.labels[split.train],
            task=study.task,
            balanced=balanced,
            tick=lambda: bars.advance(bar),
        )
    opinions = {part: trees.outputs(values[getattr(split, part)]) for part in ("valid", "test")}
    valid, test = (scores(study.task, table.labels[getattr(split, part)], opinions[part]) for part in opinions)
    figure = mean_score(valid)
    if not np.isnan(figure):
        say(f"its validation {METRIC_NAMES[METRICS[study.task]]} is {figure:.3f}")
    return Boosted(trees, valid, test, opinions)


def grown(
    values: np.ndarray,
    labels: np.ndarray,
    *,
    task: str,
    balanced: bool = False,
    tick: Callable[[], object] = lambda: None,
) -> Trees:
    """Train one model per target.

    Args:
        values: finite, float (molecules, features).
        labels: float (molecules, targets), NaN where missing.
        task: ``classification`` or ``regression``.
        balanced: classification: positives of a target weigh as much as its negatives.
        tick: called for each target.
    """
    parts: dict[str, list[Any]] = {name: [] for name in ("feature", "threshold", "left", "right", "value")}
    root, target, offset = [], [], np.zeros(labels.shape[1])
    asked, end = askable(values), 0
    few = values[:, asked]
    for column, known in enumerate(labels.T):
        tick()
        rows = ~np.isnan(known)
        if not rows.any():
            continue
        if task == "classification" and rarest(known[rows]) < 2:
            offset[column] = np.clip(logit(known[rows].mean()), -CERTAIN, CERTAIN)
            continue
        model = trained_model("gb", task, few[rows], known[rows], seed=0, balanced=balanced)
        offset[column] = np.ravel(model._baseline_prediction)[0]
        for (predictor,) in model._predictors:  # one tree per step; scikit-learn has no public way to its nodes
            nodes = predictor.nodes
            leaf, own = nodes["is_leaf"].astype(bool), np.arange(len(nodes))
            parts["feature"].append(np.where(leaf, 0, asked[nodes["feature_idx"]]))
            parts["threshold"].append(np.where(leaf, np.inf, nodes["num_threshold"]))
            for side in ("left", "right"):
                parts[side].append(end + np.where(leaf, own, nodes[side]))
            parts["value"].append(nodes["value"])
            root.append(end)
            target.append(column)
            end += len(nodes)
    kinds = {"feature": np.int16, "left": np.int32, "right": np.int32}
    joined = {
        name: np.concatenate([*some, np.zeros(0)]).astype(kinds.get(name, np.float64)) for name, some in parts.items()
    }
    chances = np.array([task == "classification"])
    return Trees(
        **joined, root=np.array(root, np.int32), target=np.array(target, np.int32), offset=offset, chances=chances
    )


def askable(values: np.ndarray) -> np.ndarray:
    """Columns by which two leaves can be told apart, int64; at least one.

    Where fewer than ``LEAF`` molecules differ from the value that most have, no split leaves enough on either side:
    that is nine tenths of a fingerprint, each of which costs as much time as any other.
    """
    differ = (values != np.median(values, axis=0)).sum(axis=0)
    return np.flatnonzero(differ >= LEAF) if (differ >= LEAF).any() else np.zeros(1, np.int64)
