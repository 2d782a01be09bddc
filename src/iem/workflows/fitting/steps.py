"""From a table to a model folder: the steps of ``iem fit``, each resumable."""

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from iem import artifact
from iem.chem.splits import digest
from iem.data.tables import Table, read_table
from iem.errors import ArtifactError, ConfigError
from iem.records import Split
from iem.report.text import plural
from iem.students.base import Student, build_student, name_of
from iem.students.starts import Start, find_start
from iem.workflows.distillation.recipe import LR, PICTURELESS, FitRecipe, Guidance, Joining
from iem.workflows.distillation.unlabelled import read_unlabelled
from iem.workflows.fitting.announcing import announce, side_by_side
from iem.workflows.fitting.boosting import boosted_of
from iem.workflows.fitting.dividing import divide
from iem.workflows.fitting.estimate import epoch_seconds
from iem.workflows.fitting.finishing import finish
from iem.workflows.fitting.graphs import graphs_of, molecules_of
from iem.workflows.fitting.trainings import Study, Task, new_predictor, searched, train_all
from iem.workflows.pictures.embed import ImageTeacher, load_teacher, usual_view
from iem.workflows.pretraining.questions import ASKED, Answers, answered
from iem.workflows.running.console import say
from iem.workflows.running.folders import open_run
from iem.workflows.running.trainer import precision_of

MADE = ("report.html", "predictions.csv", "splits.json", "rejected.csv")
"""What a finished folder holds besides the model and its scores."""


def fit_table(
    source: "str | Path | pd.DataFrame",
    *,
    out: Path,
    smiles: str | None,
    targets: Sequence[str],
    asked: Task | None,
    student: str | Callable[..., Student],
    start: str | None,
    guidance: Guidance,
    recipe: FitRecipe,
    preset: str,
    split: str,
    seeds: int,
    compare: bool,
    trees: Joining,
    jobs: int,
) -> dict[str, Any]:
    """See ``iem.workflows.fit.fit``; returns what ``metrics.json`` holds."""
    teacher = guidance.teacher
    if compare and teacher == "none":
        raise ConfigError("--compare", True, "there is nothing to compare without a teacher; leave out --teacher none")
    build_student(student, dropout=recipe.dropout)
    begin = begin_of(start, student, preset)
    view = None if teacher in PICTURELESS else guidance.view or usual_view(teacher)
    guide = None if view is None else load_teacher(teacher, view=view)
    exclude = () if split in ("scaffold", "random") else (split,)
    table = read_table(source, smiles=smiles, targets=targets, task=asked, require_labels=True, exclude=exclude)
    task: Task = "classification" if table.task == "classification" else "regression"
    if task == "regression" and recipe.class_weights != "none":
        raise ConfigError("--class-weights", recipe.class_weights, "values have no classes; leave it out in regression")
    graphs, refused = graphs_of(table.keys, student)
    table = table.without(refused, "featurize")
    parts = divide(table, split)
    extra = None
    if guidance.unlabelled is not None:
        extra = read_unlabelled(
            guidance.unlabelled, table.keys, parts, smiles=smiles, transductive=guidance.transductive
        )
        more, refused = graphs_of(extra.keys, student)
        graphs, extra = graphs | more, extra.without(refused, "featurize")
    keys = table.keys + (extra.keys if extra else [])
    labels = np.full((len(keys), len(table.targets)), np.nan)
    labels[: len(table.keys)] = table.labels
    molecules = molecules_of(keys, labels, graphs, student, guide.teacher.dim if guide else 0)
    recipe = resolved(recipe, begin)
    settings = {
        "table": _content(table, parts),
        "student": name_of(student),
        "start": begin.digest[:16] if begin else "none",
        "teacher": str(teacher) if guide is None else artifact_of(guide),
        "teacher_view": view,
        "image_fraction": guidance.fraction,
        "unlabelled": extra.digest if extra else None,
        "transductive": guidance.transductive,
        "split": split,
        "preset": preset,
        "seeds": seeds,
        "compare": compare,
        "trees": trees,
        **asdict(recipe),
    }
    with open_run(out, settings, kind="model"):
        if (out / artifact.CARD).is_file():
            return finished(out)

        for note in table.notes:
            say(note)
        rejected = table.read - len(table.rows)
        say(
            f"{table.name}: {table.read:,} rows read, {len(table.rows):,} used, {rejected:,} rejected"
            f"{' (why: rejected.csv)' * bool(rejected)}; {task} of {plural(len(table.targets), 'target')}; "
            f"{len(parts.train):,} to learn from, {len(parts.valid):,} to choose by, {len(parts.test):,} to test on"
        )
        if begin:
            say(f"the student begins {begin} (--start none: with nothing)")
            if guide and guide.teacher.dim != begin.dim:
                say(f"its way to the teacher's {guide.teacher.dim} features begins fresh")
        if begin is None and start is None and preset != "paper" and isinstance(student, str):
            say(f"the student {student} begins with fresh weights; iem teach makes a head start for it")
        if view == "2d" and guidance.view is None and table.geometries:
            say(f"the teacher sees depictions, not the coordinates of {table.name}; --teacher-view 3d shows it these")
        if extra:
            say(str(extra))
        study = Study(table, task, parts, molecules, guide, student, recipe, guidance.fraction, extra, begin)
        if teacher == "priors":
            study = study._replace(molecules=molecules._replace(answers=answers(study, out / "trainings")))
        boosted = None if trees == "none" else boosted_of(study)
        trainings = len(study.arms(compare)) * seeds
        epoch = epoch_seconds(new_predictor(study, 0), molecules, parts.train, study.extra, recipe.batch_size)
        at_a_time = side_by_side(student, trainings, epoch * recipe.epochs, jobs)
        announce(study, trainings, at_a_time, epoch, seeds, jobs)
        notes = look(study, seeds, jobs)
        if study.aid and "auto" in (recipe.ke, recipe.te):
            study, settings["search"] = searched(study, out / "trainings")
        trained = train_all(study, study.arms(compare), seeds, out / "trainings", at_a_time)
        return finish(study, trained, settings, notes, boosted, out)


def begin_of(start: str | None, student: str | Callable[..., Student], preset: str) -> Start | None:
    """Where a student begins; None for fresh weights.

    Args:
        start: as ``iem fit`` takes it; None for what there is.
        student: name or factory.
        preset: the paper's begins fresh.

    Raises:
        ConfigError: somebody asked for a head start that does not exist.
        ArtifactError: a folder that holds none.
    """
    named = student if isinstance(student, str) else None
    begin = find_start(start or ("none" if preset == "paper" else "default"), named)
    if start == "default" and begin is None:
        which = f"the student {named}" if named else "a network of your own"
        raise ConfigError("--start", start, f"none comes along for {which}; say none, or name a folder of iem teach")
    return begin


def resolved(recipe: FitRecipe, start: Start | None) -> FitRecipe:
    """The recipe with every choice made that the device or the student's beginning decides.

    Raises:
        ConfigError: it keeps statistics, and there are none.
    """
    lr = LR[start is not None] if recipe.lr is None else recipe.lr
    norms = recipe.norms or ("batch" if start is None else "kept")
    if norms == "kept" and start is None:
        raise ConfigError("--norms", norms, "a student with fresh weights has no statistics to keep; name a --start")
    space = recipe.space or ("raw" if start is None else "roots")
    return replace(recipe, lr=lr, norms=norms, space=space, precision=precision_of(recipe.precision))


def artifact_of(guide: ImageTeacher) -> str:
    """The teacher and how it looks, as one word for ``run.json``."""
    return hashlib.sha256(" ".join(guide.causes).encode()).hexdigest()[:16]


def finished(out: Path) -> dict[str, Any]:
    """The scores of a folder that holds a whole model.

    Raises:
        ArtifactError: the scores are not there, or are no JSON; or the model is damaged.
    """
    shutil.rmtree(out / "trainings", ignore_errors=True)  # a kill may have left them
    try:
        artifact.load(out, kind="model")
    except ArtifactError as error:
        raise ArtifactError(f"{error}; delete {out} to train again") from error
    path = out / "metrics.json"
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} cannot be read ({error}); delete {out} to train again") from error
    gone = [name for name in MADE if not (out / name).is_file()]
    say(
        f"{out} is finished already; delete it to train again"
        + f" (its model is whole, but {', '.join(gone)} {'is' if len(gone) == 1 else 'are'} gone)" * bool(gone)
    )
    return metrics


def _content(table: Table, parts: Split) -> str:
    """Digest of molecules, labels, given coordinates, and where each row stands and belongs."""
    content = hashlib.sha256("\n".join(table.smiles).encode() + digest(parts).encode() + table.rows.tobytes())
    content.update("\n".join(table.targets).encode() + str(table.task).encode() + table.labels.tobytes())
    for key, geometry in table.geometries.items():
        content.update(key.encode() + geometry.coordinates.tobytes())
    return content.hexdigest()[:16]


def answers(study: Study, folder: Path) -> Answers:
    """To the prior questions that need no conformer, and to that about shape where coordinates are given."""
    learners = np.concatenate([study.split.train, study.extra])
    given, keys = study.geometries, study.keys
    names = (*ASKED, "shape") if any(keys[row] in given for row in learners) else ASKED
    return answered(keys, learners, names, given=given, embed=False, folder=folder)


def look(study: Study, seeds: int, jobs: int) -> list[str]:
    """Fill in the teacher's features of the molecules to learn from; how each was drawn, or why not."""
    if study.guide is None or not study.helped:
        return []
    rows = study.shown_to_any(seeds)
    keys = np.array(study.keys, dtype=object)[rows].tolist()
    features, notes = study.guide.features(keys, given=study.geometries, jobs=jobs)
    study.molecules.features[rows] = features
    if unseen := [place for place in range(len(keys)) if np.isnan(features[place]).any()]:
        first = rows[unseen[0]]
        where = (
            f"row {study.table.rows[first]}" if first < len(study.table.rows) else f"--unlabelled, {keys[unseen[0]]}"
        )
        say(
            f"{len(unseen):,} of {len(keys):,} molecules have no picture and learn from their labels alone"
            f"{', if they have any' * bool(study.unlabelled)}; the first, in {where}: {notes[unseen[0]]}"
        )
    return notes
