"""The number to beat: what a model without a graph network makes of the same table and split."""

from typing import NamedTuple

import numpy as np

from iem.workflows.baselines import fingerprints, fit_predict
from iem.workflows.metrics import scores
from iem.workflows.trainings import Study

RIVAL = "gradient boosting on fingerprints"
"""ECFP4 counts and scikit-learn's defaults: seconds for what most tables are, and hard to beat on many."""
MOST = 500_000
"""Labels that it learns from at most; beyond it would take as long as the student."""


class Rival(NamedTuple):
    """How it scored, and what it says about the test part."""

    valid: np.ndarray
    """Score per target."""
    test: np.ndarray
    outputs: np.ndarray
    """Predictions for the test part, float64 (molecules, targets)."""


def rival_of(study: Study) -> Rival | None:
    """Trained on the training part; None where that has more labels than ``MOST``."""
    table, split = study.table, study.split
    if np.isfinite(table.labels[split.train]).sum() > MOST:
        return None
    outputs = fit_predict("gb", fingerprints(table.keys), table.labels, split.train, task=study.task, seed=0)
    valid, test = (scores(study.task, table.labels[rows], outputs[rows]) for rows in (split.valid, split.test))
    return Rival(valid, test, outputs[split.test])
