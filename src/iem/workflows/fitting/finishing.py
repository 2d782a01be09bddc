"""The end of ``iem fit``: what its folder holds when the trainings are done."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from rich.table import Table as Grid

from iem.chem.splits import digest
from iem.data.tables import Table
from iem.files import write_bytes, write_json
from iem.records import Rejection
from iem.report.text import spread
from iem.students.base import name_of
from iem.students.predictor import save_model
from iem.workflows.fitting.boosting import BOOSTING, Boosted
from iem.workflows.fitting.joining import better_of, joined_of
from iem.workflows.fitting.page import TOGETHER, write_fit_report
from iem.workflows.fitting.trainings import Result, Study
from iem.workflows.inference.model import free_name
from iem.workflows.measures.metrics import METRICS, against, difference, scores, summary
from iem.workflows.measures.one_number import OneNumber, beside, one_number
from iem.workflows.running.console import console, progress, say


def finish(
    study: Study,
    trained: Sequence[tuple[Result, dict[str, torch.Tensor]]],
    settings: dict[str, Any],
    notes: list[str],
    boosted: Boosted | None,
    out: Path,
) -> dict[str, Any]:
    """Numbers, predictions, report, and last of all the card that says the folder is whole."""
    table, split = study.table, study.split
    results = [result for result, _ in trained]
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
    kept, told = better_of(study, by_arm)
    if others:
        metrics["kept"] = {"arm": kept, "verdict": told}
    alone = by_arm[kept]
    members, tensors = np.stack([result.outputs for result in alone]), {}
    if boosted:
        found = against(study.task, table.labels[split.test], list(members), boosted.opinions["test"], BOOSTING)
        scored = {"test": summary([boosted.test], table.targets), "valid": summary([boosted.valid], table.targets)}
        metrics["trees"] = {"name": BOOSTING, **scored, "difference": found}
        if settings["trees"] == "auto":
            joined = joined_of(study, alone, boosted)
            metrics["together"] = joined.metrics
            if joined.joined:
                members = joined.members
                tensors = {name: torch.from_numpy(array) for name, array in boosted.trees.arrays().items()}
    if len(members) > 1:
        outputs = members.mean(axis=0)
        metrics["ensemble"] = summary([scores(study.task, table.labels[split.test], outputs)], table.targets)
    tested = metrics["together"]["test"] if tensors else summary([result.test for result in alone], table.targets)
    metrics["one_number"] = beside(
        numbered(study), table.labels, split, study.task, table.targets, metrics.get("ensemble", tested)["mean"]
    )
    if study.unlabelled:
        metrics["unlabelled"] = study.unlabelled.counts
        write_rejected(out / "rejected-unlabelled.csv", study.unlabelled.rejected)
    write_predictions(out / "predictions.csv", table, split.test, members)
    rows = {part: [int(table.rows[row]) for row in getattr(split, part)] for part in split._fields}
    write_json(out / "splits.json", {"method": settings["split"], "digest": digest(split), **rows})
    write_rejected(out / "rejected.csv", table.rejected)
    write_json(out / "metrics.json", metrics)
    write_fit_report(out / "report.html", study, results, metrics, settings, notes, members, boosted)
    card = {
        "task": study.task,
        "targets": list(table.targets),
        "metric": METRICS[study.task],
        "student": {"name": name_of(study.student), "options": {"dropout": study.recipe.dropout}},
        "seeds": settings["seeds"],
        "trees": bool(tensors),
        "settings": settings,
        "split_digest": digest(split),
        "test": tested,
    }
    save_model(out, [weights for result, weights in trained if result.arm == kept], card, tensors)
    shutil.rmtree(out / "trainings")
    show(metrics, list(by_arm))
    say(f"the report is {out / 'report.html'}")
    return metrics


def numbered(study: Study) -> OneNumber:
    """The best single number of the table's molecules."""
    keys = study.table.keys
    with progress() as bars:
        bar = bars.add_task("looking how far one number goes", total=len(keys))
        return one_number(keys, study.table.labels, study.split.train, study.task, tick=lambda: bars.advance(bar))


def write_predictions(path: Path, table: Table, rows: np.ndarray, ensemble: np.ndarray) -> None:
    """The test part: row number, SMILES, and per target the label, the mean prediction and its spread over seeds."""
    columns: dict[str, Any] = {
        "row": [int(table.rows[row]) for row in rows],
        "smiles": [table.smiles[row] for row in rows],
    }
    used = {"row", "smiles", *table.targets}
    for index, target in enumerate(table.targets):
        label = free_name(f"{target} label", f"{target} label", used) if target in columns else target
        columns[label] = table.labels[rows, index]
        columns[free_name(f"{target} predicted", f"{target} predicted", used)] = ensemble[:, :, index].mean(axis=0)
        if len(ensemble) > 1:
            columns[free_name(f"{target} std", f"{target} std", used)] = ensemble[:, :, index].std(axis=0, ddof=1)
    write_bytes(path, pd.DataFrame(columns).to_csv(index=False, float_format="%.6g").encode())


def write_rejected(path: Path, rejected: Sequence[Rejection]) -> None:
    """Rows that were left out, and why."""
    frame = pd.DataFrame(rejected, columns=["row", "input", "stage", "reason"])
    write_bytes(path, frame.to_csv(index=False).encode())


def show(metrics: dict[str, Any], arms: Sequence[str]) -> None:
    """The result as a small table on the terminal, and the verdict in words."""
    grid = Grid("", metrics["metric"].replace("_", "-").upper(), "seeds")
    for title, parts in (("validation", ("valid", "without_teacher_valid")), ("test", ("test", "without_teacher"))):
        for arm, part in zip(arms, parts, strict=False):
            words = f"{title}, {arm}" if len(arms) > 1 else title
            grid.add_row(words, spread(metrics[part]), str(len(metrics[part]["per_seed"])))
    for title, part in ((BOOSTING, "trees"), (TOGETHER, "together")):
        if "test" in metrics.get(part, {}):
            grid.add_row(f"test, {title}", spread(metrics[part]["test"]), str(len(metrics[part]["test"]["per_seed"])))
    one = metrics["one_number"]
    grid.add_row(f"test, one number alone: {one['name']}", spread(one["test"]), "–")
    if "ensemble" in metrics:
        several = len(metrics["test"]["per_seed"])
        grid.add_row(f"test, the model ({several} networks together)", spread(metrics["ensemble"]), "1")
    console.print(grid)
    found = (metrics.get(name) for name in ("difference", "kept"))
    last = (metrics.get("together"), metrics["one_number"])
    for verdict in (*found, metrics.get("trees", {}).get("difference"), *last):
        if verdict and verdict["verdict"]:
            say(verdict["verdict"])
