"""How long a fit will take, from a taste of its two long parts."""

from collections.abc import Mapping, Sequence
from time import perf_counter

import numpy as np
from joblib import cpu_count

from iem.losses.enhancers import task_loss
from iem.records import Geometry
from iem.students.predictor import Predictor
from iem.workflows.distillation.batching import Molecules
from iem.workflows.pictures.embed import ImageTeacher
from iem.workflows.running.trainer import one_thread

TASTE = 8
"""Molecules that are drawn to see how long it takes; they are kept in the cache."""


def drawing_seconds(guide: ImageTeacher, keys: Sequence[str], given: Mapping[str, Geometry], jobs: int) -> float:
    """Seconds until the teacher will have seen all molecules that are not in the cache yet."""
    wanted = guide.unseen(keys, given=given)
    sample = [wanted[place] for place in np.linspace(0, len(wanted) - 1, min(TASTE, len(wanted))).astype(int)]
    if not sample:
        return 0.0
    guide.features(sample[:1], given=given, jobs=1)  # the first pays for compiling
    start = perf_counter()
    guide.features(sample[1:], given=given, jobs=1)
    each = (perf_counter() - start) / max(len(sample) - 1, 1)
    return each * (len(wanted) - len(sample)) / (cpu_count() if jobs < 0 else max(jobs, 1))


@one_thread()
def epoch_seconds(
    predictor: Predictor, molecules: Molecules, rows: np.ndarray, extra: np.ndarray, batch_size: int
) -> float:
    """Seconds of one pass over the rows, with others among them, from one training step after a first that warms up."""
    loader = molecules.loader(predictor.student, rows, batch_size=batch_size, shuffle_seed=0, extra=extra)
    batch = next(iter(loader))
    for _ in range(2):
        start = perf_counter()
        predictor.zero_grad()
        labels = predictor.standardise(batch.labels)
        task_loss(predictor(batch.graphs)[1], labels, predictor.task).backward()
        taken = perf_counter() - start
    return taken * len(rows) / min(len(rows), batch_size)


def words(seconds: float) -> str:
    """``40 s``, ``3 min``, ``2.5 h``."""
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
