"""The number to beat: what a model without a graph network makes of the same table and split."""

from typing import NamedTuple

import numpy as np

from iem.workflows.baselines import fingerprints, fit_predict
from iem.workflows.metrics import scores
from iem.workflows.trainings import Study

RIVAL = "gradient boosting on fingerprints"
"""ECFP4 counts and scikit-learn's defaults: seconds for what most tables are, and hard to beat on many."""
MOST_MOLECULES, MOST_LABELS = 100_000, 300_000
"""Of a table that it is trained on; beyond, it would take gigabytes, or as long as the student."""


class Rival(NamedTuple):
    """How it scored, and what it says about the test part."""

    valid: np.ndarray
    """Score per target."""
    test: np.ndarray
    outputs: np.ndarray
    """Predictions for the test part, float64 (molecules, targets)."""


def rival_of(study: Study) -> Rival | None:
    """Trained on the training part; None for a table that is too large."""
    table, split = study.table, study.split
    if len(table.keys) > MOST_MOLECULES or np.isfinite(table.labels).sum() > MOST_LABELS:
        return None
    outputs = fit_predict("gb", fingerprints(table.keys), table.labels, split.train, task=study.task, seed=0)
    valid, test = (scores(study.task, table.labels[rows], outputs[rows]) for rows in (split.valid, split.test))
    return Rival(valid, test, outputs[split.test])
