"""Models that need no graph network: what every chemist has, and what a student must beat."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import Descriptors, rdFingerprintGenerator
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)

from iem.chem.molecules import parse

BITS = 2048
TREES = 500


def fingerprints(keys: Sequence[str]) -> np.ndarray:
    """ECFP4 counts, float32 ``(molecules, 2048)``.

    References:
        Rogers and Hahn, J. Chem. Inf. Model. 2010, doi:10.1021/ci100050t.
    """
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=BITS)
    return np.stack([generator.GetCountFingerprintAsNumPy(parse(key)) for key in keys]).astype(np.float32)


def descriptors(keys: Sequence[str]) -> np.ndarray:
    """RDKit's 2D descriptors by name (some 210), float32 ``(molecules, descriptors)``; NaN where none exists."""
    with rdBase.BlockLogs():
        rows = [[_value(function, parse(key)) for _, function in Descriptors.descList] for key in keys]
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
        if task == "classification" and len(np.unique(column[rows])) < 2:
            outputs[:, target] = column[rows][0]
            continue
        model = _model(kind, task, seed).fit(values[rows], column[rows])
        outputs[:, target] = model.predict_proba(values)[:, 1] if task == "classification" else model.predict(values)
    return outputs


def _model(kind: str, task: str, seed: int) -> Any:
    classification = task == "classification"
    if kind == "rf":
        forest = RandomForestClassifier if classification else RandomForestRegressor
        return forest(n_estimators=TREES, random_state=seed, n_jobs=1)
    boosting = HistGradientBoostingClassifier if classification else HistGradientBoostingRegressor
    return boosting(random_state=seed)
