"""The trainings of one fit: every arm with every seed, each kept when it is done."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as dump_tensors

from iem.data.tables import Table
from iem.files import write_bytes
from iem.records import Geometry, Split
from iem.report.text import METRIC_NAMES, plural
from iem.students import architectures as architectures  # these two register the students that come with the package
from iem.students import chemprop as chemprop
from iem.students.base import Student, build_student
from iem.students.predictor import Predictor
from iem.students.starts import Start, common_width
from iem.workflows.distillation.batching import Molecules, shown
from iem.workflows.distillation.lessons import Lesson
from iem.workflows.distillation.loop import Trained, outputs_of, train_student
from iem.workflows.distillation.recipe import TRIALS, FitRecipe
from iem.workflows.distillation.scales import scale_of
from iem.workflows.distillation.unlabelled import Unlabelled
from iem.workflows.measures.metrics import METRICS, scores
from iem.workflows.pictures.embed import ImageTeacher
from iem.workflows.running.console import progress, say
from iem.workflows.running.engines import in_order, open_engine
from iem.workflows.running.ticks import Ticks, every
from iem.workflows.running.trainer import damaged, one_thread

Task = Literal["classification", "regression"]

ARMS = {"pictures": ("with teacher", "without teacher"), "prior questions": ("with priors", "without priors")}
"""Names of the trainings with and without it, by what helps the student."""
PLAIN = "without teacher"

SHOWN = 0.5
"""Seconds between two looks at how far the trainings are."""

ARRAYS = ("valid", "test", "outputs", "valid_outputs")
"""What a finished training keeps beside its weights."""


class Result(NamedTuple):
    """One finished training: which, how it scored, and what it says about the test part."""

    arm: str
    seed: int
    valid: np.ndarray
    """Score per target."""
    test: np.ndarray
    outputs: np.ndarray
    """Predictions for the test part, float64 (molecules, targets)."""
    valid_outputs: np.ndarray
    """Those for the validation part."""
    best_epoch: int
    curve: list[dict[str, float]]


class Study(NamedTuple):
    """What all trainings of one fit share."""

    table: Table
    task: Task
    split: Split
    molecules: Molecules
    """Those of the table, then those without labels."""
    guide: ImageTeacher | None
    student: str | Callable[..., Student]
    recipe: FitRecipe
    fraction: float = 1.0
    """Of the molecules to learn from that have pictures."""
    unlabelled: Unlabelled | None = None
    start: Start | None = None
    """What the student has learned before; with and without help it begins there."""

    @property
    def aid(self) -> str:
        """What helps the student: ``pictures``, ``prior questions``, or nothing."""
        return "pictures" if self.guide is not None else "prior questions" if self.molecules.answers else ""

    @property
    def arm(self) -> str:
        """Name of the trainings with all the help there is."""
        return ARMS[self.aid][0] if self.aid else PLAIN

    @property
    def helped(self) -> bool:
        """Whether the help has a weight, or may yet be given one."""
        return bool(self.aid and (self.recipe.ke or (self.guide is not None and self.recipe.te)))

    def arms(self, compare: bool) -> list[str]:
        """Names of the trainings: with help, then without it where that is another training and somebody wants it."""
        if not self.helped:
            return [ARMS[self.aid][1] if self.aid else PLAIN]
        return list(ARMS[self.aid]) if compare else [self.arm]

    @property
    def keys(self) -> list[str]:
        """Canonical SMILES of all molecules."""
        return self.table.keys + (self.unlabelled.keys if self.unlabelled else [])

    @property
    def geometries(self) -> dict[str, Geometry]:
        """Coordinates that came with molecules, by key."""
        return {**(self.unlabelled.geometries if self.unlabelled else {}), **self.table.geometries}

    @property
    def extra(self) -> np.ndarray:
        """Rows of the molecules without labels."""
        return np.arange(len(self.table.keys), len(self.molecules.graphs))

    def shown(self, seed: int) -> np.ndarray:
        """Rows whose pictures a training sees: a share of those to learn from, and all without labels."""
        train = self.split.train
        return np.concatenate([train[shown([self.table.keys[row] for row in train], self.fraction, seed)], self.extra])

    def shown_to_any(self, seeds: int) -> np.ndarray:
        """Rows whose pictures the training with any seed sees, ascending."""
        return np.unique(np.concatenate([self.shown(seed) for seed in range(seeds)]))


def new_predictor(study: Study, seed: int) -> Predictor:
    """A student that begins where it should; weights that are fresh follow from the seed."""
    torch.manual_seed(seed)
    student = build_student(study.student, dropout=study.recipe.dropout)
    bf16 = study.recipe.precision == "bf16"
    width = common_width(study.guide and study.guide.teacher.dim, study.start)
    predictor = Predictor(
        student,
        tasks=len(study.table.targets),
        task=study.task,
        dim=width,
        hidden=study.recipe.hidden,
        bf16=bf16,
    )
    predictor.fit_scale(study.table.labels[study.split.train])
    if study.start is not None:
        study.start.give(predictor)
    return predictor


def train_all(
    study: Study, arms: Sequence[str], seeds: int, folder: Path, at_a_time: int = 1
) -> list[tuple[Result, dict[str, torch.Tensor]]]:
    """Every arm with every seed, and its weights; finished trainings are read back, unfinished ones go on.

    Args:
        study: what they share.
        arms: with help, without.
        seeds: trainings of each arm.
        folder: keeps what is finished and where the others are.
        at_a_time: trainings that run side by side, each in a process of its own; the results do not depend on it.
    """
    folder.mkdir(exist_ok=True)
    folder, epochs = folder.resolve(), study.recipe.epochs
    wanted = [(arm, seed) for seed in range(seeds) for arm in arms]
    files = {one: _kept(folder, *one) for one in wanted}
    remaining = [one for one in wanted if not files[one].is_file()]
    with (
        open_engine("cores", jobs=max(1, min(at_a_time, len(remaining))), address=None) as engine,
        progress("note") as bars,
    ):
        bar = bars.add_task("training", total=len(wanted) * epochs, note="")

        def show() -> None:
            running = {one: tick for one in remaining if (tick := Ticks(_ticks(files[one])).last())}
            done = epochs * sum(path.is_file() for path in files.values()) + sum(
                tick.epoch for tick in running.values()
            )
            title = ", ".join([f"{arm}, seed {seed}" for arm, seed in running]) if len(running) == 1 else "training"
            marks = ", ".join(f"{tick.score:.3f}" for tick in running.values())
            note = f"validation {METRIC_NAMES[METRICS[study.task]]} {marks}" if running else ""
            bars.update(bar, description=title, completed=done, note=note)

        with every(SHOWN, show):
            for _ in in_order(engine, train_one, remaining, lambda one: (study, *one, folder)):
                pass
    return [_read_result(files[one]) for one in wanted]


@one_thread()
def train_one(study: Study, arm: str, seed: int, folder: Path) -> None:
    """One training, or what is left of it; the test part is scored once, with the weights that validation chose.

    All of it on one core, as in a process of its own: how many threads share a product shows in its last bits.
    """
    table, split = study.table, study.split
    kept = _kept(folder, arm, seed)
    checkpoint, ticks = kept.with_suffix(".ckpt"), Ticks(_ticks(kept))
    predictor = new_predictor(study, seed)
    trained = taught(study, predictor, seed, checkpoint, ticks, helped=arm == study.arm)
    predictor.load_state_dict(trained.weights)
    outputs = {part: outputs_of(predictor, study.molecules, getattr(split, part)) for part in ("valid", "test")}
    per_target = {part: scores(study.task, table.labels[getattr(split, part)], outputs[part]) for part in outputs}
    result = Result(
        arm,
        seed,
        valid=per_target["valid"],
        test=per_target["test"],
        outputs=outputs["test"],
        valid_outputs=outputs["valid"],
        best_epoch=trained.best_epoch,
        curve=trained.curve,
    )
    _write_result(kept, result, trained.weights)
    for path in (checkpoint, ticks.path):
        path.unlink(missing_ok=True)


def _kept(folder: Path, arm: str, seed: int) -> Path:
    """Where a finished training is."""
    return folder / f"{arm.replace(' ', '-')}-{seed}.safetensors"


def _ticks(kept: Path) -> Path:
    """Where it says how far it is."""
    return kept.with_suffix(".ticks")


def taught(
    study: Study,
    predictor: Predictor,
    seed: int,
    checkpoint: Path,
    tick: Callable[[int, float], None],
    *,
    helped: bool,
) -> Trained:
    """Train a predictor with the recipe of the study, by labels alone or also by what else there is."""
    molecules, heads, scale = study.molecules, None, None
    weights: dict[str, float] = {"ke": 0.0, "te": 0.0}
    if helped and study.guide is not None:
        heads, weights = study.guide.teacher.heads, {}
        scale = scale_of(study.start, study.guide.causes)
        features = np.full_like(molecules.features, np.nan)
        seen = study.shown(seed)
        features[seen] = molecules.features[seen]
        molecules = molecules._replace(features=features)
    elif helped and study.aid:
        weights["priors"] = float(study.recipe.ke)
    lesson = Lesson.of(study.recipe, task=study.task, seed=seed, **weights)
    return train_student(
        predictor,
        molecules,
        study.split.train,
        study.split.valid,
        lesson,
        heads=heads,
        checkpoint=checkpoint,
        tick=tick,
        extra=study.extra if lesson.ke or lesson.te or lesson.priors else None,
        scale=scale,
    )


def searched(study: Study, folder: Path) -> tuple[Study, list[dict[str, Any]]]:
    """The study with weights that did best on the validation part with seed 0, and what was tried."""
    from iem.workflows.fitting.searching import search_weights  # takes seconds to import, and few need it

    larger = study.task == "classification"
    with progress("note") as bars:
        bar = bars.add_task(f"searching the weights of the {study.aid}", total=TRIALS * study.recipe.epochs, note="")

        def train(recipe: FitRecipe, state: Path, judge: Callable[[int, float], None]) -> float:
            def tick(epoch: int, score: float) -> None:
                bars.update(bar, advance=1, note=f"ke {recipe.ke:g}, te {recipe.te:g}: {score:.3f}")
                judge(epoch, score)

            one = study._replace(recipe=recipe)
            curve = taught(one, new_predictor(one, 0), 0, state, tick, helped=True).curve
            scores = [point["valid"] for point in curve]
            return max(scores) if larger else min(scores)

        found = search_weights(study.recipe, train, folder / "search", larger_is_better=larger)
    ke, te = found.recipe.ke, found.recipe.te
    if not ke and not te:
        say(f"no weight of the {study.aid} did better than none on the validation part: they are switched off")
    else:
        say(f"chosen on the validation part: ke {ke:g}, te {te:g}, among {plural(len(found.trials), 'pair')}")
    return study._replace(recipe=found.recipe), found.trials


def _write_result(path: Path, result: Result, weights: dict[str, torch.Tensor]) -> None:
    """One file, whole or absent: weights and scores as tensors, the rest as text beside them."""
    tensors = weights | {f"result.{name}": torch.from_numpy(getattr(result, name)) for name in ARRAYS}
    about = {"arm": result.arm, "seed": result.seed, "best_epoch": result.best_epoch, "curve": result.curve}
    write_bytes(path, dump_tensors(tensors, metadata={"about": json.dumps(about)}))


def _read_result(path: Path) -> tuple[Result, dict[str, torch.Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, not a dictionary
            about = json.loads(file.metadata()["about"])
    except SafetensorError as error:
        raise damaged(path, error) from error
    arrays = {name: tensors.pop(f"result.{name}").numpy() for name in ARRAYS}
    return Result(**arrays, **about), tensors
