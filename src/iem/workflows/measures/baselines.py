"""Models that need no graph network: what every chemist has, and what a student must beat."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import Descriptors
from scipy.linalg import LinAlgWarning
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from iem.chem.fingerprints import ecfp_counts
from iem.chem.molecules import parse
from iem.records import Split
from iem.workflows.measures.metrics import mean_score, scores

TREES = 500
STRENGTHS = 10.0 ** np.arange(-5, 4)
"""Of the linear models' regularisation; the validation part chooses."""


def fingerprints(keys: Sequence[str]) -> np.ndarray:
    """ECFP4 counts, float32 ``(molecules, 2048)``."""
    return np.stack([ecfp_counts(parse(key)) for key in keys])


def descriptors(keys: Sequence[str]) -> np.ndarray:
    """RDKit's 2D descriptors by name (some 210), float32 ``(molecules, descriptors)``; NaN where none exists."""
    with rdBase.BlockLogs():
        rows = [[_value(function, mol) for _, function in Descriptors.descList] for mol in map(parse, keys)]
    values = np.array(rows, dtype=np.float64)
    return np.where(np.abs(values) < 1e30, values, np.nan).astype(np.float32)


def _value(function: Callable[[Chem.Mol], float], mol: Chem.Mol) -> float:
    try:
        return float(function(mol))
    except (ValueError, ZeroDivisionError, RuntimeError):  # a wildcard, say, has no partial charge
        return np.nan


def fit_predict(
    kind: str, values: np.ndarray, labels: np.ndarray, train: np.ndarray, *, task: str, seed: int
) -> np.ndarray:
    """Outputs for all molecules of one model per target, trained on the labelled molecules of the training part.

    Args:
        kind: ``rf`` (random forest of 500 trees, scikit-learn's other defaults) or ``gb`` (histogram gradient boosting,
            which takes missing values as they are).
        values: float (molecules, features).
        labels: float (molecules, targets), NaN where missing.
        train: rows to learn from.
        task: ``classification`` or ``regression``.
        seed: of the model.

    Returns:
        Probabilities or values, float64 (molecules, targets).
    """
    outputs = np.zeros(labels.shape)
    for target, column in enumerate(labels.T):
        rows = train[~np.isnan(column[train])]
        if not len(rows):
            continue
        if task == "classification" and rarest(column[rows]) < (2 if kind == "gb" else 1):
            outputs[:, target] = column[rows].mean()
            continue
        model = trained_model(kind, task, values[rows], column[rows], seed=seed)
        outputs[:, target] = model.predict_proba(values)[:, 1] if task == "classification" else model.predict(values)
    return outputs


def trained_model(
    kind: str, task: str, values: np.ndarray, labels: np.ndarray, *, seed: int, balanced: bool = False
) -> Any:
    """A model of scikit-learn's for one target.

    Args:
        kind: ``rf`` or ``gb``.
        task: ``classification`` or ``regression``.
        values: float (molecules, features).
        labels: float (molecules,), none missing; in classification both classes, for ``gb`` at least two of each.
        seed: of the model.
        balanced: gradient boosting, classification: positives weigh as much as negatives.
    """
    classification = task == "classification"
    if kind == "rf":
        forest = RandomForestClassifier if classification else RandomForestRegressor
        return forest(n_estimators=TREES, random_state=seed, n_jobs=1).fit(values, labels)
    if not classification:
        return HistGradientBoostingRegressor(random_state=seed).fit(values, labels)
    weight = "balanced" if balanced else None
    return HistGradientBoostingClassifier(random_state=seed, class_weight=weight).fit(values, labels)


def rarest(labels: np.ndarray) -> int:
    """Molecules of the smaller class. One teaches trees nothing: no leaf is so small, and above 10,000 rows
    scikit-learn sets some of each class aside to know when to stop.
    """
    active = int((labels == 1).sum())
    return min(active, len(labels) - active)


def probe_outputs(values: np.ndarray, labels: np.ndarray, split: Split, task: str) -> np.ndarray:
    """Outputs for all molecules of a linear model per target, its strength the best on the validation part.

    No feature is taken beyond what the training part has of it: one that hardly varies there, and does elsewhere, lies
    thousands of standard deviations away, and would rule the score.

    Args:
        values: representation, finite, float (molecules, features).
        labels: float (molecules, targets), NaN where missing.
        split: the three parts; the test part is not looked at.
        task: ``classification`` (logistic regression; the outputs are log-odds) or ``regression`` (ridge).

    Returns:
        float64 (molecules, targets).
    """
    seen = values[split.train]
    scaled = StandardScaler().fit(seen).transform(values.clip(seen.min(axis=0), seen.max(axis=0)))
    best, chosen = -np.inf, np.zeros(labels.shape)
    for strength in STRENGTHS:
        outputs = np.column_stack([_linear(scaled, column, split.train, task, strength) for column in labels.T])
        figure = mean_score(scores(task, labels[split.valid], outputs[split.valid]))
        figure = figure if task == "classification" else -figure
        if figure > best:
            best, chosen = figure, outputs
    return chosen


def _linear(scaled: np.ndarray, labels: np.ndarray, train: np.ndarray, task: str, strength: float) -> np.ndarray:
    """Outputs for all molecules of a model trained on the labelled ones of ``train``."""
    rows = train[~np.isnan(labels[train])]
    if not len(rows):
        return np.zeros(len(labels))
    with warnings.catch_warnings():
        for warning in (LinAlgWarning, ConvergenceWarning):
            warnings.simplefilter("ignore", warning)  # of the least strengths, which lose by validation
        if task == "regression":
            return Ridge(alpha=strength * len(rows)).fit(scaled[rows], labels[rows]).predict(scaled)
        if len(np.unique(labels[rows])) < 2:
            return np.zeros(len(labels))
        model = LogisticRegression(C=1 / (strength * len(rows)), max_iter=1000)
        return model.fit(scaled[rows], labels[rows]).decision_function(scaled)
