"""Figures of a fit: what it learned, how well it predicts, and what the labels are."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from iem.report.style import COLOURS, INK, grid, legend, short, styled, svg
from iem.report.text import METRIC_NAMES, number

PANELS = 9
"""Most targets that get a panel each; what holds of so many can be seen, and a report stays readable."""


class Curve(NamedTuple):
    """How one training went."""

    arm: str
    seed: int
    epochs: Sequence[Mapping[str, float]]
    """Per epoch ``epoch`` (from 1), ``task`` (training loss L_T of eq. 7) and ``valid`` (validation score)."""


def learning_curves(curves: Sequence[Curve], metric: str) -> str:
    """Training loss and validation score by epoch, one line per training; a dot where the kept weights are from."""
    larger = metric == "roc_auc"
    with styled("learning"):
        figure = Figure(figsize=(7.4, 2.8))
        left, right = figure.subplots(1, 2)
        colour = dict(zip(dict.fromkeys(curve.arm for curve in curves), COLOURS, strict=False))
        for arm, shade in colour.items():
            for position, curve in enumerate([curve for curve in curves if curve.arm == arm and curve.epochs]):
                epochs, loss, valid = (
                    np.array([point[name] for point in curve.epochs]) for name in ("epoch", "task", "valid")
                )
                best = int(np.argmax(valid) if larger else np.argmin(valid))
                line = {"color": shade, "alpha": 0.8, "label": arm if position == 0 else None}
                left.plot(epochs, loss, **line)
                right.plot(epochs, valid, **line)
                right.plot(epochs[best], valid[best], "o", color=shade, markersize=4)
        left.set(title="Training loss", xlabel="epoch", ylim=(0, None))
        right.set(title=f"Validation {METRIC_NAMES[metric]}", xlabel="epoch")
        for axes in (left, right):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        legend(left)
        return svg(figure)


def _roc(labels: np.ndarray, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """False and true positive rates; None where a class is missing."""
    from sklearn.metrics import roc_curve

    known = ~np.isnan(labels)
    if len(np.unique(labels[known])) < 2:
        return None
    return roc_curve(labels[known], outputs[known])[:2]


def roc_curves(labels: np.ndarray, outputs: Mapping[str, np.ndarray]) -> str:
    """ROC curve of each arm; over several targets the mean curve, with those of the targets faintly behind it.

    Args:
        labels: 0 or 1, float (molecules, targets), NaN where missing.
        outputs: for each arm the probabilities, of the same shape.
    """
    steps = np.linspace(0, 1, 201)
    with styled("roc"):
        figure = Figure(figsize=(4.2, 3.9))
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=INK, alpha=0.35, linewidth=0.8, linestyle=(0, (4, 3)))
        for shade, (arm, predicted) in zip(COLOURS, outputs.items(), strict=False):
            curves = [curve for pair in zip(labels.T, predicted.T, strict=True) if (curve := _roc(*pair)) is not None]
            if len(curves) == 1:
                axes.plot(*curves[0], color=shade, label=arm)
            elif curves:
                for false, true in curves if len(curves) <= 30 else []:
                    axes.plot(false, true, color=shade, alpha=0.18, linewidth=0.7)
                axes.plot(
                    steps, np.mean([np.interp(steps, *curve) for curve in curves], axis=0), color=shade, label=arm
                )
        axes.set(
            xlabel="false positive rate",
            ylabel="true positive rate",
            aspect="equal",
            xlim=(-0.01, 1.01),
            ylim=(-0.01, 1.01),
        )
        legend(axes, loc="lower right")
        return svg(figure)


def target_scores(per_target: Mapping[str, Mapping[str, Mapping[str, Any]]], metric: str) -> str:
    """The test score of every target as a dot with its spread over seeds, best target on top.

    Args:
        per_target: for each arm the ``per_target`` of its summary.
        metric: ``roc_auc`` or ``rmse``.
    """
    first = next(iter(per_target.values()))
    scored = [name for name, part in first.items() if part["mean"] is not None]
    order = sorted(scored, key=lambda name: first[name]["mean"], reverse=metric != "roc_auc")
    named = len(order) <= 60
    beside = sum(len(arm) + 6 for arm in per_target) <= 80  # the names of the arms fit on one line of the figure
    rows = 1 if beside else len(per_target)
    with styled("targets"):
        figure = Figure(figsize=(6.4, 0.9 + 0.2 * rows + 0.19 * len(order) if named else 4.5))
        axes = figure.subplots()
        for shift, shade, (arm, parts) in zip((0.0, -0.25, -0.5), COLOURS, per_target.items(), strict=False):
            means = [np.nan if parts[name]["mean"] is None else parts[name]["mean"] for name in order]
            spreads = [parts[name]["std"] or 0 for name in order]
            axes.errorbar(
                means,
                np.arange(len(order)) + shift,
                xerr=spreads if named else None,
                fmt="o",
                markersize=4 if named else 1.6,
                linewidth=1,
                color=shade,
                label=arm,
            )
        if named:
            axes.set_yticks(range(len(order)), [short(name, 45) for name in order])
        else:
            axes.set(yticks=[], ylabel=f"{len(order)} targets, best on top")
        if metric == "roc_auc":
            axes.axvline(0.5, color=INK, alpha=0.35, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.set(xlabel=f"test {METRIC_NAMES[metric]}", ylim=(-1, len(order) - 0.3))
        if len(per_target) > 1:  # across the whole figure: beside long names of targets the axes are narrow
            figure.legend(loc="outside upper left", ncols=len(per_target) if beside else 1)
        return svg(figure)


def parity(labels: np.ndarray, outputs: np.ndarray, targets: Sequence[str], units: Mapping[str, str]) -> str:
    """Predicted against measured, one panel per target (the first ``PANELS``), on the line where both are equal.

    Args:
        labels: float (molecules, targets) in the unit of the target, NaN where missing.
        outputs: predictions, of the same shape.
        targets: names of the columns.
        units: by target, where known.
    """
    with styled("parity"):
        figure, panels = grid(min(len(targets), PANELS), height=3.9 if len(targets) == 1 else 2.6)
        for axes, name, truth, output in zip(panels, targets, labels.T, outputs.T, strict=False):
            known = ~np.isnan(truth)
            truth, output = truth[known], output[known]
            unit = f" ({units[name]})" if units.get(name) else ""
            size = 24 if len(truth) < 200 else 11
            axes.scatter(
                truth, output, s=size, color=COLOURS[0], alpha=0.55, linewidths=0, rasterized=len(truth) > 1_500
            )
            if len(truth):
                low, high = float(min(truth.min(), output.min())), float(max(truth.max(), output.max()))
                pad = 0.04 * (high - low) or 1.0
                axes.plot([low - pad, high + pad], [low - pad, high + pad], color=INK, alpha=0.45, linewidth=0.8)
                axes.set(xlim=(low - pad, high + pad), ylim=(low - pad, high + pad))
                rmse = float(np.sqrt(np.mean((truth - output) ** 2)))
                axes.text(0.04, 0.95, f"RMSE {number(rmse)}", transform=axes.transAxes, va="top")
            axes.set(title=short(name), xlabel=f"measured{unit}", ylabel=f"predicted{unit}")
            axes.set_aspect("equal")
        return svg(figure)


def label_distributions(
    parts: Mapping[str, np.ndarray], targets: Sequence[str], units: Mapping[str, str], *, whole: str = "the part"
) -> str:
    """How the labels of each part spread, one panel per target (the first ``PANELS``).

    Args:
        parts: for each part of the split its labels, float (molecules, targets), NaN where missing.
        targets: names of the columns.
        units: by target, where known.
        whole: what the shares are shares of.
    """
    with styled("labels"):
        figure, panels = grid(min(len(targets), PANELS), height=2.6 if len(targets) == 1 else 2.2)
        for position, (axes, name) in enumerate(zip(panels, targets, strict=False)):
            columns = {part: labels[:, position] for part, labels in parts.items()}
            columns = {part: column[~np.isnan(column)] for part, column in columns.items()}
            together = np.concatenate(list(columns.values()))
            bins = np.histogram_bin_edges(together, bins=min(24, max(8, len(together) // 25)))
            for shade, (part, column) in zip(COLOURS, columns.items(), strict=False):
                if len(column):
                    weights = np.full(len(column), 100 / len(column))
                    axes.hist(column, bins.tolist(), weights=weights, histtype="step", color=shade, label=part)
            axes.set(title=short(name), xlabel=units.get(name) or "value", ylabel=f"% of {whole}")
        legend(panels[0])
        return svg(figure)


def differences(
    taught: Sequence[float | None],
    plain: Sequence[float | None],
    interval: Sequence[float] | None,
    metric: str,
    arm: str,
) -> str:
    """Each seed's change of the test score through help, their mean, and its 95 % confidence interval.

    Args:
        taught: test score of each seed with help.
        plain: without it, same seeds in the same order.
        interval: low and high end, if there is one.
        metric: tells which side is the better one.
        arm: name of the trainings with help.
    """
    pairs = zip(taught, plain, strict=True)
    gaps = [one - other for one, other in pairs if one is not None and other is not None]
    with styled("difference"):
        figure = Figure(figsize=(5.6, 1.5))
        axes = figure.subplots()
        axes.axvline(0, color=INK, alpha=0.5, linewidth=0.8)
        axes.plot(gaps, [1] * len(gaps), "o", color=COLOURS[0], markersize=6, alpha=0.7)
        if gaps:
            axes.plot(np.mean(gaps), 0, "D", color=COLOURS[0], markersize=6)
        if interval is not None:
            axes.plot(interval, [0, 0], color=COLOURS[0], linewidth=2.2)
        better = "right" if metric == "roc_auc" else "left"
        axes.set_yticks([0, 1], ["mean, 95 % CI", "seeds" if len(gaps) > 1 else "seed"])
        axes.set(
            ylim=(-0.6, 1.6),
            xlabel=f"change of test {METRIC_NAMES[metric]} {arm} ({better} of 0 is better)",
        )
        axes.grid(visible=False, axis="y")
        reach = max([abs(value) for value in [*gaps, *(interval or [])]], default=1.0) * 1.15 or 1.0
        axes.set_xlim(-reach, reach)
        return svg(figure)
