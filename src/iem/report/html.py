"""The report of a fit: one HTML file with everything inside."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from iem.records import Rejection
from iem.report import figures, text
from iem.report.figures import Curve

REJECTED_SHOWN = 100
TARGETS_OPEN = 30
"""A longer table of targets starts folded."""


@dataclass(frozen=True, kw_only=True)
class ReportContent:
    """Everything a report is made of; plain types and arrays only."""

    title: str
    """Name of the table."""
    command: str
    """What makes this again, as typed."""
    task: Literal["classification", "regression"]
    metric: str
    """``roc_auc`` or ``rmse``."""
    targets: Sequence[str]
    units: Mapping[str, str]
    """By target; a target without a known unit may be left out."""
    arms: Mapping[str, Mapping[str, Any]]
    """For each arm (``with teacher`` and ``without teacher``, say), main one first: ``test`` and ``valid``, summaries
    as in ``metrics.json``."""
    difference: Mapping[str, Any] | None
    """As in ``metrics.json``; None if nothing was compared."""
    predicts: str
    """The arm whose predictions are the model's."""
    one_number: Mapping[str, Any]
    """As in ``metrics.json``: how far the best single number goes."""
    standing: Sequence[str]
    """How the network stands to a model without one, and who predicts; sentences."""
    rows: Mapping[str, int]
    """``read``, ``used``, ``rejected``."""
    notes: Sequence[str]
    """What was noticed while reading: duplicates, conflicting labels, the columns chosen."""
    rejected: Sequence[Rejection]
    aid: str
    """What the student had besides labels: ``pictures``, ``prior questions``, or nothing."""
    lessons: Sequence[str]
    """Sentences on what it learned from besides labels."""
    statuses: Mapping[str, int]
    """Molecules by conformer status, or by the reason why there is no picture; empty without a teacher."""
    labels: np.ndarray
    """Of all used molecules, float (molecules, targets), NaN where missing."""
    parts: Mapping[str, np.ndarray]
    """``train``, ``valid`` and ``test``: their positions in ``labels``."""
    split: str
    """How the parts were chosen."""
    digest: str
    """Of the split."""
    predictions: Mapping[str, np.ndarray]
    """For each arm the mean prediction over seeds for the test part, float (test molecules, targets)."""
    curves: Sequence[Curve]
    pictures: Sequence[tuple[bytes, str]]
    """PNG and caption."""
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    digests: Mapping[str, str]
    """By what they are of: weights, teacher, table."""


def page(content: ReportContent) -> str:
    """The finished HTML: no request leaves it, and nothing of the user's is taken for markup."""
    main = next(iter(content.arms))
    units = {content.units.get(name, "") for name in content.targets}
    unit = units.pop() if len(units) == 1 else ""
    tone, verdict = text.verdict(
        content.metric, content.arms[content.predicts]["test"], content.difference, unit=unit, aid=content.aid
    )
    baseline = _baseline(content)
    return filled(
        "report.html.j2",
        content=content,
        main=main,
        metric=text.METRIC_NAMES[content.metric],
        unit=unit,
        tone=tone,
        verdict=verdict,
        doubt=text.doubt(content.metric, content.arms[content.predicts]["test"], baseline),
        baseline=baseline,
        figures=_figures(content),
        target_rows=_target_rows(content),
        targets_open=len(content.targets) <= TARGETS_OPEN,
        rejected=content.rejected[:REJECTED_SHOWN],
        statuses=[(name, text.STATUS_WORDS.get(name), count) for name, count in content.statuses.items()],
        pictures=inline(content.pictures),
    )


def filled(template: str, **values: Any) -> str:
    """A template of this folder with everything in its place."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": text.number, "spread": text.spread}
    return environment.get_template(template).render(plural=text.plural, **values)


def inline(pictures: Sequence[tuple[bytes, str]]) -> list[tuple[str, str]]:
    """PNG and caption, as a page holds them."""
    return [(b64encode(png).decode(), caption) for png, caption in pictures]


def _baseline(content: ReportContent) -> float | None:
    """Regression: the test RMSE of always answering with the mean of the training labels, averaged over targets."""
    if content.task != "regression":
        return None
    train, test = (content.labels[content.parts[part]] for part in ("train", "test"))
    scores = []
    for known, truth in zip(train.T, test.T, strict=True):
        known, truth = known[~np.isnan(known)], truth[~np.isnan(truth)]
        if len(known) and len(truth):
            scores.append(float(np.sqrt(np.mean((truth - known.mean()) ** 2))))
    return float(np.mean(scores)) if scores else None


def _target_rows(content: ReportContent) -> list[dict[str, Any]]:
    """What is known of each target: its labels in the whole table, and its test score in every arm."""
    rows = []
    for name, column in zip(content.targets, content.labels.T, strict=True):
        known = column[~np.isnan(column)]
        if not len(known):
            about = "–"
        elif content.task == "classification":
            about = f"{known.mean():.1%} positive"
        else:
            about = f"{known.min():.4g} to {known.max():.4g} {content.units.get(name, '')}".strip()
        scores = [text.spread(arm["test"]["per_target"][name]) for arm in content.arms.values()]
        rows.append({"name": name, "count": len(known), "about": about, "scores": scores})
    return rows


def _figures(content: ReportContent) -> list[dict[str, Any]]:
    """The figures that this fit calls for, each with a title, a caption and words for those who cannot see it."""
    metric = text.METRIC_NAMES[content.metric]
    test = content.labels[content.parts["test"]]
    main, *others = content.arms
    seeds = len(content.arms[main]["test"]["per_seed"])
    found: list[dict[str, Any]] = []

    def add(title: str, svg: str, caption: str, alt: str) -> None:
        found.append({"title": title, "svg": Markup(svg), "caption": caption, "alt": alt})

    if content.difference is not None and others:
        taught, plain = (content.arms[name]["test"]["per_seed"] for name in (main, others[0]))
        add(
            f"Did the {content.aid} help?",
            figures.differences(taught, plain, content.difference["ci95"], content.metric, main),
            "Round: the change of each seed. Diamond: their mean, with its 95 % confidence interval.",
            content.difference["verdict"],
        )
    summary = "; ".join(f"{name}: test {metric} {text.spread(arm['test'])}" for name, arm in content.arms.items())
    if content.task == "classification":
        several = len(content.targets) > 1
        add(
            "ROC curves",
            figures.roc_curves(test, content.predictions),
            "Test part, mean prediction over seeds. "
            + "Bold: mean over targets; faint: each target. " * several
            + "The dashed line is guessing.",
            f"ROC curves. {summary}.",
        )
    else:
        more = len(content.targets) - figures.PANELS
        add(
            "Predicted and measured",
            figures.parity(test, content.predictions[content.predicts], content.targets, content.units),
            f"Test part, {content.predicts}; on the line both are equal."
            + " The prediction is the mean over seeds, which usually errs less than one alone." * (seeds > 1)
            + f" The first {figures.PANELS} targets; {more} more are in the table." * (more > 0),
            f"Scatter of predicted against measured values. {summary}.",
        )
    if len(content.targets) > 1:
        add(
            "Scores by target",
            figures.target_scores(
                {name: arm["test"]["per_target"] for name, arm in content.arms.items()}, content.metric
            ),
            "Test part; lines are the standard deviation over seeds.",
            "Test score of each target; the numbers are in the table of targets.",
        )
    if content.curves:
        add(
            "Learning curves",
            figures.learning_curves(content.curves, content.metric),
            "One line per training. The dot marks the epoch whose weights were kept.",
            f"Training loss and validation {metric} by epoch for {text.plural(len(content.curves), 'training')}.",
        )
    if content.task == "regression":
        parts = {name: content.labels[rows] for name, rows in content.parts.items()}
        add(
            "Labels",
            figures.label_distributions(parts, content.targets, content.units),
            "How the measured values spread in each part. Parts that differ make the test harder.",
            "Histograms of the labels of the three parts.",
        )
    return found
