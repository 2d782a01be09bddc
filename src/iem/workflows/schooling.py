"""One run of a benchmark: what a method sees, what it learns, and its outputs for every molecule of the table."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from iem.cache import address
from iem.chem.conformers import ConformerSettings, conformer, flat_geometry
from iem.chem.molecules import parse
from iem.chem.priors import PAPER, priors, shape_prior, substructure_prior
from iem.data.tables import Table
from iem.errors import MoleculeError
from iem.files import whole
from iem.records import Geometry, PriorTarget, Split
from iem.students.base import build_student
from iem.students.predictor import Predictor
from iem.workflows.baselines import descriptors, fingerprints, fit_predict, probe_outputs
from iem.workflows.distilling import Lesson, outputs_of, train_student
from iem.workflows.embed import ImageTeacher, load_teacher
from iem.workflows.evaluating import untrained
from iem.workflows.fit import FitRecipe
from iem.workflows.fitting import graphs_of
from iem.workflows.methods import Method


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
    values = _representation(method, room, np.arange(len(table.keys)), seed)
    if method.model == "probe":
        values = np.nan_to_num(values)  # without a picture: the mean of all, after scaling
        return probe_outputs(values, table.labels, split, room.task), {}
    return fit_predict(method.model, values, table.labels, split.train, task=room.task, seed=seed), {}


def _taught(
    method: Method, name: str, seed: int, room: Classroom, checkpoint: Path
) -> tuple[np.ndarray, dict[str, Any]]:
    table, split, recipe = room.table, room.split, room.recipe
    molecules = graphs_of(table, name, 0)
    if method.sees != "nothing":
        seen = _representation(method, room, split.train, seed)
        features = np.full((len(table.keys), seen.shape[1]), np.nan, np.float32)
        features[split.train] = _withheld(method, seen, [table.keys[row] for row in split.train], seed)
        molecules = molecules._replace(features=features)
    if method.priors:
        names = tuple(load_teacher(room.teacher).teacher.card["priors"])
        molecules = molecules._replace(answers=standardised(_answers(room, names), split.train))
    torch.manual_seed(seed)
    network, bf16 = build_student(name, dropout=recipe.dropout), recipe.precision == "bf16"
    predictor = Predictor(network, tasks=table.labels.shape[1], task=room.task, bf16=bf16)
    predictor.fit_scale(table.labels[split.train])
    lesson = Lesson.of(
        recipe,
        task=room.task,
        seed=seed,
        ke=recipe.ke if method.ke else 0.0,
        te=recipe.te if method.te else 0.0,
        te_head=recipe.te_head if method.sees in ("3d", "2d", "flat") else "own",
        priors=recipe.ke if method.priors else 0.0,
    )
    heads = _guide(method, room.teacher).teacher.heads if method.ke else None
    trained = train_student(
        predictor, molecules, split.train, split.valid, lesson, heads=heads, checkpoint=checkpoint, tick=lambda *_: None
    )
    predictor.load_state_dict(trained.weights)
    outputs = outputs_of(predictor, molecules, np.arange(len(table.keys)))
    return outputs, {"best_epoch": trained.best_epoch, "epochs": len(trained.curve)}


@lru_cache(maxsize=4)
def _guide(method: Method, teacher: str) -> ImageTeacher:
    found = load_teacher(teacher, view="2d" if method.sees == "2d" else "3d")
    return ImageTeacher(untrained(found.teacher.card)) if method.untrained else found


def _representation(method: Method, room: Classroom, rows: np.ndarray, seed: int) -> np.ndarray:
    """Features of some molecules, float32 (rows, features); NaN rows where there is no picture."""
    keys = [room.table.keys[row] for row in rows]
    if method.sees == "ecfp":
        return fingerprints(keys)
    if method.sees == "descriptors":
        values = descriptors(keys)
        return values if method.model == "gb" else np.nan_to_num(values)
    given: Mapping[str, Geometry] = _flat(keys) if method.sees == "flat" else room.table.geometries
    return _guide(method, room.teacher).features(keys, given=given, jobs=1)[0]


def _flat(keys: list[str]) -> dict[str, Geometry]:
    found = {}
    for key in dict.fromkeys(keys):
        try:
            found[key] = flat_geometry(parse(key))
        except MoleculeError:  # the teacher will say so of its row
            continue
    return found


def _withheld(method: Method, features: np.ndarray, keys: list[str], seed: int) -> np.ndarray:
    """The features with those of a share of the molecules, or with one molecule's under another."""
    rng = np.random.default_rng(seed)
    if method.shuffled:
        return features[rng.permutation(len(features))]
    if method.share == 1:
        return features
    distinct = sorted(set(keys))
    kept = set(rng.permutation(distinct)[: max(1, round(method.share * len(distinct)))].tolist())
    shown = np.array([key in kept for key in keys])
    return np.where(shown[:, None], features, np.nan)


def standardised(
    answers: Mapping[str, tuple[np.ndarray, np.ndarray]], rows: np.ndarray
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Answers in standard deviations over some rows; what does not vary there is not asked."""
    found = {}
    for name, (values, known) in answers.items():
        masked = np.ma.masked_array(values[rows], ~known[rows])
        mean, std = masked.mean(axis=0).filled(0), masked.std(axis=0).filled(0)
        varies = std > 1e-6
        scaled = (values - mean) / np.where(varies, std, 1)
        found[name] = (np.where(known, scaled, 0).astype(np.float32), known & varies)
    return found


def _answers(room: Classroom, names: tuple[str, ...]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Of the molecules to learn from, from the molecules themselves; made once for a table and kept."""
    wanted = sorted({room.table.keys[row] for row in room.split.train})
    settings = ConformerSettings()
    path = room.answers / f"{address(settings.signature, *names, *wanted)}.npz"
    if not path.is_file():
        found = [_answer(key, names, room.table.geometries.get(key), settings) for key in wanted]
        arrays: dict[str, Any] = {}
        for name in names:
            arrays[name] = np.stack([one[name].values for one in found])
            arrays[f"{name}_known"] = np.stack([one[name].known for one in found])
        with whole(path, parents=True) as partial, partial.open("wb") as file:
            np.savez(file, **arrays)
    places = {key: place for place, key in enumerate(wanted)}
    at = np.array([places.get(key, -1) for key in room.table.keys])
    with np.load(path, allow_pickle=False) as stored:
        return {name: (stored[name][at], stored[f"{name}_known"][at] & (at >= 0)[:, None]) for name in names}


def _answer(
    key: str, names: tuple[str, ...], given: Geometry | None, settings: ConformerSettings
) -> dict[str, PriorTarget]:
    mol = parse(key)
    geometry = given or conformer(mol, settings)
    found = priors(mol, geometry) if set(names) & set(PAPER) else {}
    found["shape"], found["substructure"] = shape_prior(mol, geometry), substructure_prior(mol)
    return {name: found[name] for name in names}
