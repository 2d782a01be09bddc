"""Which trees stand beside the network: settings of gradient boosting, and forests, by scaffold cross-validation.

    python benchmarks/trees.py esol freesolv bace clintox bbbp lipo sider [--models "iem fit,small steps"]

Every model is told what the trees of ``iem fit`` are told, and learns one target at a time. The test part of the
scaffold split is left out, so that what is chosen here has not seen it; molecules with one scaffold are in one of three
folds, those without a ring each by itself. The last line is JSON: by table and model the mean score over the folds, and
the processor seconds of all three.
"""

import argparse
import json
from collections.abc import Callable
from time import process_time
from typing import Any

import numpy as np
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.model_selection import GroupKFold

from iem.chem.fingerprints import described
from iem.chem.molecules import parse
from iem.chem.splits import scaffold, scaffold_split
from iem.data.tables import read_table
from iem.workflows.fitting.boosting import askable
from iem.workflows.measures.metrics import mean_score, scores

STEPS: dict[str, Any] = {
    "learning_rate": 0.05,
    "max_iter": 200,
    "max_features": 0.2,
    "l2_regularization": 1.0,
    "random_state": 0,
}
FOREST: dict[str, Any] = {"n_estimators": 200, "max_features": 0.33, "random_state": 0}
MORE: dict[str, Any] = FOREST | {"n_estimators": 100, "min_samples_leaf": 2}
"""Of extra trees beside boosting; a classification asks as many features as scikit-learn does by default."""


def both_classifiers(**settings: Any) -> VotingClassifier:
    """The mean of boosting and extra trees."""
    extra = ExtraTreesClassifier(**MORE | {"max_features": "sqrt"} | settings)
    return VotingClassifier([("boosting", HistGradientBoostingClassifier(**settings)), ("extra", extra)], voting="soft")


def both_regressors(**settings: Any) -> VotingRegressor:
    """The mean of boosting and extra trees."""
    extra = ExtraTreesRegressor(**MORE | settings)
    return VotingRegressor([("boosting", HistGradientBoostingRegressor(**settings)), ("extra", extra)])


MODELS: dict[str, tuple[Callable[..., Any], Callable[..., Any], dict[str, Any]]] = {
    "iem fit": (HistGradientBoostingClassifier, HistGradientBoostingRegressor, {"random_state": 0}),
    "small steps": (HistGradientBoostingClassifier, HistGradientBoostingRegressor, STEPS),
    "half": (HistGradientBoostingClassifier, HistGradientBoostingRegressor, STEPS | {"max_features": 0.5}),
    "random forest": (RandomForestClassifier, RandomForestRegressor, FOREST),
    "extra trees": (ExtraTreesClassifier, ExtraTreesRegressor, FOREST | {"min_samples_leaf": 2}),
    "boosting and extra": (both_classifiers, both_regressors, {"random_state": 0}),
}


def predicted(new: Callable[[], Any], task: str, values: np.ndarray, labels: np.ndarray, unseen: np.ndarray) -> Any:
    """Predictions for the unseen, float64 (molecules, targets), NaN for a target that has one class."""
    outputs = np.full((len(unseen), labels.shape[1]), np.nan)
    for target, known in enumerate(labels.T):
        rows = ~np.isnan(known)
        if len(np.unique(known[rows])) > 1:
            model = new().fit(values[rows], known[rows])
            classes = task == "classification"
            outputs[:, target] = model.predict_proba(unseen)[:, 1] if classes else model.predict(unseen)
    return outputs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+")
    parser.add_argument("--models", default=",".join(MODELS), help="with commas between; all, if not given")
    options = parser.parse_args()
    found: dict[str, dict[str, list[float]]] = {}
    for name in options.tables:
        table = read_table(name)
        task, split = table.task or "classification", scaffold_split(table.keys)
        rows = np.sort(np.concatenate([split.train, split.valid]))
        labels, keys = table.labels[rows], [table.keys[row] for row in rows]
        values = np.stack([described(parse(key)) for key in keys])
        groups = [scaffold(key) or str(place) for place, key in enumerate(keys)]
        folds = list(GroupKFold(3).split(values, groups=groups))
        found[name] = {}
        for model in options.models.split(","):
            classifier, regressor, settings = MODELS[model]
            kind = classifier if task == "classification" else regressor
            began, reached = process_time(), []
            for train, test in folds:
                asked = askable(values[train])
                outputs = predicted(
                    lambda kind=kind, settings=settings: kind(**settings),
                    task,
                    values[train][:, asked],
                    labels[train],
                    values[test][:, asked],
                )
                known = np.where(np.isnan(outputs), np.nan, labels[test])
                reached.append(mean_score(scores(task, known, outputs)))
            seconds = process_time() - began
            found[name][model] = [round(float(np.mean(reached)), 4), round(seconds, 1)]
            print(f"{name:10} {model:18} {np.mean(reached):.4f} {seconds:6.1f} s", flush=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
