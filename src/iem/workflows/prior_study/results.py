"""What the study of priors says: errors beside the paper's Table S1, correlations beside its Figure 1(a)."""

from collections.abc import Mapping, Sequence
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np

from iem.chem.priors import PAPER
from iem.data.published import FIGURE1A, TABLE_S1
from iem.files import write_bytes, write_json
from iem.report.text import number

ORDER = ("geometry", "atom", "bond", "property")
"""The columns of Table S1."""
DIGITS = {"geometry": 5, "atom": 3, "bond": 3, "property": 3}
"""Behind the point, as in Table S1, whose errors of the geometry differ in the last ones."""
PAIRS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "EGNN 2D – EGNN 3D": (("egnn-2d",), ("egnn-3d",)),
    "ResNet 2D – ResNet 3D": (("resnet-2d",), ("resnet-3d",)),
    "ResNet – EGNN": (("resnet-2d", "resnet-3d"), ("egnn-2d", "egnn-3d")),
}
"""Of Figure 1(a); the last is the mean over all four pairs."""


def pearson(one: np.ndarray, two: np.ndarray, counts: np.ndarray) -> float | None:
    """Mean over the components of Pearson's correlation between two sets of answers.

    Args:
        one: answers of a model, (molecules, size).
        two: of another one.
        counts: bool, the same shape: which of them count.

    Returns:
        None where no component has a correlation: three molecules that count, between which both models differ.
    """
    found = []
    for first, second, rows in zip(one.T, two.T, counts.T, strict=True):
        a, b = first[rows].astype(np.float64), second[rows].astype(np.float64)
        if len(a) < 3 or not (np.isfinite(a).all() and np.isfinite(b).all()):
            continue
        a, b = a - a.mean(), b - b.mean()
        size = np.sqrt((a @ a) * (b @ b))
        if size > 1e-12 * len(a):
            found.append(a @ b / size)
    return float(np.mean(found)) if found else None


def asked(truths: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Where an answer counts for a correlation: it is known, and not the same for all molecules.

    Two models that never saw an element differ in nothing but noise when they say how many atoms of it there are.
    """
    masked = np.ma.masked_array(truths, ~known)
    varies = masked.max(axis=0).filled(0) > masked.min(axis=0).filled(0)
    return known & varies


def correlations(
    one: Mapping[str, np.ndarray],
    two: Mapping[str, np.ndarray],
    truths: Mapping[str, np.ndarray],
    known: Mapping[str, np.ndarray],
) -> dict[str, dict[str, float | None]]:
    """Of two models over the test part: ``answers`` as in Figure 1(a), and ``errors``, what is left of an answer when
    the truth is taken away, because two models that are right agree. Per prior, and ``mean`` over the priors.
    """
    counts = {name: asked(truths[name], known[name]) for name in PAPER}
    found: dict[str, dict[str, float | None]] = {
        "answers": {name: pearson(one[name], two[name], counts[name]) for name in PAPER},
        "errors": {name: pearson(one[name] - truths[name], two[name] - truths[name], counts[name]) for name in PAPER},
    }
    return {what: values | {"mean": mean_of(list(values.values()))} for what, values in found.items()}


def mean_of(values: Sequence[float | None]) -> float | None:
    """Mean over what there is."""
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None


def study_of(
    answers: Mapping[str, Mapping[str, np.ndarray]],
    truths: Mapping[str, np.ndarray],
    known: Mapping[str, np.ndarray],
    means: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """Every figure of the study.

    Args:
        answers: by model and prior, of the test part, (molecules, size).
        truths: by prior, of the test part.
        known: where they are.
        means: by prior, the mean over the part to learn from: the best constant guess.
    """
    rmse: dict[str, dict[str, float | None]] = {}
    constant = {name: np.broadcast_to(means[name], truths[name].shape) for name in PAPER}
    for model, given in {**answers, "mean": constant}.items():
        gaps = {name: (given[name] - truths[name])[known[name]] for name in PAPER}
        figures = {name: float(np.sqrt(np.mean(gap**2))) for name, gap in gaps.items()}
        rmse[model] = {name: value if np.isfinite(value) else None for name, value in figures.items()}
    pairs = {
        f"{one} {two}": correlations(answers[one], answers[two], truths, known) for one, two in combinations(answers, 2)
    }
    groups: dict[str, Any] = {}
    for title, (left, right) in PAIRS.items():
        members = [pairs.get(f"{one} {two}") or pairs.get(f"{two} {one}") for one, two in product(left, right)]
        if all(members):
            groups[title] = {
                what: {name: mean_of([member[what][name] for member in members if member]) for name in (*PAPER, "mean")}
                for what in ("answers", "errors")
            }
    return {"molecules": len(truths[PAPER[0]]), "rmse": rmse, "correlation": groups, "pairs": pairs}


def cell(prior: str, rmse: float | None) -> str:
    """An error for the table."""
    return "–" if rmse is None else f"{rmse:.{DIGITS[prior]}f}"


def page(study: Mapping[str, Any], about: Mapping[str, Mapping[str, Any]]) -> str:
    """Both tables in Markdown.

    Args:
        study: as ``study_of`` gives it.
        about: the JSON of every finished model, by name.
    """
    recipe = next(iter(about.values()))["settings"]
    lines = [
        "# Which priors can be seen",
        "",
        f"{recipe['molecules']:,} molecules, {study['molecules']:,} of them to test on; {recipe['epochs']} epochs, "
        f"batch {recipe['batch_size']}, learning rate {recipe['lr']:g}, width {recipe['width']}, pictures of "
        f"{recipe['size']}²; seed {recipe['seed']}.",
        "",
        "RMSE on the test part, over all known numbers of a prior in its own units; in brackets the paper's, on other "
        "molecules.",
        "",
        f"| model | {' | '.join(ORDER)} |",
        "|---|--:|--:|--:|--:|",
    ]
    notes = []
    for model, figures in study["rmse"].items():
        title = about[model]["title"] if model in about else "mean of the part to learn from"
        paper = TABLE_S1.get(model, {})
        cells = [cell(name, figures[name]) + (f" ({cell(name, paper[name])})" if paper else "") for name in ORDER]
        lines.append(f"| {title} | {' | '.join(cells)} |")
        if model in about and (epoch := about[model]["diverged_in"]) is not None:
            notes.append(f"{title}: the loss was not a number any more in epoch {epoch}; the best epoch before counts.")
    lines += ["", *notes, ""] if notes else [""]
    if study["correlation"]:
        lines += [
            "Pearson correlation on the test part, the mean over the components of a prior, and over the priors; of "
            "the answers, as the paper's Figure 1(a), and of the errors.",
            "",
            "| pair | of | geometry | atom | bond | property | mean | paper |",
            "|---|---|--:|--:|--:|--:|--:|--:|",
        ]
        for title, kinds in study["correlation"].items():
            for what, values in kinds.items():
                paper_value = number(FIGURE1A[title]) if what == "answers" else ""
                cells = [number(values[name]) for name in (*ORDER, "mean")]
                lines.append(f"| {title} | {what} | {' | '.join(cells)} | {paper_value} |")
        lines.append("")
    return "\n".join(lines)


def write_results(
    out: Path,
    about: Mapping[str, Mapping[str, Any]],
    *,
    truths: Mapping[str, np.ndarray],
    known: Mapping[str, np.ndarray],
    means: Mapping[str, np.ndarray],
) -> None:
    """``results.json`` and ``results.md`` of some models of a folder, whose answers lie in ``models/<name>.npz``.

    Args:
        out: folder of the study.
        about: the JSON of each model, by name.
        truths: as in ``study_of``.
        known: as in ``study_of``.
        means: as in ``study_of``.
    """
    answers = {}
    for name in about:
        with np.load(out / "models" / f"{name}.npz", allow_pickle=False) as stored:
            answers[name] = {prior: stored[prior] for prior in PAPER}
    study = study_of(answers, truths, known, means)
    paper = {"rmse": TABLE_S1, "correlation": FIGURE1A}
    write_json(out / "results.json", study | {"paper": paper, "models": about})
    write_bytes(out / "results.md", page(study, about).encode())
