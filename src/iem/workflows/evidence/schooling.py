"""One run of a benchmark: what a method sees, what it learns, and its outputs for every molecule of the table."""

from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from iem.chem.fingerprints import described
from iem.chem.molecules import parse
from iem.data.tables import Table
from iem.errors import MoleculeError
from iem.records import Split
from iem.students.base import build_student
from iem.students.predictor import Predictor
from iem.students.starts import Start, common_width
from iem.workflows.distillation.batching import shown
from iem.workflows.distillation.lessons import Lesson
from iem.workflows.distillation.loop import outputs_of, train_student
from iem.workflows.distillation.recipe import FitRecipe
from iem.workflows.distillation.scales import scale_of
from iem.workflows.evidence.chemprop import chemprop_outputs
from iem.workflows.evidence.methods import PICTURES, Method
from iem.workflows.fitting.graphs import graphs_of, molecules_of
from iem.workflows.measures.baselines import descriptors, fingerprints, fit_predict, probe_outputs
from iem.workflows.measures.one_number import one_number
from iem.workflows.pictures.embed import ImageTeacher, load_teacher
from iem.workflows.pretraining.evaluating import untrained
from iem.workflows.pretraining.questions import answered


class Classroom(NamedTuple):
    """What a run has: a table, its parts, a teacher, and how students are trained."""

    table: Table
    task: Literal["classification", "regression"]
    split: Split
    teacher: str
    """Folder."""
    recipe: FitRecipe
    answers: Path
    """Folder for the answers to prior questions."""
    start: Start | None = None
    """What the student has learned before."""


def outputs_by(
    method: Method, student: str, seed: int, room: Classroom, checkpoint: Path
) -> tuple[np.ndarray, dict[str, Any]]:
    """Train one method with one seed.

    Returns:
        Probabilities or values for all molecules of the table, float64 (molecules, targets), and what else is known of
        the training.
    """
    table, split = room.table, room.split
    if method.model == "student":
        return _taught(method, student, seed, room, checkpoint)
    if method.model == "chemprop":
        return chemprop_outputs(table.keys, table.labels, split, task=room.task, seed=seed)
    if method.model == "number":
        found = one_number(table.keys, table.labels, split.train, room.task)
        return found.outputs, {"number": found.name}
    values = _representation(method, room, np.arange(len(table.keys)))
    if method.model == "probe":
        mean = np.nanmean(values[split.train], axis=0)
        values = np.where(np.isnan(values), mean, values)  # for molecules without a picture
        return probe_outputs(values, table.labels, split, room.task), {}
    return fit_predict(method.model, values, table.labels, split.train, task=room.task, seed=seed), {}


def _taught(
    method: Method, name: str, seed: int, room: Classroom, checkpoint: Path
) -> tuple[np.ndarray, dict[str, Any]]:
    table, split, recipe = room.table, room.split, room.recipe
    graphs, refused = graphs_of(table.keys, name)
    for key, reason in refused.items():  # scores without it would be those of another table
        raise MoleculeError(key, "featurize", reason)
    molecules = molecules_of(table.keys, table.labels, graphs, name, 0)
    if method.sees != "nothing":
        molecules = molecules._replace(features=seen_by(method, room, seed))
    if method.priors:
        names = tuple(load_teacher(room.teacher).teacher.card["priors"])
        answers = answered(table.keys, split.train, names, given=table.geometries, embed=True, folder=room.answers)
        molecules = molecules._replace(answers=answers)
    torch.manual_seed(seed)
    network, bf16 = build_student(name, dropout=recipe.dropout), recipe.precision == "bf16"
    guide = _guide(method, room.teacher) if method.sees in PICTURES else None
    teacher = guide.teacher if guide and method.ke else None
    width = common_width(guide and guide.teacher.dim, room.start)
    predictor = Predictor(
        network, tasks=table.labels.shape[1], task=room.task, dim=width, hidden=recipe.hidden, bf16=bf16
    )
    predictor.fit_scale(table.labels[split.train])
    if room.start is not None:
        room.start.give(predictor)
    lesson = Lesson.of(
        recipe,
        task=room.task,
        seed=seed,
        ke=recipe.ke if method.ke else 0.0,
        te=recipe.te if method.te else 0.0,
        te_head=recipe.te_head if guide else "own",
        space=recipe.space if guide else "raw",
        priors=recipe.ke if method.priors else 0.0,
    )
    trained = train_student(
        predictor,
        molecules,
        split.train,
        split.valid,
        lesson,
        heads=teacher and teacher.heads,
        checkpoint=checkpoint,
        tick=lambda *_: None,
        scale=scale_of(room.start, guide.causes) if guide else None,
    )
    predictor.load_state_dict(trained.weights)
    outputs = outputs_of(predictor, molecules, np.arange(len(table.keys)))
    return outputs, {"best_epoch": trained.best_epoch, "epochs": len(trained.curve)}


def seen_by(method: Method, room: Classroom, seed: int) -> np.ndarray:
    """Features that teach the student, float32 (molecules of the table, features); NaN rows for the others.

    Only a share of the training part has them, if the method says so, or each molecule has those of another.
    """
    table, train = room.table, room.split.train
    rows = train[shown([table.keys[row] for row in train], method.share, seed)]
    seen = _representation(method, room, rows)
    if method.shuffled:
        seen = seen[np.random.default_rng(seed).permutation(len(seen))]
    features = np.full((len(table.keys), seen.shape[1]), np.nan, np.float32)
    features[rows] = seen
    return features


@lru_cache(maxsize=4)
def _guide(method: Method, teacher: str) -> ImageTeacher:
    found = load_teacher(teacher, view=method.sees if method.sees in ("2d", "flat") else "3d")
    return ImageTeacher(untrained(found.teacher.card)) if method.untrained else found


def _representation(method: Method, room: Classroom, rows: np.ndarray) -> np.ndarray:
    """Features of some molecules, float32 (rows, features); NaN rows where there is no picture."""
    keys = [room.table.keys[row] for row in rows]
    if method.sees == "ecfp":
        return fingerprints(keys)
    if method.sees == "described":
        return np.stack([described(parse(key)) for key in keys])
    if method.sees == "descriptors":
        values = descriptors(keys)
        return values if method.model == "gb" else np.nan_to_num(values)
    return _guide(method, room.teacher).features(keys, given=room.table.geometries, jobs=1)[0]
