"""Runs of a benchmark: which there are, what each depends on, and one after the other."""

import json
import resource
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

import numpy as np
import torch

from iem.artifact import versions
from iem.cache import address as named
from iem.chem.splits import cluster_split, digest, fold_split, random_split, scaffold_split
from iem.data.catalogue import DATASETS
from iem.data.published import CLASSIFICATION, REGRESSION
from iem.data.tables import Table, read_table
from iem.errors import ArtifactError, ConfigError, UnavailableError, UnknownNameError
from iem.files import write_json
from iem.nn.teacher import find
from iem.records import Split
from iem.report.text import plural
from iem.students.base import build_student
from iem.students.chemprop import installed
from iem.students.starts import BUNDLED, Start, find_start
from iem.workflows.distillation.recipe import PRESETS, FitRecipe
from iem.workflows.evidence.methods import METHODS, PICTURES
from iem.workflows.evidence.predictions import keep_predictions
from iem.workflows.evidence.results import read_results, write_lines
from iem.workflows.evidence.schooling import Classroom, outputs_by
from iem.workflows.fitting.steps import resolved
from iem.workflows.measures.metrics import METRICS, mean_score, scores
from iem.workflows.pictures.embed import load_teacher
from iem.workflows.running.console import progress, say
from iem.workflows.running.engines import in_order, open_engine
from iem.workflows.running.folders import alone_with

VERSION = 1
"""Counts changes of the code that may change a score."""
SPLITS = ("scaffold", "random", "cluster", "cv5x5")
FOUR = ("gcn", "gin", "gat", "sage")
PLANS: dict[str, tuple[Sequence[str], Sequence[str], Sequence[str]]] = {
    "table1": (CLASSIFICATION, ("gin",), ("plain", "iem")),
    "table2": (REGRESSION, ("gin",), ("plain", "iem")),
    "table3": (CLASSIFICATION, FOUR, ("plain", "iem")),
    "table4": (CLASSIFICATION, ("gin",), ("plain", "2d", "flat", "iem")),
    "table5": (CLASSIFICATION, ("gin",), ("plain", "images 5%", "images 10%", "images 20%", "images 50%", "iem")),
    "table6": (CLASSIFICATION, FOUR, ("plain", "te", "ke", "iem")),
    "baselines": (
        tuple(DATASETS),
        ("none",),
        ("one number", "ecfp+rf", "ecfp+gb", "descriptors+gb", "trees", "probe", "chemprop"),
    ),
    "controls": (
        tuple(DATASETS),
        ("gin",),
        ("plain", "iem", "priors", "shuffled", "untrained", "descriptors", "ecfp"),
    ),
}
"""Tables, students and methods of each plan."""


class Run(NamedTuple):
    """One training and its test score."""

    dataset: str
    student: str
    """``none`` for methods without a graph network."""
    method: str
    seed: int


@dataclass(frozen=True)
class Protocol:
    """What all runs of one command share."""

    split: str
    teacher: str
    """Folder."""
    recipe: FitRecipe
    starts: str
    """Folder of students that have learned before."""

    @classmethod
    def of(cls, *, split: str, teacher: str, preset: str, starts: Path | None = None, **options: Any) -> "Protocol":
        """From the options of the command line.

        Raises:
            ConfigError: no such split.
            ArtifactError: no such teacher.
        """
        if split not in SPLITS:
            raise ConfigError("--split", split, f"it must be one of {', '.join(SPLITS)}")
        load_teacher(teacher)
        return cls(split, str(find(teacher)), replace(PRESETS[preset], **options), str(starts or BUNDLED))

    def start(self, run: Run) -> Start | None:
        """Where the student of a run begins.

        Raises:
            ArtifactError: nobody has taught this student before, in this way.
        """
        kind = METHODS[run.method].start
        found = _start_of(kind, run.student, self.starts)
        if found is None and kind != "none":
            teacher = "" if kind == "pictures" else " --teacher none"
            raise ArtifactError(
                f"the method {run.method!r} needs a head start of {run.student}, and there is none in {self.starts}; "
                f"make it with iem teach CORPUS --student {run.student}{teacher} --out starts/{kind}-{run.student}, "
                "and say --starts starts"
            )
        return found

    def lesson(self, run: Run) -> FitRecipe:
        """How the student of a run is trained."""
        start = self.start(run)
        return resolved(self.recipe if start else replace(self.recipe, norms=None), start)

    def settings(self, run: Run) -> dict[str, Any]:
        """Everything that the score of a run depends on."""
        method = METHODS[run.method]
        taught = method.sees in PICTURES or method.priors
        depends: dict[str, Any] = {
            **run._asdict(),
            "split": self.split,
            "split_digest": digest(split_of(run.dataset, self.split, run.seed)),
            "table": DATASETS[run.dataset].content[:16],
            "version": f"iem {versions()['iem']}, runs {VERSION}",
        }
        if taught:
            depends["teacher"] = digest_of(self.teacher, method.sees if method.sees in PICTURES else "3d")
        if method.model == "student":
            used = {
                "ke": method.ke or method.priors,
                "ke_scale": method.ke,
                "te": method.te,
                "te_head": method.te,
                "space": method.ke or method.te,
                "ramp": method.ke or method.te or method.priors,
                "norms": self.lesson(run).norms == "kept",
                "average": self.recipe.average > 1,
            }
            recipe, start = asdict(self.lesson(run)), self.start(run)
            depends["recipe"] = {name: value for name, value in recipe.items() if used.get(name, True)}
            if start is not None:
                depends["start"] = start.digest[:16]
        if method.model == "chemprop":
            depends["chemprop"] = installed().__version__
        return depends


def planned(
    plan: str, datasets: Sequence[str], students: Sequence[str], methods: Sequence[str], seeds: int
) -> list[Run]:
    """The runs of a plan, or of a part of it.

    Raises:
        UnknownNameError: a table, student or method that does not exist.
        UnavailableError: a method that was asked for needs a package that is not installed.
    """
    tables, networks, ways = PLANS[plan]
    for kind, chosen, known in (
        ("benchmark table", datasets, tuple(DATASETS)),
        ("method", methods, tuple(METHODS)),
    ):
        for name in chosen:
            if name not in known:
                raise UnknownNameError(f"no {kind} is called {name!r}; known: {', '.join(known)}")
    networks = networks if networks == ("none",) else tuple(students or networks)
    for name in networks:
        if name != "none":
            build_student(name)
    chosen = tuple(methods or ways)
    if any(METHODS[way].model == "chemprop" for way in chosen):
        try:
            installed()
        except UnavailableError as error:
            if methods:
                raise
            say(f"chemprop is left out: {error}")
            chosen = tuple(way for way in chosen if METHODS[way].model != "chemprop")
    runs = [
        Run(table, "none" if METHODS[way].model != "student" else network, way, seed)
        for table in datasets or tables
        for seed in range(seeds)
        for network in networks
        for way in chosen
        if METHODS[way].is_seeded or seed == 0
    ]
    return list(dict.fromkeys(runs))  # what needs no network would come once for each


def run_all(
    runs: Sequence[Run], protocol: Protocol, *, out: Path, list_runs: bool, jobs: int, engine: str, address: str | None
) -> None:
    """Do what is not done yet, and say how far it is."""
    settings = {run: protocol.settings(run) for run in runs}
    files = {run: out / "runs" / f"{key_of(chosen)}.json" for run, chosen in settings.items()}
    open_runs = [run for run in runs if not files[run].is_file()]
    say(f"{plural(len(runs), 'run')}, {len(runs) - len(open_runs)} done, {len(open_runs)} to do; results in {out}")
    if list_runs:
        for run in runs:
            state = "done" if files[run].is_file() else "to do"
            say(f"  {state:6} {run.dataset:9} {run.student:5} {run.method}, seed {run.seed}")
        return
    for folder in ("runs", "claims", "unfinished"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    busy = 0
    with open_engine(engine, jobs=jobs, address=address) as tasks, progress("note") as bars:
        bar = bars.add_task("runs", total=len(open_runs), note="")
        done = in_order(tasks, do_run, open_runs, lambda run: (run, settings[run], protocol, out.resolve()))
        for run, result in done:
            busy += result is None
            note = "taken by another process"
            if result is not None:
                note = "no score" if result["test"] is None else f"{result['metric']} {result['test']:.3f}"
            bars.update(bar, advance=1, note=f"{run.dataset}, {run.student}, {run.method}, seed {run.seed}: {note}")
            write_lines(out, read_results(out))
    write_lines(out, read_results(out))
    if busy:
        say(f"{plural(busy, 'run')} left to another process that works in {out}; run the command again when it is done")
    say(f"results: {out / 'results.jsonl'}; iem benchmark report {out} makes tables of them")


def key_of(settings: dict[str, Any]) -> str:
    """The name of a run: over everything that it depends on."""
    return named(json.dumps(settings, sort_keys=True))


def do_run(run: Run, settings: dict[str, Any], protocol: Protocol, out: Path) -> dict[str, Any] | None:
    """One run, its score and its predictions kept whole when it is done; None if another process is at it.

    Killed in the middle, its checkpoint stays and the next attempt goes on from there.
    """
    key = key_of(settings)
    path, scratch = out / "runs" / f"{key}.json", out / "unfinished" / key
    with claimed(out / "claims" / key) as mine:
        if not mine:
            return None
        if path.is_file():  # by another process, meanwhile
            return json.loads(path.read_text(encoding="utf-8"))
        table, split = table_of(run.dataset), split_of(run.dataset, protocol.split, run.seed)
        started = process_time()
        scratch.mkdir(parents=True, exist_ok=True)
        task = DATASETS[run.dataset].task
        lesson, start = protocol.lesson(run), protocol.start(run)
        room = Classroom(table, task, split, protocol.teacher, lesson, out / "answers", start)
        outputs, about = outputs_by(METHODS[run.method], run.student, run.seed, room, scratch / "state.ckpt")
        part = {
            name: scores(task, table.labels[rows], outputs[rows])
            for name, rows in split._asdict().items()
            if name != "train"
        }
        result = {
            "key": key,
            "settings": settings,
            "metric": METRICS[task],
            **{name: _or_none(mean_score(values)) for name, values in part.items()},
            "targets": int(np.isfinite(part["test"]).sum()),
            "targets_dropped": int(np.isnan(part["test"]).sum()),
            "molecules": {name: len(rows) for name, rows in split._asdict().items()},
            "seconds": round(process_time() - started, 1),
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
            "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
            **about,
        }
        keep_predictions(out / "predictions" / f"{key}.npz", table.labels, outputs, split)
        write_json(path, result)  # last: it vouches for the rest
        shutil.rmtree(scratch, ignore_errors=True)
    return result


def _or_none(score: float) -> float | None:
    return score if np.isfinite(score) else None


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Whether this process alone may do a run; a claim ends with the process that holds it."""
    with path.open("ab") as file:
        yield alone_with(file)


@lru_cache(maxsize=8)
def digest_of(teacher: str, view: str) -> str:
    """Of a teacher and of what it is shown."""
    return named(*load_teacher(teacher, view=view).causes)


@lru_cache(maxsize=8)
def _start_of(kind: str, student: str, folder: str) -> Start | None:
    """Weights that many runs begin with, read once."""
    return find_start(kind, student, bundled=Path(folder))


@lru_cache(maxsize=2)
def table_of(name: str) -> Table:
    """A benchmark table, read once."""
    return read_table(name)


@lru_cache(maxsize=32)
def split_of(name: str, how: str, seed: int) -> Split:
    """The parts of a table for one seed; only ``random`` and ``cv5x5`` depend on it."""
    keys = table_of(name).keys
    if how == "scaffold":
        return _scaffold(name)
    if how == "cluster":
        return _cluster(name)
    if how == "random":
        return random_split(keys, seed=seed)
    return fold_split(keys, repeat=seed // 5, fold=seed % 5)


@lru_cache(maxsize=16)
def _scaffold(name: str) -> Split:
    return scaffold_split(table_of(name).keys)


@lru_cache(maxsize=16)
def _cluster(name: str) -> Split:
    return cluster_split(table_of(name).keys)
