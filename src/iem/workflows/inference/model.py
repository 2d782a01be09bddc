"""A trained model in memory: one predictor per seed, and what its card says."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np
import pandas as pd
import torch

from iem import artifact
from iem.chem.fingerprints import BITS, DESCRIPTORS
from iem.errors import ArtifactError, UnknownNameError
from iem.students import architectures as architectures  # these two register the students that come with the package
from iem.students import chemprop as chemprop
from iem.students.base import Student, build_student
from iem.students.predictor import TEACHER_DIM, Predictor
from iem.workflows.inference.graphs import Inputs, Refused, make_inputs
from iem.workflows.inference.trees import PREFIX, Trees, together


class Predicted(NamedTuple):
    """Predictions for some molecules, row by row."""

    mean: np.ndarray
    """Over the seeds, trees included where the model has them; float64 (molecules, targets), NaN for a molecule that
    failed."""
    std: np.ndarray
    """Sample standard deviation over the seeds, of the same shape; NaN with one seed."""
    errors: list[str]
    """Why there is no prediction; empty where there is one."""


@final
class Model:
    """What ``iem fit`` made, ready to predict.

    Args:
        folder: a model folder.
        student: the factory of the student, where it was trained with one of somebody's own.
        bf16: predict in bfloat16.

    Raises:
        ArtifactError: missing, damaged, or of another program, kind or version.
    """

    def __init__(self, folder: Path, student: Callable[..., Student] | None = None, *, bf16: bool = False) -> None:
        self.bf16 = bf16
        tensors, self.card = artifact.load(folder, kind="model")
        try:
            made, self.task = self.card["student"], self.card["task"]
            self.targets: list[str] = [str(target) for target in self.card["targets"]]
            networks = [build_student(student or made["name"], **made["options"]) for _ in range(self.card["seeds"])]
            if self.task not in ("classification", "regression") or not networks:
                raise ValueError("task or seeds")
        except UnknownNameError as error:
            raise ArtifactError(
                f"{folder} needs a student of another package: {error}; install that package, or hand the student's "
                f"factory to iem.load(folder, student=...)"
            ) from error
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"{folder / artifact.CARD} is not complete ({error}); make the model again") from error
        width = len(tensors.get("seed0.project.weight", ())) or TEACHER_DIM
        hidden = len(tensors.get("seed0.head.0.weight", ()))
        self.predictors = []
        for seed, network in enumerate(networks):
            predictor = Predictor(network, tasks=len(self.targets), task=self.task, dim=width, hidden=hidden)
            own = {
                name.removeprefix(f"seed{seed}."): tensor
                for name, tensor in tensors.items()
                if name.startswith(f"seed{seed}.")
            }
            artifact.load_into(predictor, own, origin=str(folder))
            self.predictors.append(predictor.eval())
        self.trees = self._trees(tensors, folder)
        """Their opinion counts as much as the networks'; None where the networks predict alone."""

    def _trees(self, tensors: Mapping[str, torch.Tensor], folder: Path) -> Trees | None:
        if not self.card.get("trees"):
            return None
        arrays = {name: tensor.numpy() for name, tensor in tensors.items() if name.startswith(PREFIX)}
        try:
            return Trees.read(arrays, features=BITS + len(DESCRIPTORS), targets=len(self.targets))
        except ValueError as error:
            raise ArtifactError(f"the trees of {folder} are not complete ({error}); make the model again") from error

    def inputs(self, smiles: Sequence[str]) -> Inputs:
        """What ``infer`` takes."""
        return make_inputs(self.predictors[0].student.featurize, self.trees, smiles)

    @torch.inference_mode()
    def infer(self, inputs: Inputs, batch_size: int = 1000) -> Predicted:
        """Predictions for molecules; the reason where one has no graph."""
        graphs = inputs.graphs
        places = [place for place, graph in enumerate(graphs) if not isinstance(graph, Refused)]
        outputs = np.full((len(self.predictors), len(graphs), len(self.targets)), np.nan)
        collate = self.predictors[0].student.collate
        for start in range(0, len(places), batch_size):
            some = places[start : start + batch_size]
            batch = collate([graphs[place] for place in some])
            for outcome, predictor in zip(outputs, self.predictors, strict=True):
                outcome[some] = predictor.to_output(predictor(batch, bf16=self.bf16)[1]).numpy()
        if inputs.opinions is not None:
            outputs = together(outputs, inputs.opinions)
        several = len(outputs) > 1
        return Predicted(
            outputs.mean(axis=0),
            outputs.std(axis=0, ddof=1) if several else np.full(outputs.shape[1:], np.nan),
            [str(graph) if isinstance(graph, Refused) else "" for graph in graphs],
        )

    def columns(self, predicted: Predicted, taken: Iterable[str] = ()) -> dict[str, Any]:
        """Predictions as named columns: for each target its mean, with several seeds ``<target> std``, and ``error``.

        Args:
            predicted: what ``infer`` returned.
            taken: columns that are there already; ``<target> predicted`` where they have the name of a target.
        """
        used = set(taken)
        result: dict[str, Any] = {}
        for index, target in enumerate(self.targets):
            name = free_name(target, f"{target} predicted", used)
            result[name] = predicted.mean[:, index]
            if len(self.predictors) > 1:
                result[free_name(f"{name} std", f"{name} std predicted", used)] = predicted.std[:, index]
        return result | {free_name("error", "error of prediction", used): predicted.errors}

    def predict(self, smiles: str | Sequence[str]) -> pd.DataFrame:
        """Predict molecules.

        Args:
            smiles: one or many; a bad one gets NaN and its reason.

        Returns:
            One row per molecule, in order: ``smiles``, one column per target (a probability, or a value in the
            original unit), with several seeds ``<target> std``, and ``error``.
        """
        texts = [smiles] if isinstance(smiles, str) else list(smiles)
        predicted = self.infer(self.inputs(texts))
        return pd.DataFrame({"smiles": texts, **self.columns(predicted)})


def free_name(name: str, other: str, used: set[str]) -> str:
    """The first of two names, or the second with a number, that is not used yet; it is then."""
    numbered = (f"{other} {number}" for number in count(2))
    free = next(candidate for candidate in chain((name, other), numbered) if candidate not in used)
    used.add(free)
    return free
