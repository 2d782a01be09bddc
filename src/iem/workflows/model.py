"""A trained model in memory: one predictor per seed, and what its card says."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np
import pandas as pd
import torch
from rdkit.Chem import Mol

from iem import artifact
from iem.chem.molecules import parse
from iem.errors import ArtifactError, MoleculeError
from iem.students import gnn as gnn  # registers the students that come with the package
from iem.students.base import STUDENTS
from iem.students.predictor import Predictor


class Predicted(NamedTuple):
    """Predictions for some molecules, row by row."""

    mean: np.ndarray
    """Over the seeds; float64 (molecules, targets), NaN for a molecule that failed."""
    std: np.ndarray
    """Sample standard deviation over the seeds, of the same shape; NaN with one seed."""
    errors: list[str]
    """Why there is no prediction; empty where there is one."""


def make_graphs(
    featurize: Callable[[Mol], Any], smiles: Sequence[str], problems: Mapping[int, str] | None = None
) -> list[Any]:
    """The graph of each molecule, or in its place the reason why there is none.

    Args:
        featurize: the student's.
        smiles: as written.
        problems: reasons that are known already, by position.
    """
    known = problems or {}
    graphs: list[Any] = []
    for place, text in enumerate(smiles):
        try:
            graphs.append(known.get(place) or featurize(parse(text)))
        except MoleculeError as error:
            graphs.append(error.reason)
    return graphs


@final
class Model:
    """What ``iem fit`` made, ready to predict.

    Args:
        folder: a model folder.

    Raises:
        ArtifactError: missing, damaged, or of another program, kind or version.
    """

    def __init__(self, folder: Path) -> None:
        tensors, self.card = artifact.load(folder, kind="model")
        try:
            student, self.task = self.card["student"], self.card["task"]
            self.targets: list[str] = list(self.card["targets"])
            seeds = range(self.card["seeds"])
        except (KeyError, TypeError) as error:
            raise ArtifactError(f"{folder / artifact.CARD} lacks {error}; make the model again") from error
        self.predictors = []
        for seed in seeds:
            network = STUDENTS.build(student["name"], **student["options"])
            predictor = Predictor(network, tasks=len(self.targets), task=self.task)
            own = {
                name.removeprefix(f"seed{seed}."): tensor
                for name, tensor in tensors.items()
                if name.startswith(f"seed{seed}.")
            }
            artifact.load_into(predictor, own, origin=str(folder))
            self.predictors.append(predictor.eval())

    @torch.inference_mode()
    def infer(self, graphs: Sequence[Any], batch_size: int = 256) -> Predicted:
        """Predictions for graphs; a text in place of a graph is the reason why it is missing."""
        places = [place for place, graph in enumerate(graphs) if not isinstance(graph, str)]
        outputs = np.full((len(self.predictors), len(graphs), len(self.targets)), np.nan)
        collate = self.predictors[0].student.collate
        for start in range(0, len(places), batch_size):
            some = places[start : start + batch_size]
            batch = collate([graphs[place] for place in some])
            for outcome, predictor in zip(outputs, self.predictors, strict=True):
                outcome[some] = predictor.to_output(predictor(batch)[1]).numpy()
        several = len(outputs) > 1
        return Predicted(
            outputs.mean(axis=0),
            outputs.std(axis=0, ddof=1) if several else np.full(outputs.shape[1:], np.nan),
            [graph if isinstance(graph, str) else "" for graph in graphs],
        )

    def columns(self, predicted: Predicted, taken: Iterable[str] = ()) -> dict[str, Any]:
        """Predictions as named columns; ``<target> predicted`` where the table has a column of that name already."""
        used = set(taken)
        result: dict[str, Any] = {}
        for index, target in enumerate(self.targets):
            name = f"{target} predicted" if target in used else target
            result[name] = predicted.mean[:, index]
            if len(self.predictors) > 1:
                result[f"{name} std"] = predicted.std[:, index]
        return result | {"error": predicted.errors}

    def predict(self, smiles: str | Sequence[str]) -> pd.DataFrame:
        """Predict molecules.

        Args:
            smiles: one or many; a bad one gets NaN and its reason.

        Returns:
            One row per molecule, in order: ``smiles``, one column per target (a probability, or a value in the
            original unit), with several seeds ``<target> std``, and ``error``.
        """
        texts = [smiles] if isinstance(smiles, str) else list(smiles)
        predicted = self.infer(make_graphs(self.predictors[0].student.featurize, texts))
        return pd.DataFrame({"smiles": texts, **self.columns(predicted)})
