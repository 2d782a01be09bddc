"""The end of ``iem fit``: what its folder holds when the trainings are done."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.table import Table as Grid

from iem.chem.splits import digest
from iem.data.tables import Table
from iem.files import write_bytes, write_json
from iem.records import Rejection
from iem.students.base import name_of
from iem.students.predictor import save_model
from iem.workflows.console import console, say
from iem.workflows.metrics import METRICS, against, difference, summary
from iem.workflows.reporting import write_fit_report
from iem.workflows.rival import RIVAL, Rival
from iem.workflows.trainings import Result, Study


def finish(
    study: Study,
    results: list[Result],
    states: list[dict],
    settings: dict[str, Any],
    notes: list[str],
    rival: Rival | None,
    out: Path,
) -> dict[str, Any]:
    """Numbers, predictions, report, and last of all the card that says the folder is whole."""
    table, split = study.table, study.split
    arms = dict.fromkeys(result.arm for result in results)
    by_arm = {arm: [result for result in results if result.arm == arm] for arm in arms}
    main, *others = by_arm.values()
    metrics: dict[str, Any] = {
        "task": study.task,
        "metric": METRICS[study.task],
        "test": summary([result.test for result in main], table.targets),
        "valid": summary([result.valid for result in main], table.targets),
        "rows": {"read": table.read, "used": len(table.rows), "rejected": table.read - len(table.rows)},
    }
    for plain in others:
        metrics["without_teacher"] = summary([result.test for result in plain], table.targets)
        metrics["without_teacher_valid"] = summary([result.valid for result in plain], table.targets)
        metrics["difference"] = difference(
            study.task,
            table.labels[split.test],
            [result.outputs for result in main],
            [result.outputs for result in plain],
            study.aid,
        )
    ensemble = np.stack([result.outputs for result in main])
    if rival:
        found = against(study.task, table.labels[split.test], list(ensemble), rival.outputs, RIVAL)
        scored = {"test": summary([rival.test], table.targets), "valid": summary([rival.valid], table.targets)}
        metrics["rival"] = {"name": RIVAL, **scored, "difference": found}
    if study.unlabelled:
        metrics["unlabelled"] = study.unlabelled.counts
        write_rejected(out / "rejected-unlabelled.csv", study.unlabelled.rejected)
    write_predictions(out / "predictions.csv", table, split.test, ensemble)
    rows = {part: [int(table.rows[row]) for row in getattr(split, part)] for part in split._fields}
    write_json(out / "splits.json", {"method": settings["split"], "digest": digest(split), **rows})
    write_rejected(out / "rejected.csv", table.rejected)
    write_json(out / "metrics.json", metrics)
    write_fit_report(out / "report.html", study, results, metrics, settings, notes, rival)
    card = {
        "task": study.task,
        "targets": list(table.targets),
        "metric": METRICS[study.task],
        "student": {"name": name_of(study.student), "options": {"dropout": study.recipe.dropout}},
        "seeds": settings["seeds"],
        "settings": settings,
        "split_digest": digest(split),
        "test": metrics["test"],
    }
    save_model(out, states, card)
    shutil.rmtree(out / "trainings")
    show(metrics)
    say(f"the report is {out / 'report.html'}")
    return metrics


def write_predictions(path: Path, table: Table, rows: np.ndarray, ensemble: np.ndarray) -> None:
    """The test part: row number, SMILES, and per target the label, the mean prediction and its spread over seeds."""
    columns: dict[str, Any] = {
        "row": [int(table.rows[row]) for row in rows],
        "smiles": [table.smiles[row] for row in rows],
    }
    for index, target in enumerate(table.targets):
        columns[target] = table.labels[rows, index]
        columns[f"{target} predicted"] = ensemble[:, :, index].mean(axis=0)
        if len(ensemble) > 1:
            columns[f"{target} std"] = ensemble[:, :, index].std(axis=0, ddof=1)
    write_bytes(path, pd.DataFrame(columns).to_csv(index=False, float_format="%.6g").encode())


def write_rejected(path: Path, rejected: Sequence[Rejection]) -> None:
    """Rows that were left out, and why."""
    frame = pd.DataFrame(rejected, columns=["row", "input", "stage", "reason"])
    write_bytes(path, frame.to_csv(index=False).encode())


def show(metrics: dict[str, Any]) -> None:
    """The result as a small table on the terminal, and the verdict in words."""
    grid = Grid("", metrics["metric"].replace("_", "-").upper(), "seeds")
    for title, part in (("validation", "valid"), ("test", "test"), ("test, without teacher", "without_teacher")):
        if part in metrics:
            mean, std = metrics[part]["mean"], metrics[part]["std"]
            value = "–" if mean is None else f"{mean:.3f}" + (f" ± {std:.3f}" if std is not None else "")
            grid.add_row(title, value, str(len(metrics[part]["per_seed"])))
    if "rival" in metrics:
        mean = metrics["rival"]["test"]["mean"]
        grid.add_row(f"test, {RIVAL}", "–" if mean is None else f"{mean:.3f}", "–")
    console.print(grid)
    for verdict in (metrics.get("difference"), metrics.get("rival", {}).get("difference")):
        if verdict and verdict["verdict"]:
            say(verdict["verdict"])
