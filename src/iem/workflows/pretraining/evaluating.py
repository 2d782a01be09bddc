"""What a teacher knows: its answers to the priors, its sense of which pictures belong together, linear probes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.table import Table as Grid
from torch import nn
from torch.utils.data import DataLoader

from iem.artifact import read_card
from iem.chem.molecules import parse
from iem.chem.priors import properties
from iem.chem.splits import scaffold_split
from iem.data.corpus import Corpus
from iem.data.datasets import PictureDataset
from iem.data.tables import Table, read_table
from iem.files import check_place, write_json
from iem.nn.encoders import ImageEncoder
from iem.nn.heads import PriorHead, prior_heads
from iem.nn.teacher import Teacher, find, load_teacher
from iem.records import Split
from iem.render.ballstick import BallStick
from iem.render.depiction import Depiction
from iem.render.views import rotations
from iem.workflows.measures.baselines import fingerprints, probe_outputs
from iem.workflows.measures.metrics import METRICS, mean_score, scores
from iem.workflows.pictures.embed import ImageTeacher
from iem.workflows.pretraining.questions import FLAT, flat_answers
from iem.workflows.pretraining.run import held_out_part
from iem.workflows.running.console import console, progress, say

BATCH = 64


def evaluate_teacher(
    name: str, *, corpus: Path | None, tables: Sequence[str], molecules: int, out: Path | None, jobs: int
) -> dict[str, Any]:
    """See ``iem.workflows.evaluate``."""
    folder = find(name)
    if out is not None:
        check_place(out)
    result: dict[str, Any] = {"teacher": read_card(folder, kind="teacher")["digest"]}
    if corpus is not None:
        result["corpus"] = on_corpus(folder, Corpus(corpus), molecules)
        show_corpus(result["corpus"])
    if tables:
        result["probes"] = {table: probe_table(folder, table, jobs) for table in tables}
        show_probes(result["probes"])
    if out is not None:
        write_json(out, result)
    return result


def on_corpus(folder: Path, corpus: Corpus, most: int) -> dict[str, Any]:
    """Priors and retrieval on corpus molecules that the teacher was not trained on.

    Returns:
        ``molecules``; ``priors``: per encoder and prior ``rmse``, ``rmse_of_mean`` (the best constant guess), both over
        all known numbers in their own units, ``r2`` per component (None where it does not vary), and ``r2_mean``;
        ``retrieval``: ``top1`` and ``top5`` of the 3D views among all from the depiction, if there are both encoders.
    """
    card = read_card(folder, kind="teacher")
    chosen = np.arange(len(corpus))
    if card.get("corpus", {}).get("digest") == corpus.digest:
        _, chosen = held_out_part(len(corpus), card["recipe"]["batch_size"], card["recipe"]["seed"])
    chosen = chosen[:most]
    pictures = PictureDataset(
        corpus,
        renderer=BallStick(card["size"]),
        depiction=Depiction(card["size"]),
        rotations=rotations(card["view_set"]),
        priors=tuple(card["priors"]),
    )
    teachers = {view: load_teacher(folder, view=view) for view in card["views"]}
    features: dict[str, list[torch.Tensor]] = {view: [] for view in teachers}
    answers: dict[str, list[torch.Tensor]] = {}
    with progress() as bars:
        bar = bars.add_task("showing molecules to the teacher", total=len(chosen))
        for batch in DataLoader(pictures, sampler=[(0, int(index)) for index in chosen], batch_size=BATCH):
            seen = {"2d": batch["flat"][:, None], "3d": batch["views"]}
            for view, teacher in teachers.items():
                features[view].append(teacher(seen[view]))
            for key in (*card["priors"], *(f"{prior}_known" for prior in card["priors"])):
                answers.setdefault(key, []).append(batch[key])
            bars.advance(bar, len(batch["flat"]))
    joined = {view: torch.cat(some) for view, some in features.items()}
    truths = {key: torch.cat(some).numpy() for key, some in answers.items()}
    result: dict[str, Any] = {"molecules": len(chosen), "priors": {}}
    for view, teacher in teachers.items():
        result["priors"][view] = {
            prior: prior_errors(_answer(teacher.heads[prior], joined[view]), truths[prior], truths[f"{prior}_known"])
            for prior in card["priors"]
        }
    if len(joined) == 2:
        result["retrieval"] = retrieval(joined["2d"].numpy(), joined["3d"].numpy())
    return result


@torch.inference_mode()
def _answer(head: nn.Module, features: torch.Tensor) -> np.ndarray:
    """What a prior head says, in the prior's own units."""
    assert isinstance(head, PriorHead)
    return (head(features) * head.std + head.mean).numpy()


def prior_errors(answers: np.ndarray, truths: np.ndarray, known: np.ndarray) -> dict[str, Any]:
    """Errors of one prior; see ``on_corpus``. All arrays are (molecules, size)."""
    gaps = np.ma.masked_array(answers - truths, ~known)
    spread = np.ma.masked_array(truths, ~known)
    spread = spread - spread.mean(axis=0)
    missed, varied = (gaps**2).sum(axis=0).filled(0), (spread**2).sum(axis=0).filled(0)
    r2 = [None if v == 0 else float(1 - m / v) for m, v in zip(missed, varied, strict=True)]
    present = [value for value in r2 if value is not None]
    return {
        "rmse": float(np.sqrt((gaps**2).mean())) if known.any() else None,
        "rmse_of_mean": float(np.sqrt((spread**2).mean())) if known.any() else None,
        "r2": r2,
        "r2_mean": float(np.mean(present)) if present else None,
    }


def retrieval(flat: np.ndarray, spatial: np.ndarray) -> dict[str, float]:
    """Share of molecules whose 3D features are the nearest (among the five nearest) to their 2D features, by cosine."""
    flat = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    spatial = spatial / np.linalg.norm(spatial, axis=1, keepdims=True)
    similar = flat @ spatial.T
    rank = (similar > np.diag(similar)[:, None]).sum(axis=1)
    return {"top1": float((rank < 1).mean()), "top5": float((rank < 5).mean()), "of": float(len(flat))}


def probe_table(folder: Path, name: str, jobs: int) -> dict[str, Any]:
    """What a teacher knows of one table.

    Returns:
        ``metric``; ``molecules``, those with a picture; ``test``: scores of linear probes under the scaffold split, per
        representation; ``priors``: errors of the 3D encoder's answers to the questions that need no coordinates, over
        all molecules with a picture, as in ``on_corpus``.
    """
    table = read_table(name)
    split = scaffold_split(table.keys)
    task = table.task or "classification"
    teacher = load_teacher(folder)
    seen, _ = ImageTeacher(teacher).features(table.keys, given=table.geometries, jobs=jobs)
    naive, _ = ImageTeacher(untrained(teacher.card)).features(table.keys, given=table.geometries, jobs=jobs)
    drawn = ~np.isnan(seen).any(axis=1)  # what has no picture is left out for all
    split = Split(*(rows[drawn[rows]] for rows in split))
    counts = fingerprints(table.keys)
    representations: dict[str, np.ndarray] = {
        "teacher": seen,
        "untrained": naive,
        "descriptors": np.nan_to_num(np.stack([properties(parse(key)) for key in table.keys])),
        "ecfp": counts,
        "teacher + ecfp": np.hstack([seen, counts]),
    }
    return {
        "metric": METRICS[task],
        "molecules": int(drawn.sum()),
        "priors": priors_of(teacher, [key for key, has in zip(table.keys, drawn, strict=True) if has], seen[drawn]),
        "test": {kind: probe(values, table, split, task) for kind, values in representations.items()},
    }


def priors_of(teacher: Teacher, keys: Sequence[str], features: np.ndarray) -> dict[str, Any]:
    """Errors of a teacher's answers about molecules, from its features, where these need no coordinates; by prior."""
    truths = flat_answers(keys, [name for name in teacher.heads if name in FLAT])
    return {
        name: prior_errors(_answer(teacher.heads[name], torch.from_numpy(features)), values, known)
        for name, (values, known) in truths.items()
    }


def untrained(card: Mapping[str, Any]) -> Teacher:
    """A teacher of the same shape that was never trained."""
    torch.manual_seed(0)
    encoder = ImageEncoder(card["architecture"])
    return Teacher(encoder, prior_heads(encoder.dim, card["priors"]), {**card, "digest": "untrained 0"})


def probe(values: np.ndarray, table: Table, split: Split, task: str) -> float | None:
    """Test score of the linear probe; None where there is none. Molecules of no part may have no values."""
    outputs = probe_outputs(np.nan_to_num(values), table.labels, split, task)
    score = mean_score(scores(task, table.labels[split.test], outputs[split.test]))
    return None if np.isnan(score) else score


def show_corpus(figures: Mapping[str, Any]) -> None:
    """The priors and the retrieval on the terminal."""
    show_errors("encoder", figures["priors"])
    if "retrieval" in figures:
        found = figures["retrieval"]
        among = f"3D views found from the depiction among {found['of']:.0f}"
        say(f"{among}: {found['top1']:.1%}, in five {found['top5']:.1%}")


def show_errors(of: str, errors: Mapping[str, Mapping[str, Any]]) -> None:
    """Errors of priors on the terminal; by encoder or table, then by prior."""
    grid = Grid("prior", of, "RMSE", "RMSE of the mean", "R²")
    for name, priors in errors.items():
        for prior, error in priors.items():
            figures = (error[figure] for figure in ("rmse", "rmse_of_mean", "r2_mean"))
            grid.add_row(prior, name, *("–" if figure is None else f"{figure:.3f}" for figure in figures))
    console.print(grid)


def show_probes(probes: Mapping[str, Any]) -> None:
    """Test scores of the probes, and the priors of these molecules, on the terminal."""
    kinds = list(next(iter(probes.values()))["test"])
    grid = Grid("table", "metric", *kinds)
    for table, figures in probes.items():
        cells = ("–" if score is None else f"{score:.3f}" for score in figures["test"].values())
        grid.add_row(table, figures["metric"], *cells)
    console.print(grid)
    show_errors("table, 3D", {table: figures["priors"] for table, figures in probes.items()})
