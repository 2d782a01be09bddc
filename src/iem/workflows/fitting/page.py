"""What the report of a fit is made of."""

import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from iem import artifact
from iem.chem.molecules import parse
from iem.chem.splits import digest
from iem.data.moleculenet import DATASETS
from iem.files import write_bytes
from iem.render.depiction import Depiction
from iem.report.figures import Curve
from iem.report.html import ReportContent, page
from iem.report.text import VIEWS
from iem.workflows.distillation.loop import pictured
from iem.workflows.running.console import as_typed

if TYPE_CHECKING:
    from iem.workflows.fitting.boosting import Boosted
    from iem.workflows.fitting.trainings import Result, Study

TOGETHER = "network and trees together"
PICTURED = 6
"""Molecules whose pictures are shown."""


def write_fit_report(
    path: Path,
    study: "Study",
    results: Sequence["Result"],
    metrics: dict[str, Any],
    settings: dict[str, Any],
    notes: Sequence[str],
    members: np.ndarray,
    boosted: "Boosted | None",
) -> None:
    """Write ``report.html``.

    Args:
        path: of the file.
        study: table, split and teacher.
        results: all trainings.
        metrics: what ``metrics.json`` holds.
        settings: what ``run.json`` holds.
        notes: of each training molecule, how it was drawn or why not.
        members: what the model predicts for the test part, float (seeds, molecules, targets).
        boosted: the model without a graph network, if there is one.
    """
    table, split = study.table, study.split
    arms: dict[str, Any] = {}
    for result in results:
        arms.setdefault(result.arm, []).append(result)
    main, *others = arms
    summaries = {main: {"test": metrics["test"], "valid": metrics["valid"]}}
    for arm in others:
        summaries[arm] = {"test": metrics["without_teacher"], "valid": metrics["without_teacher_valid"]}
    predictions = {arm: np.mean([result.outputs for result in some], axis=0) for arm, some in arms.items()}
    standing, predicts = [], metrics.get("kept", {}).get("arm", main)
    if "kept" in metrics:
        standing.append(metrics["kept"]["verdict"])
    if boosted:
        name = metrics["trees"]["name"]
        summaries[name], predictions[name] = metrics["trees"], boosted.opinions["test"]
        standing.append(metrics["trees"]["difference"]["verdict"])
    if "together" in metrics:
        standing.append(metrics["together"]["verdict"])
        if metrics["together"]["joined"]:
            predicts = TOGETHER
            summaries[TOGETHER], predictions[TOGETHER] = metrics["together"], members.mean(axis=0)
    standing.append(metrics["one_number"]["verdict"])
    dataset = DATASETS.get(table.name)
    digests = {"table": settings["table"], "split": digest(split)}
    if study.guide is not None:
        digests["teacher"] = study.guide.teacher.card["digest"][:16]
    content = ReportContent(
        title=table.name,
        command=as_typed("iem.fit(…)"),
        task="classification" if table.task == "classification" else "regression",
        metric=metrics["metric"],
        targets=table.targets,
        units=dict.fromkeys(table.targets, dataset.unit or "") if dataset else {},
        arms=summaries,
        difference=metrics.get("difference"),
        predicts=predicts,
        one_number=metrics["one_number"],
        standing=[sentence for sentence in standing if sentence],
        aid=study.aid * study.helped,
        lessons=lessons(study),
        rows=metrics["rows"],
        notes=table.notes,
        rejected=table.rejected,
        statuses=dict(Counter(notes).most_common()),
        labels=table.labels,
        parts=split._asdict(),
        split=settings["split"],
        digest=digest(split),
        predictions=predictions,
        curves=[Curve(result.arm, result.seed, result.curve) for result in results],
        pictures=pictures(study),
        settings=settings,
        versions=artifact.versions(),
        digests=digests,
    )
    write_bytes(path, page(content).encode())


def lessons(study: "Study") -> list[str]:
    """What the student learned from besides labels, in sentences."""
    recipe, found = study.recipe, []
    if study.start is not None:
        found.append(f"It begins, with a teacher or without, {study.start}.")
    if study.aid and not study.helped:
        found.append(f"The {study.aid} have no weight (λ_KE {recipe.ke:g}, λ_TE {recipe.te:g}): only labels teach it.")
    elif study.guide is not None:
        found.append(
            f"A teacher was shown {VIEWS[study.guide.view]}; its weights are λ_KE {recipe.ke} and λ_TE {recipe.te}."
        )
        if study.fraction < 1:
            share = f"{study.fraction:.4g} of the different molecules to learn from"
            found.append(f"Pictures of {share} were used; each seed draws which.")
    elif study.aid:
        found.append(
            f"No picture was used: the student was asked the prior questions ({', '.join(study.molecules.answers)}), "
            f"which the molecules themselves answer, as further tasks of weight {recipe.ke}."
        )
    if study.unlabelled:
        found.append(str(study.unlabelled))
    return found


def pictures(study: "Study") -> list[tuple[bytes, str]]:
    """Some training molecules: a strip of the depiction and, if it saw others, the pictures that the teacher saw."""
    if study.guide is None or not study.helped:
        return []
    strips = []
    seen = pictured(study.molecules, study.split.train)
    for row in seen[np.linspace(0, len(seen) - 1, min(PICTURED, len(seen))).astype(int)]:
        key = study.table.keys[row]
        drawn = study.guide.artist(key, study.table.geometries.get(key))
        if drawn.pictures is None:
            continue
        strip = list(drawn.pictures)
        if study.guide.view != "2d":  # whose only picture it is
            strip.insert(0, Depiction(drawn.pictures.shape[1])(parse(key)))
        buffer = io.BytesIO()
        Image.fromarray(np.concatenate(strip, axis=1)).save(buffer, "PNG", optimize=True)
        strips.append((buffer.getvalue(), f"{study.table.smiles[row]} ({drawn.note})"))
    return strips
