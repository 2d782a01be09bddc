"""Finished runs of a benchmark, and their scores by table, student and method."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from iem.data.catalogue import DATASETS
from iem.errors import ArtifactError
from iem.files import write_bytes
from iem.workflows.evidence.methods import METHODS
from iem.workflows.evidence.predictions import score_together

OF_THE_METHOD = ("ke", "ke_scale", "te", "te_head", "space", "ramp", "lr", "norms")
"""Settings of a recipe that belong to a method: the teacher's, and what a head start changes."""
ONE_FOR_ALL = ("scaffold", "cluster")
"""Splits that do not depend on the seed."""
NEEDED = ("dataset", "student", "method", "split", "seed")
"""Settings by which runs are told apart, whatever else they depend on."""


class Row(NamedTuple):
    """The scores of one table, student, method and split, by seed."""

    dataset: str
    student: str
    method: str
    split: str
    seeds: Mapping[int, float]
    """Of the test part; ROC-AUC as a fraction, RMSE in the unit of the table."""
    dropped: int
    """Targets without a test score."""
    training: str = ""
    """How the student was trained, whatever taught it: only rows that agree in it are compared."""
    valid: Mapping[int, float] = MappingProxyType({})
    """Of the validation part."""
    together: float | None = None
    """Test score of the mean of all seeds' predictions; None if it is not known."""

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return float(np.mean(list(self.seeds.values())))

    @property
    def std(self) -> float | None:
        """Sample standard deviation; None for one seed."""
        return float(np.std(list(self.seeds.values()), ddof=1)) if len(self.seeds) > 1 else None

    @property
    def is_classification(self) -> bool:
        """Whether larger is better."""
        return DATASETS[self.dataset].task == "classification"


def read_results(out: Path) -> list[dict[str, Any]]:
    """All finished runs, in a fixed order.

    Args:
        out: folder that ``iem benchmark`` wrote, or the JSON lines that it made of one.

    Raises:
        ArtifactError: a file that is no result; names it.
    """
    if out.is_file():
        lines = out.read_text(encoding="utf-8", errors="replace").splitlines()
        found = [_read(f"line {number} of {out}", line) for number, line in enumerate(lines, 1) if line.strip()]
    else:
        paths = sorted((out / "runs").glob("*.json"))
        found = [_read(str(path), path.read_text(encoding="utf-8", errors="replace")) for path in paths]
    return sorted(found, key=lambda result: [result["settings"][name] for name in NEEDED])


def _read(name: str, text: str) -> dict[str, Any]:
    try:
        result: dict[str, Any] = json.loads(text)
        *names, seed = (result["settings"][part] for part in NEEDED)
        if not isinstance(seed, int) or not all(isinstance(name, str) for name in names):
            raise TypeError(f"{', '.join(NEEDED)} are {names}, {seed!r}")
        _ = result["test"], result["valid"], result["targets_dropped"], result["seconds"], result["key"]
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{name} is no result of a run ({error}); delete it and run it again") from error
    return result


def unknown(results: Sequence[Mapping[str, Any]]) -> set[str]:
    """Tables and methods of runs that this version does not have; a newer one may have added its runs to the folder."""
    tables = {result["settings"]["dataset"] for result in results}
    return (tables - DATASETS.keys()) | ({result["settings"]["method"] for result in results} - METHODS.keys())


def write_lines(out: Path, results: Sequence[Mapping[str, Any]]) -> None:
    """Finished runs as JSON lines."""
    lines = "".join(json.dumps(result, sort_keys=True, allow_nan=False) + "\n" for result in results)
    write_bytes(out / "results.jsonl", lines.encode())


def rows_of(
    results: Sequence[Mapping[str, Any]], predictions: Path | None = None
) -> tuple[list[Row], dict[str, list[str]]]:
    """Runs that differ only in their seed, together; of runs under other settings the most frequent ones.

    Args:
        results: finished runs, as ``read_results`` returns them.
        predictions: folder of what they predict, if that is to be scored together.

    Returns:
        The rows, and for each setting that all runs share the values that were met.
    """
    groups: dict[tuple[str, str, str, str], dict[str, list[Mapping[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    causes: dict[str, set[str]] = defaultdict(set)
    trainings = Counter(_training(result["settings"]) for result in results)
    for result in results:
        settings = result["settings"]
        where = (settings["dataset"], settings["student"], settings["method"], settings["split"])
        rest = {name: settings.get(name) for name in ("version", "teacher", "start", "recipe", "chemprop")}
        groups[where][json.dumps([rest, _molecules(settings)], sort_keys=True)].append(result)
        for name, value in rest.items():
            if value is not None:
                causes[name].add(value if isinstance(value, str) else json.dumps(value, sort_keys=True))
    rows = []
    for where, variants in groups.items():
        chosen = max(variants.values(), key=lambda runs: (len(runs), trainings[_training(runs[0]["settings"])]))
        test, valid = ({run["settings"]["seed"]: run[part] for run in chosen} for part in ("test", "valid"))
        if seeds := {seed: value for seed, value in test.items() if value is not None}:
            files = [predictions / f"{run['key']}.npz" for run in chosen] if predictions else []
            rows.append(
                Row(
                    *where,
                    seeds=seeds,
                    dropped=chosen[0]["targets_dropped"],
                    training=_training(chosen[0]["settings"]),
                    valid={seed: value for seed, value in valid.items() if value is not None},
                    together=score_together(files, DATASETS[where[0]].task),
                )
            )
    order = {name: place for place, name in enumerate(DATASETS)}
    methods = {name: place for place, name in enumerate(METHODS)}
    rows.sort(key=lambda row: (order[row.dataset], row.split, row.student, methods[row.method]))
    return rows, {name: sorted(values) for name, values in causes.items()}


def _training(settings: Mapping[str, Any]) -> str:
    recipe = {name: value for name, value in (settings.get("recipe") or {}).items() if name not in OF_THE_METHOD}
    return json.dumps([settings["version"], recipe, _molecules(settings)], sort_keys=True)


def _molecules(settings: Mapping[str, Any]) -> list[Any]:
    """Which table and, where all seeds share one, which split: scores of others are not compared."""
    return [settings.get("table"), settings.get("split_digest") if settings["split"] in ONE_FOR_ALL else None]
