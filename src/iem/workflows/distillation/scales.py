"""Where student and teacher meet: the form in which features are learned, and the student's first guess at them."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from iem import artifact
from iem.nn.scale import FeatureScale
from iem.students.predictor import Predictor
from iem.students.starts import Start
from iem.workflows.distillation.batching import Molecules

BATCH = 256


def scale_of(start: Start | None, looks: Sequence[str]) -> FeatureScale | None:
    """The form in which a student has learned the features of a teacher; None if it has not learned these.

    Args:
        start: what it has learned before.
        looks: all that the features depend on besides the molecule.
    """
    if start is None or start.card.get("looks") != list(looks):
        return None
    scale = FeatureScale(start.dim)
    own = {name: tensor for name, tensor in start.tensors.items() if name.startswith("scale.")}
    artifact.load_into(nn.ModuleDict({"scale": scale}), own, origin=start.origin)
    return scale


def common_scale(predictor: Predictor, molecules: Molecules, rows: np.ndarray, *, knows: bool) -> FeatureScale | None:
    """The form in which the teacher's features of some molecules will be learned; None where there are none.

    Args:
        predictor: of a student; one that ``knows`` something already is given the best linear guess to begin with.
        molecules: with the teacher's features.
        rows: of those that have a picture.
        knows: otherwise what it makes of a molecule is noise, and it begins as it is.
    """
    if not len(rows):
        return None
    seen = molecules.features[rows]
    scale = FeatureScale.of(seen)
    if knows:
        loader = molecules.loader(predictor.student, rows, batch_size=BATCH, shuffle_seed=None)
        align(predictor, (batch.graphs for batch in loader), seen, scale)
    return scale


def align(predictor: Predictor, batches: Iterable[Any], seen: np.ndarray, scale: FeatureScale) -> None:
    """Let a student that has learned before begin at the best linear guess at a teacher's features.

    Args:
        predictor: of the student.
        batches: of graphs, as the student puts them together.
        seen: the features of the same molecules, (molecules, dim).
        scale: the form in which they will be learned.
    """
    predictor.eval()
    with torch.inference_mode():
        embeddings = torch.cat([predictor.student(graphs).float() for graphs in batches])
    predictor.align(embeddings, scale(torch.from_numpy(seen).float()))
