"""What it gains a graph network to compute atoms with the same surroundings once.

    python benchmarks/environments.py [--student gin] [--table esol --table bace ...] [--molecules 1000] [--rounds 3]

For each table: how many of the atoms of a batch are left at every radius, and molecules per second with and without
sharing, in turns, on one thread: training as after a head start (statistics kept, no dropout) and with fresh weights
(dropout 0.2: only the first of five rounds is shared, and that by GIN alone), in batches of 32; prediction in batches
of 1,000. All times are processor time, the best of some rounds. The last line is JSON with the ratios.
"""

import argparse
import json
from collections.abc import Callable
from time import process_time
from typing import cast
from unittest.mock import patch

import numpy as np
import torch
from rdkit import rdBase

from iem.chem.molecules import parse
from iem.data.tables import read_table
from iem.students import architectures as architectures  # registers three of the students
from iem.students.base import build_student
from iem.students.batches import Graphs, collate
from iem.students.environments import Environments, environments
from iem.students.features import featurize
from iem.students.gnn import Network
from iem.students.predictor import Predictor

RADIUS = 5
TABLES = ("freesolv", "esol", "bace", "bbbp", "clintox", "sider", "lipo", "tox21")


def apart(batch: Graphs, radius: int) -> list[Environments]:
    """Every atom for itself."""
    return [Environments.apart(batch)] * (radius + 1)


def training(student: str, batches: list[Graphs], *, kept: bool) -> Callable[[], object]:
    """A pass over the batches."""
    network = cast(Network, build_student(student, dropout=0.2))
    predictor = Predictor(network, tasks=1, task="regression")
    optimizer = torch.optim.Adam(predictor.parameters(), lr=1e-3, fused=True)
    network.train(not kept)

    def epoch() -> None:
        for batch in batches:
            optimizer.zero_grad()
            predictor(batch)[1].square().mean().backward()
            optimizer.step()

    return epoch


def prediction(student: str, batches: list[Graphs]) -> Callable[[], object]:
    """A pass over the batches."""
    predictor = Predictor(build_student(student), tasks=1, task="regression").eval()

    @torch.inference_mode()
    def epoch() -> None:
        for batch in batches:
            predictor(batch)

    return epoch


def seconds(work: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Processor time of the best round, with sharing and without."""
    best = {True: np.inf, False: np.inf}
    for _ in range(rounds):
        for shared in best:
            with patch("iem.students.gnn.environments", environments if shared else apart):
                began = process_time()
                work()
                best[shared] = min(best[shared], process_time() - began)
    return best[True], best[False]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--student", default="gin", help="gin, gcn, gat or sage")
    parser.add_argument("--table", action="append", help="name of a table; several times for several")
    parser.add_argument("--molecules", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    result = {}
    for name in options.table or TABLES:
        with rdBase.BlockLogs():
            keys = read_table(name).keys
            chosen = np.random.default_rng(0).permutation(len(keys))[: options.molecules]
            graphs = [featurize(parse(keys[row])) for row in chosen]
        small, large = (
            [collate(graphs[start : start + size]) for start in range(0, len(graphs), size)] for size in (32, 1000)
        )
        atoms = sum(len(batch.atoms) for batch in small)
        left = {
            size: [
                round(sum(kinds) / atoms, 2)
                for kinds in zip(
                    *([len(one.examples) for one in environments(batch, RADIUS)] for batch in batches), strict=True
                )
            ]
            for size, batches in ((32, small), (1000, large))
        }
        works = {
            "started": training(options.student, small, kept=True),
            "fresh": training(options.student, small, kept=False),
            "predict": prediction(options.student, large),
        }
        ratios = {}
        for kind, work in works.items():
            work()  # warms up
            shared, plain = seconds(work, options.rounds)
            ratios[kind] = round(plain / shared, 2)
            print(f"{name:10} {kind:8} {len(graphs) / shared:6.0f} molecules/s, {ratios[kind]:.2f} times", flush=True)
        print(f"{name:10} left at radius 0 to {RADIUS}: {left}", flush=True)
        result[name] = ratios | {"left_32": left[32][1:], "left_1000": left[1000][1:]}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
