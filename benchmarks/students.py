"""Students in figures: molecules per second and core that learn, and from SMILES to a table of predictions.

    python benchmarks/students.py [--table bbbp] [--molecules 640] [--epochs 7] [--precision auto]
                                  [--predict tox21] [--rounds 2]

Training: our loop beside a plain torch-geometric one and beside chemprop, all on the same molecules, in batches of the
same size, with one thread. Ours is what ``iem fit`` runs, without a teacher: with fresh weights, and with statistics
that are kept, as they are after a head start; the plain one is a GIN of the same layer sizes, written as
torch-geometric's examples are, with its ``DataLoader``, ``Data`` objects, ``GINEConv`` and Adam; chemprop trains its
default network as ``chemprop train`` does. Networks are of different size, so the figures come also per parameter
(molecules per second × parameters). Epochs alternate, and a ratio is the median over rounds of one epoch each.

Prediction: ``iem predict``, as it is and with ``--precision bf16``, beside ``chemprop predict``, from a CSV of SMILES
to a CSV of predictions, each a process of its own with one thread, start included, in turns.

All times are processor time, so that other work on the machine counts little. The last line is JSON; without chemprop
its figures are null.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Semaphore, Thread
from time import process_time
from typing import Any

import lightning
import numpy as np
import pandas as pd
import torch
from rdkit import rdBase
from torch import Tensor, nn

from iem.chem.molecules import parse
from iem.data.tables import Table, read_table
from iem.errors import UnavailableError
from iem.students.chemprop import installed
from iem.students.features import featurize
from iem.students.gnn import GIN
from iem.students.predictor import TEACHER_DIM, Predictor, save_model
from iem.workflows.distillation.batching import Molecules
from iem.workflows.distillation.lessons import Lesson, Norms
from iem.workflows.distillation.loop import train_student
from iem.workflows.evidence.chemprop import dataset, new_model
from iem.workflows.running.trainer import computes_in_bf16, quiet_trainer

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)
    from torch_geometric.data import Batch
    from torch_geometric.loader import DataLoader
    from torch_geometric.nn import GINEConv, global_mean_pool
    from torch_geometric.utils import from_smiles
    from torch_geometric.utils.smiles import e_map, x_map

DROPOUT, LR = 0.2, 1e-3


class Embeddings(nn.Module):
    """Sum of one embedding per feature."""

    def __init__(self, sizes: Sequence[int], width: int) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(size, width) for size in sizes)

    def forward(self, features: Tensor) -> Tensor:
        return sum(table(features[:, column]) for column, table in enumerate(self.tables))


class PlainGIN(nn.Module):
    """The network as it is written with torch-geometric."""

    def __init__(self, width: int = 300, layers: int = 5) -> None:
        super().__init__()
        self.atoms = Embeddings([len(values) for values in x_map.values()], width)
        self.bonds = nn.ModuleList(Embeddings([len(values) for values in e_map.values()], width) for _ in range(layers))
        self.convolutions = nn.ModuleList(
            GINEConv(
                nn.Sequential(
                    nn.Linear(width, 2 * width), nn.BatchNorm1d(2 * width), nn.ReLU(), nn.Linear(2 * width, width)
                ),
                train_eps=True,
            )
            for _ in range(layers)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(layers))
        self.project = nn.Linear(width, TEACHER_DIM)
        self.head = nn.Linear(TEACHER_DIM, 1)

    def forward(self, data: Batch) -> Tensor:
        hidden = self.atoms(data.x)
        for layer, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            hidden = norm(convolution(hidden, data.edge_index, self.bonds[layer](data.edge_attr)))
            if layer < len(self.norms) - 1:
                hidden = hidden.relu()
            hidden = nn.functional.dropout(hidden, DROPOUT, training=self.training)
        return self.head(self.project(global_mean_pool(hidden, data.batch)))


def plain_epochs(smiles: Sequence[str], labels: np.ndarray, batch_size: int) -> Callable[[], None]:
    """A function that trains for one epoch."""
    graphs = [from_smiles(text) for text in smiles]
    for graph, label in zip(graphs, labels, strict=True):
        graph.y = torch.tensor([[label]], dtype=torch.float32)
    loader = DataLoader(graphs, batch_size=batch_size, shuffle=True)
    model = PlainGIN()
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)
    loss_of = nn.BCEWithLogitsLoss()

    def epoch() -> None:
        model.train()
        for data in loader:
            optimizer.zero_grad()
            loss_of(model(data), data.y).backward()
            optimizer.step()

    return epoch


class Tick(lightning.Callback):
    """Calls a function after every epoch."""

    def __init__(self, tick: Callable[[], None]) -> None:
        self.tick = tick

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.tick()


def by_epochs(train: Callable[[Callable[[], None]], None]) -> Callable[[], None]:
    """A function that lets a training go on for one epoch; it waits in a thread of its own.

    Args:
        train: a whole training, which calls what it is given after every epoch.
    """
    go, done = Semaphore(0), Semaphore(0)

    def tick() -> None:
        done.release()
        go.acquire()

    def run() -> None:
        torch.set_num_threads(1)
        go.acquire()
        try:
            train(tick)
        finally:
            done.release()

    Thread(target=run, daemon=True).start()

    def epoch() -> None:
        go.release()
        done.acquire()

    return epoch


def chemprop_epochs(
    model: Any, smiles: Sequence[str], labels: np.ndarray, batch_size: int, epochs: int
) -> Callable[[], None]:
    """Chemprop's own training, by epochs."""
    loader = installed().data.build_dataloader
    graphs = dataset(smiles, labels[:, None])
    some = dataset(smiles[:32], labels[:32, None])

    def train(tick: Callable[[], None]) -> None:
        trainer = quiet_trainer(max_epochs=epochs, callbacks=[Tick(tick)])
        trainer.fit(model, loader(graphs, batch_size, seed=0), loader(some, batch_size, shuffle=False))

    return by_epochs(train)


def our_molecules(smiles: Sequence[str], labels: np.ndarray) -> Molecules:
    mols = [parse(text) for text in smiles]
    atoms = np.array([mol.GetNumHeavyAtoms() for mol in mols])
    nothing = np.empty((len(mols), 0), np.float32)
    return Molecules([featurize(mol) for mol in mols], labels[:, None], nothing, atoms)


def some_molecules(table: Table, count: int) -> tuple[list[str], np.ndarray]:
    """Molecules spread over the table, with the labels of its first target."""
    rows = np.flatnonzero(~np.isnan(table.labels[:, 0]))
    rows = rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)]
    return [table.keys[row] for row in rows], table.labels[rows, 0]


def size(model: nn.Module) -> int:
    """Number of parameters."""
    return sum(weight.numel() for weight in model.parameters())


def our_epochs(
    predictor: Predictor, molecules: Molecules, norms: Norms, batch_size: int, epochs: int, folder: Path
) -> Callable[[], None]:
    """Our own training, by epochs."""
    lesson = Lesson(
        task="classification",
        epochs=epochs,
        batch_size=batch_size,
        lr=LR,
        patience=None,
        ke=0,
        te=0,
        te_head="own",
        seed=0,
        norms=norms,
    )
    rows = np.arange(len(molecules.graphs))

    def train(tick: Callable[[], None]) -> None:
        checkpoint = folder / f"{norms}.ckpt"
        train_student(
            predictor, molecules, rows, rows[:32], lesson, heads=None, checkpoint=checkpoint, tick=lambda *_: tick()
        )

    return by_epochs(train)


def training_seconds(trainings: dict[str, Callable[[], None]], epochs: int) -> dict[str, np.ndarray]:
    """Processor seconds of every epoch, in turns, after one that warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in trainings}
    for _ in range(epochs + 1):
        for name, epoch in trainings.items():
            began = process_time()
            epoch()
            seconds[name].append(process_time() - began)
    return {name: np.array(values[1:]) for name, values in seconds.items()}


def child_seconds(command: Sequence[object]) -> float:
    """Processor seconds of a command and all that it starts, on one thread."""

    def used() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = used()
    words, environment = list(map(str, command)), os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed:\n{done.stderr}")
    return used() - before


def prediction_seconds(smiles: Sequence[str], rounds: int, *, chemprop: bool) -> dict[str, list[float]]:
    """From a CSV of SMILES to a CSV of predictions, in turns, by networks of the usual size with fresh weights."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pd.DataFrame({"smiles": smiles}).to_csv(folder / "in.csv", index=False)
        student = {"name": "gin", "options": {"dropout": DROPOUT}}
        about = {"task": "classification", "targets": ["y"], "seeds": 1, "student": student}
        (folder / "model").mkdir()
        ours = Predictor(GIN(dropout=DROPOUT), tasks=1, task="classification")
        save_model(folder / "model", [ours.state_dict()], about, {})
        iem: list[object] = [sys.executable, "-m", "iem", "predict", folder / "model", folder / "in.csv"]
        iem += ["--out", folder / "ours.csv", "--jobs", 1]
        commands: dict[str, list[object]] = {"iem": iem, "iem in bf16": [*iem, "--precision", "bf16"]}
        if chemprop:
            installed().models.save_model(folder / "model.pt", new_model("classification", 1), ["y"])
            program = Path(sys.executable).parent / "chemprop"
            words = ["predict", "--test-path", folder / "in.csv", "--model-paths", folder / "model.pt"]
            words += ["--output", folder / "theirs.csv", "--accelerator", "cpu", "--num-workers", 0]
            commands["chemprop"] = [program, *words]
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds):
            for program_name, command in commands.items():
                seconds[program_name].append(child_seconds(command))
        return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", default="bbbp", help="name of a table of one class")
    parser.add_argument("--molecules", type=int, default=640)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=7, help="rounds of one epoch each; one more warms up")
    parser.add_argument("--precision", choices=["auto", "bf16", "float32"], default="auto")
    parser.add_argument("--predict", default="tox21", help="name of the table that is predicted")
    parser.add_argument("--rounds", type=int, default=2, help="of prediction")
    options = parser.parse_args()
    bf16 = computes_in_bf16() if options.precision == "auto" else options.precision == "bf16"
    torch.set_num_threads(1)
    try:
        installed()
        chemprop = True
    except UnavailableError as error:
        chemprop = False
        print(f"no figures of chemprop: {error}")
    with rdBase.BlockLogs(), tempfile.TemporaryDirectory() as folder:
        smiles, labels = some_molecules(read_table(options.table), options.molecules)
        molecules, rounds = our_molecules(smiles, labels), options.epochs + 2  # none of them ends before the others
        torch.manual_seed(0)
        trainings, sizes = {}, {}
        norms: dict[str, Norms] = {"iem": "batch", "iem, started": "kept"}
        for name, kind in norms.items():
            ours = Predictor(GIN(dropout=DROPOUT), tasks=1, task="classification", bf16=bf16)
            trainings[name] = our_epochs(ours, molecules, kind, options.batch_size, rounds, Path(folder))
            sizes[name] = size(ours)
        trainings["pyg"], sizes["pyg"] = plain_epochs(smiles, labels, options.batch_size), sizes["iem"]
        if chemprop:
            theirs = new_model("classification", 1)
            trainings["chemprop"] = chemprop_epochs(theirs, smiles, labels, options.batch_size, rounds)
            sizes["chemprop"] = size(theirs)
        seconds = training_seconds(trainings, options.epochs)
        keys = read_table(options.predict).keys
    speeds = {name: len(smiles) / float(np.median(values)) for name, values in seconds.items()}
    for name, speed in speeds.items():
        print(
            f"{name:12} trains {speed:7.0f} molecules/s, {speed * sizes[name] / 1e9:.2f}e9 molecules/s × parameters",
            flush=True,
        )
    spent = prediction_seconds(keys, options.rounds, chemprop=chemprop)
    for name, values in spent.items():
        print(f"{name:11} predicts {len(keys):,} molecules in {min(values):.1f} s")
    ratios = {name: values / seconds["iem"] for name, values in seconds.items()}
    mine = float(np.median(ratios["chemprop"])) if chemprop else None
    started = float(np.median(seconds["pyg"] / seconds["iem, started"]))
    result = {
        "train_ratio_pyg": round(float(np.median(ratios["pyg"])), 2),
        "train_ratio_pyg_range": [round(float(value), 2) for value in (ratios["pyg"].min(), ratios["pyg"].max())],
        "train_ratio_pyg_started": round(started, 2),
        "train_ratio_chemprop": mine and round(mine, 2),
        "train_ratio_chemprop_per_parameter": mine and round(mine * sizes["iem"] / sizes["chemprop"], 2),
        "predict_ratio_chemprop": round(min(spent["chemprop"]) / min(spent["iem"]), 2) if chemprop else None,
        "predict_ratio_chemprop_bf16": round(min(spent["chemprop"]) / min(spent["iem in bf16"]), 2)
        if chemprop
        else None,
        "molecules_per_second": {name: round(speed, 1) for name, speed in speeds.items()},
        "parameters": sizes,
        "predict_seconds": {name: round(min(values), 1) for name, values in spent.items()},
        "precision": "bf16" if bf16 else "float32",
        "table": options.table,
        "molecules": len(smiles),
        "batch_size": options.batch_size,
        "predicted": f"{options.predict}, {len(keys):,} molecules",
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
