"""Figures of a report as SVG text: transparent, in the colours of the page they are put into."""

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from iem.report.text import METRIC_NAMES, number

COLOURS = ("#0d9488", "#d97706", "#7c6fd0", "#c2557a")
"""One per arm or part, in order; told apart on white and on black, and by people who cannot see red or green."""

INK = "#010203"
"""Stands for the page's text colour, and is replaced by it in the finished SVG."""

PANELS = 9
"""Most targets that get a panel each; what holds of so many can be seen, and a report stays readable."""

STYLE: dict[Any, Any] = {
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": "medium",
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "grid.alpha": 0.12,
    "grid.color": INK,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "savefig.transparent": True,
    "svg.fonttype": "none",  # real text: it can be searched and read aloud, and takes the page's font
    "text.color": INK,
    "text.parse_math": False,  # a $ in a column name is a dollar
    "xtick.color": INK,
    "ytick.color": INK,
}


class Curve(NamedTuple):
    """How one training went."""

    arm: str
    seed: int
    epochs: Sequence[Mapping[str, float]]
    """Per epoch ``epoch`` (from 1), ``task`` (training loss L_T of eq. 7) and ``valid`` (validation score)."""


@contextmanager
def styled(name: str) -> Iterator[None]:
    """The house style; the name keeps the ids of several figures on one page apart."""
    with mpl.rc_context({**STYLE, "svg.hashsalt": name}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the reader's fonts draw it, not ours
        yield


def svg(figure: Figure) -> str:
    """The figure as an ``<svg>`` element."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # the same in every figure, and nothing refers to them
    least = round(54 * figure.get_figwidth())  # points, three quarters: on a phone the letters stay readable
    return text.replace(INK, "currentColor").replace("<svg", f'<svg aria-hidden="true" style="min-width: {least}pt"', 1)


def _grid(panels: int, *, height: float = 2.5) -> tuple[Figure, list[Axes]]:
    """Panels in rows of up to three; one alone is wider."""
    columns = min(panels, 3)
    rows = -(-panels // columns)
    figure = Figure(figsize=(7.4 if columns == 3 else 5.6 if columns == 2 else 4.2, height * rows))
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for spare in axes[panels:]:
        spare.remove()
    return figure, axes[:panels]


def short(name: str, most: int = 30) -> str:
    """A column name that leaves room for its figure; the tables have it whole."""
    return name if len(name) <= most else name[: most - 1] + "…"


def _legend(axes: Axes, **options: Any) -> None:
    if len(axes.get_legend_handles_labels()[1]) > 1:
        axes.legend(**options)


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
        _legend(left)
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
        _legend(axes, loc="lower right")
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
        figure, panels = _grid(min(len(targets), PANELS), height=3.9 if len(targets) == 1 else 2.6)
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
        figure, panels = _grid(min(len(targets), PANELS), height=2.6 if len(targets) == 1 else 2.2)
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
        _legend(panels[0])
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


def atom_counts(atoms: Mapping[str, np.ndarray]) -> str:
    """How large molecules are, and at which sizes each kind of coordinates was found.

    Args:
        atoms: for each kind the molecules by their number of heavy atoms, which is the index; all of one length.
    """
    total = np.sum(list(atoms.values()), axis=0)
    last = int(np.searchsorted(np.cumsum(total), 0.995 * total.sum())) + 1  # a few giants would leave no room
    with styled("atoms"):
        figure = Figure(figsize=(7.4, 3.2))
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
        below, shares_below = np.zeros(last + 1), np.zeros(last + 1)
        for shade, (kind, counts) in zip(COLOURS, atoms.items(), strict=False):
            some = counts[: last + 1]
            below = below[: len(some)]
            shares = np.divide(100 * some, total[: len(some)], out=np.zeros(len(some)), where=total[: len(some)] > 0)
            upper.bar(np.arange(len(some)), some, bottom=below, width=1, color=shade, label=kind)
            lower.bar(np.arange(len(some)), shares, bottom=shares_below[: len(some)], width=1, color=shade)
            below, shares_below = below + some, shares_below[: len(some)] + shares
        upper.set(ylabel="molecules")
        lower.set(xlabel="heavy atoms", ylabel="% of a size", ylim=(0, 100))
        upper.xaxis.set_major_locator(MaxNLocator(integer=True))
        _legend(upper, loc="upper right")
        return svg(figure)


def element_shares(shares: Mapping[str, float]) -> str:
    """Which elements molecules contain, on a logarithmic scale.

    Args:
        shares: by symbol, of all molecules, most frequent first; at most some thirty.
    """
    with styled("elements"):
        figure = Figure(figsize=(7.4, 2.4))
        axes = figure.subplots()
        axes.bar(list(shares), [100 * share for share in shares.values()], color=COLOURS[0], width=0.7)
        axes.set(ylabel="% of molecules with it", yscale="log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.grid(visible=False, axis="x")
        axes.margins(x=0.01)
        return svg(figure)


def teacher_losses(curve: Sequence[Mapping[str, float]], best: float) -> str:
    """How a teacher learned: all five tasks together, the contrast, and the error of each prior from either picture.

    Args:
        curve: per round ``visits``, and mean losses named ``train/…`` and ``valid/…``: ``loss``, ``contrast``, and
            ``2d_…`` and ``3d_…`` for every prior.
        best: visits after which the weights that were kept had been reached.
    """
    priors = [name.removeprefix("valid/3d_") for name in curve[0] if name.startswith("valid/3d_")]
    panels = {"all tasks": {"": "loss"}, "contrast": {"": "contrast"}}
    panels |= {name: {"3D": f"3d_{name}", "2D": f"2d_{name}"} for name in priors}
    visits = np.array([point["visits"] for point in curve]) / 1000
    with styled("teacher"):
        figure, axes = _grid(len(panels), height=2.1)
        for place, (title, lines) in zip(axes, panels.items(), strict=True):
            for shade, (picture, name) in zip(COLOURS, lines.items(), strict=False):
                for part, style in (("valid", "-"), ("train", (0, (2, 1.5)))):
                    label = picture if part == "valid" else None
                    if not picture:
                        label = "held out" if part == "valid" else "training"
                    losses = [point[f"{part}/{name}"] for point in curve]
                    few = "." if len(curve) < 20 else None
                    place.plot(visits, losses, color=shade, linestyle=style, marker=few, markersize=4, label=label)
            place.axvline(best / 1000, color=INK, alpha=0.35, linewidth=0.8, linestyle=(0, (4, 3)))
            place.set(title=title)
            place.xaxis.set_major_locator(MaxNLocator(nbins=4))
        for place in axes[-min(len(axes), 3) :]:
            place.set(xlabel="molecules seen, in thousands")
        for place in axes[0], axes[2]:
            _legend(place)
        return svg(figure)
