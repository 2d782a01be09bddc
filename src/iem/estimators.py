"""scikit-learn estimators over lists of SMILES."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from iem.artifact import CARD, WEIGHTS
from iem.chem.molecules import parse
from iem.errors import ConfigError, MoleculeError
from iem.students.base import Student
from iem.workflows.distillation.recipe import ClassWeights, Joining, Norms, Scale, Schedule, Space, View
from iem.workflows.fit import fit
from iem.workflows.inference.model import Model
from iem.workflows.running.console import console


class _Estimator(BaseEstimator):
    """What both estimators share. The parameters are those of ``iem.fit``, where they are explained; ``unlabelled`` may
    also be a list of SMILES.
    """

    def __init__(
        self,
        *,
        student: str | Callable[..., Student] | None = None,
        start: str | None = None,
        teacher: str = "default",
        teacher_view: View | None = None,
        image_fraction: float = 1.0,
        unlabelled: Any = None,
        transductive: bool = False,
        preset: Literal["default", "paper"] = "default",
        split: Literal["scaffold", "random"] = "scaffold",
        seeds: int = 1,
        compare: bool | None = None,
        trees: Joining | None = None,
        epochs: int | None = None,
        patience: int | None = None,
        batch_size: int | None = None,
        lr: float | None = None,
        hidden: int | None = None,
        norms: Norms | None = None,
        ke: float | None = None,
        te: float | None = None,
        space: Space | None = None,
        ke_scale: Scale | None = None,
        ramp: float | None = None,
        class_weights: ClassWeights | None = None,
        average: float | None = None,
        schedule: Schedule | None = None,
        jobs: int = -1,
        verbose: bool = False,
    ) -> None:
        self.student = student
        self.start = start
        self.teacher = teacher
        self.teacher_view = teacher_view
        self.image_fraction = image_fraction
        self.unlabelled = unlabelled
        self.transductive = transductive
        self.preset = preset
        self.split = split
        self.seeds = seeds
        self.compare = compare
        self.trees = trees
        self.epochs = epochs
        self.patience = patience
        self.batch_size = batch_size
        self.lr = lr
        self.hidden = hidden
        self.norms = norms
        self.ke = ke
        self.te = te
        self.space = space
        self.ke_scale = ke_scale
        self.ramp = ramp
        self.class_weights = class_weights
        self.average = average
        self.schedule = schedule
        self.jobs = jobs
        self.verbose = verbose

    def _train(self, X: Any, labels: np.ndarray, task: Literal["classification", "regression"]) -> None:
        """Fit on labels of shape (molecules, targets); keep the model as the bytes of its folder, and its scores."""
        smiles = _smiles(X)
        if len(smiles) != len(labels):
            raise ConfigError("y", f"{len(labels)} rows", f"X has {len(smiles)} molecules; each needs its labels")
        for text in smiles:  # a fault is told now, not after the training
            parse(text)
        targets = tuple(f"y{position}" for position in range(labels.shape[1]))
        settings = {name: value for name, value in self.get_params(deep=False).items() if name != "verbose"}
        if not isinstance(self.unlabelled, str | Path | pd.DataFrame | None):
            settings["unlabelled"] = pd.DataFrame({"smiles": _smiles(self.unlabelled)})
        with TemporaryDirectory() as scratch, _voice(self.verbose):
            folder = Path(scratch) / "model"
            table = pd.DataFrame({"smiles": smiles} | dict(zip(targets, labels.T, strict=True)))
            self.metrics_ = fit(table, out=folder, smiles="smiles", target=targets, task=task, **settings)
            self.files_ = {name: (folder / name).read_bytes() for name in (WEIGHTS, CARD)}
        self._model: Model | None = None

    def _outputs(self, X: Any) -> np.ndarray:
        """Probabilities or values, float64 (molecules, targets).

        Raises:
            MoleculeError: naming the first molecule that cannot be predicted.
        """
        check_is_fitted(self)
        smiles = _smiles(X)
        if self._model is None:
            with TemporaryDirectory() as scratch:
                for name, content in self.files_.items():
                    (Path(scratch) / name).write_bytes(content)
                self._model = Model(Path(scratch), None if isinstance(self.student, str) else self.student)
        predicted = self._model.predict(smiles)
        for text, reason in zip(smiles, predicted["error"], strict=True):
            if reason:
                raise MoleculeError(text, "predict", reason)
        return predicted[self._model.targets].to_numpy(dtype=np.float64)

    def __getstate__(self) -> dict[str, Any]:
        """For pickle and joblib: parameters, scores and the bytes of the model folder; no network."""
        state = dict(super().__getstate__())
        if "_model" in state:
            state["_model"] = None
        return state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array, tags.input_tags.two_d_array, tags.input_tags.string = True, False, True
        tags.target_tags.required = tags.target_tags.multi_output = True
        return tags


class IEMRegressor(RegressorMixin, _Estimator):
    """Continuous properties of molecules, from their SMILES.

    ``y`` is (molecules,) or (molecules, targets), in any unit; NaN where missing. A tenth of the molecules chooses the
    epoch and another tenth is scored once (``metrics_``), as in ``iem.fit``; neither is learned from. A SMILES that
    cannot be read is an error, in ``fit`` and in ``predict``.

    Attributes:
        metrics_: what ``metrics.json`` of a model folder holds.
        files_: the model folder's weights and card, by file name. Pickling keeps these bytes, not the network.
    """

    def fit(self, X: Sequence[str], y: Any) -> "IEMRegressor":
        """Train on SMILES and values."""
        labels = _numbers(y)
        self._one = labels.ndim == 1
        self._train(X, labels.reshape(len(labels), -1), "regression")
        return self

    def predict(self, X: Sequence[str]) -> np.ndarray:
        """Values in the unit of ``y`` and in its shape."""
        outputs = self._outputs(X)
        return outputs[:, 0] if self._one else outputs


class IEMClassifier(ClassifierMixin, _Estimator):
    """Binary properties of molecules, from their SMILES.

    ``y`` is (molecules,) of any two classes, or (molecules, targets) of 0 and 1; NaN where missing. A tenth of the
    molecules chooses the epoch and another tenth is scored once (``metrics_``), as in ``iem.fit``; neither is learned
    from. A SMILES that cannot be read is an error, in ``fit`` and in ``predict``.

    Attributes:
        classes_: the two classes; with several targets their positions, as in scikit-learn's multi-label classifiers.
        metrics_: what ``metrics.json`` of a model folder holds.
        files_: the model folder's weights and card, by file name. Pickling keeps these bytes, not the network.
    """

    def fit(self, X: Sequence[str], y: Any) -> "IEMClassifier":
        """Train on SMILES and classes."""
        given = np.asarray(y)
        self._one = given.ndim == 1
        if self._one:
            known = ~pd.isna(given)
            self.classes_, codes = np.unique(given[known], return_inverse=True)
            if len(self.classes_) != 2:
                found = ", ".join(map(str, self.classes_[:5])) or "none"
                raise ConfigError("y", found, "it must have two classes")
            labels = np.full((len(given), 1), np.nan)
            labels[known, 0] = codes
        else:
            labels = _numbers(given)
            self.classes_ = np.arange(labels.shape[1])
        self._train(X, labels, "classification")
        return self

    def predict_proba(self, X: Sequence[str]) -> np.ndarray:
        """Probability of each class, (molecules, 2); with several targets of the 1 of each, (molecules, targets)."""
        outputs = self._outputs(X)
        return np.hstack([1 - outputs, outputs]) if self._one else outputs

    def predict(self, X: Sequence[str]) -> np.ndarray:
        """The likelier class; with several targets 0 or 1 for each."""
        chosen = (self._outputs(X) > 0.5).astype(int)
        return self.classes_[chosen[:, 0]] if self._one else chosen


def _numbers(y: Any) -> np.ndarray:
    """Labels as float64.

    Raises:
        ConfigError: they are no numbers.
    """
    try:
        return np.asarray(y, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigError("y", type(y).__name__, f"it must be numbers, in rows of equal length ({error})") from error


def _smiles(X: Any) -> list[str]:
    """A list of texts from a list, an array (molecules,) or (molecules, 1), a Series or a one-column DataFrame.

    Raises:
        ConfigError: it is something else.
    """
    array = np.asarray(X, dtype=object)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or not all(isinstance(text, str) for text in array):
        raise ConfigError("X", f"{type(X).__name__} of shape {array.shape}", "it must be a list of SMILES")
    return array.tolist()


@contextmanager
def _voice(verbose: bool) -> Iterator[None]:
    """scikit-learn trains in silence, unless asked."""
    before, console.quiet = console.quiet, console.quiet or not verbose
    try:
        yield
    finally:
        console.quiet = before
