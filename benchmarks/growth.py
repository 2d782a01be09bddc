r"""How much teacher a budget buys: what teachers know that saw more and more molecules, and the trend behind it.

    python benchmarks/growth.py CORPUS --out runs/growth --teacher runs/teacher2m \\
        [--visits 10000 --visits 30000 --visits 100000 --visits 300000] [--table bace …] [--figure docs/growth.svg]

Trains one teacher with the recipe of ``--size`` pixels: at each budget its learning rate falls to zero, that teacher is
put aside, and the training goes on from before the fall, which is what a training of just as many visits comes to.
Looks at finished ones (``--teacher``) as well. Of each: R² of the priors on held-out molecules, retrieval, and the test
score of a linear probe on frozen 3D features of each table, under the scaffold split. Through every figure goes a power
law, figure(visits) = best − a·visits^(−b), by least squares. Interrupted, the same command goes on. The last line is
JSON.
"""

import argparse
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ablations import known_of
from matplotlib.figure import Figure
from scipy.optimize import curve_fit

from iem.artifact import CARD, WEIGHTS, read_card
from iem.data.catalogue import DATASETS
from iem.data.corpus import Corpus
from iem.files import write_json
from iem.workflows.pretraining.recipe import PRESETS, Recipe
from iem.workflows.pretraining.run import train_teacher

ROUND = 2_500
"""Visits of a round; a teacher that grows keeps it."""
TABLES = ["bbbp", "bace", "clintox", "sider", "tox21", "esol", "lipo", "freesolv"]


def grow(corpus: Path, out: Path, recipe: Recipe) -> Path:
    """A finished teacher of so many visits, from the plateau of the one that grows, which had fewer until now."""
    growing, grown = out / f"growing-{recipe.size}", out / f"{recipe.visits}-{recipe.size}"
    if not (grown / CARD).exists():
        train_teacher(corpus, out=growing, recipe=recipe, jobs=1)
        grown.mkdir(exist_ok=True)
        for name in (WEIGHTS, CARD):  # the card comes last: it says that the folder is whole
            shutil.copyfile(growing / name, grown / name)
    return grown


def trend(visits: np.ndarray, figures: np.ndarray, most: float) -> dict[str, float] | None:
    """The power law through some points, at least four of them, that ends between 0 and ``most``; what it says of ten
    million visits; and its error.
    """
    if len(visits) < 4:
        return None
    scale = visits / 1e5

    def law(seen: np.ndarray, best: float, gap: float, speed: float) -> np.ndarray:
        return best - gap * seen**-speed

    rise = figures[-1] - figures[0]
    try:
        (best, gap, speed), _ = curve_fit(
            law,
            scale,
            figures,
            p0=(np.clip(figures[-1] + rise / 4, 0, most), rise / 2, 0.4),
            bounds=([0, -9, 0.05], [most, 9, 2]),
        )
    except RuntimeError:  # no such law fits
        return None
    rest = figures - law(scale, best, gap, speed)
    return {
        "best": round(float(best), 3),
        "gap at 100,000": round(float(gap), 3),
        "exponent": round(float(speed), 2),
        "at ten million": round(float(law(np.array(100.0), best, gap, speed)), 3),
        "rms": round(float(np.sqrt((rest**2).mean())), 4),
    }


def flat(known: dict[str, Any]) -> dict[str, float]:
    """One level, with names for a figure."""
    found = {f"R² {prior}": value for prior, value in known["r2"].items()}
    found["retrieval"] = known["retrieval"]
    return found | {f"probe {table}": score for table, score in known["probes"].items()}


def is_error(name: str) -> bool:
    """Whether a figure is an error, which falls, and not a share of what there is to know."""
    table = name.removeprefix("probe ")
    return table in DATASETS and DATASETS[table].task == "regression"


def draw(path: Path, points: dict[int, dict[str, float]], trends: dict[str, Any]) -> None:
    """One panel per kind of figure, over the visits on a logarithmic scale."""
    panels: dict[str, list[str]] = {}
    for name in next(iter(points.values())):
        probed = "linear probe, RMSE" if is_error(name) else "linear probe, ROC-AUC"
        panels.setdefault(probed if name.startswith("probe ") else "held-out molecules, R²", []).append(name)
    figure = Figure(figsize=(3.5 * len(panels), 3.4), layout="constrained")
    fine = np.geomspace(min(points), 1e7, 100)
    for axes, (title, names) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for name in names:
            label = name.removeprefix("probe ").removeprefix("R² ")
            (line,) = axes.plot(list(points), [some[name] for some in points.values()], "o", markersize=4, label=label)
            if law := trends.get(name):
                curve = law["best"] - law["gap at 100,000"] * (fine / 1e5) ** -law["exponent"]
                axes.plot(fine, curve, color=line.get_color(), linewidth=1)
        axes.set(title=title, xscale="log", xlabel="visits")
        axes.legend(fontsize=7)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--visits", type=int, action="append", default=[])
    parser.add_argument("--teacher", type=Path, action="append", default=[])
    parser.add_argument("--size", type=int, default=PRESETS["default"].size)
    parser.add_argument("--batch-size", type=int, default=PRESETS["default"].batch_size)
    parser.add_argument("--table", action="append")
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    tables, corpus = options.table or TABLES, Corpus(options.corpus)
    recipe = replace(PRESETS["default"], size=options.size, batch_size=options.batch_size, round=ROUND)
    grown = [grow(options.corpus, options.out, replace(recipe, visits=visits)) for visits in sorted(options.visits)]
    folders, points = [*options.teacher, *grown], {}
    for folder in folders:
        seen = int(read_card(folder, kind="teacher")["curve"][-1]["visits"])
        points[seen] = flat(known_of(folder, corpus, tables, options.out, options.jobs))
        print(f"{seen:,} visits: {json.dumps(points[seen])}", flush=True)
    points = dict(sorted(points.items()))
    visits = np.array(list(points))
    trends = {
        name: trend(visits, np.array([some[name] for some in points.values()]), np.inf if is_error(name) else 1.0)
        for name in points[visits[0]]
    }
    write_json(options.out / f"growth-{options.size}.json", {"points": points, "trends": trends})
    if options.figure:
        draw(options.figure, points, trends)
    print(json.dumps({"points": points, "trends": trends}))


if __name__ == "__main__":
    main()
