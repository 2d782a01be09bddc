"""What a fit will do and how long it may take, said before the long part."""

from collections.abc import Callable

import numpy as np
import torch
from joblib import effective_n_jobs

from iem.report.text import VIEWS, plural
from iem.students.base import STUDENTS, Student
from iem.workflows.distillation.recipe import TRIALS
from iem.workflows.fitting.estimate import drawing_seconds, words
from iem.workflows.fitting.trainings import Study
from iem.workflows.running.console import say

WORTH_PROCESSES = 20.0
"""Seconds that must be won for trainings to run side by side, since processes take some to start."""


def announce(study: Study, trainings: int, at_a_time: int, epoch: float, seeds: int, jobs: int) -> None:
    """Say what will happen and how long it may take, before the long part.

    Args:
        study: what will be learned.
        trainings: of all arms and seeds.
        at_a_time: those that run side by side.
        epoch: seconds of one.
        seeds: whose pictures will be drawn.
        jobs: processes that draw them.
    """
    recipe = study.recipe
    trials = TRIALS * (bool(study.aid) and "auto" in (recipe.ke, recipe.te))
    steps, total = [], epoch * recipe.epochs * (trials + -(-trainings // at_a_time))
    if study.guide is not None and study.helped:
        keys = np.array(study.keys, dtype=object)[study.shown_to_any(seeds)].tolist()
        seconds = drawing_seconds(study.guide, keys, study.geometries, jobs)
        shown = f"{VIEWS[study.guide.view]} of {plural(len(keys), 'molecule')}"
        steps.append(f"show {shown} to the teacher ({words(seconds)})")
        total += seconds
    count = plural(trainings + trials, "training")
    beside = f" ({plural(seeds, 'training')} less with --no-compare)" * (trainings > seeds)
    steps.append(
        f"{count} of at most {plural(recipe.epochs, 'epoch')} ({words(epoch)} an epoch)"
        f"{f', {at_a_time} at a time' * (at_a_time > 1)}{beside}"
    )
    say(f"Next: {', then '.join(steps)}; {words(total)} at most. Interrupted, the same command goes on.")


def side_by_side(student: str | Callable[..., Student], trainings: int, seconds: float, jobs: int) -> int:
    """How many trainings run at a time: as many as there are cores to use, since each keeps one busy.

    One after the other where a GPU trains, where another process cannot make the student (a factory that somebody
    handed over, or a name that is not the package's own), and where the wait for processes to start is not worth it.

    Args:
        student: name or factory.
        trainings: in all.
        seconds: that one may take.
        jobs: processes, -1 for one per core.
    """
    if torch.cuda.is_available() or not isinstance(student, str) or not STUDENTS.is_own(student.partition(":")[0]):
        return 1
    at_a_time = min(effective_n_jobs(jobs), trainings)
    won = seconds * (trainings - -(-trainings // at_a_time))
    return at_a_time if won >= WORTH_PROCESSES else 1
