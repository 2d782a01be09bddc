"""Molecules per second and core that learn: our training loop beside a plain torch-geometric one.

    python benchmarks/students.py [--table bbbp] [--molecules 640] [--epochs 7] [--precision auto]

Both train a GIN of the same layer sizes on the same molecules, in batches of the same size, with one thread. Ours is
what ``iem fit`` runs, without a teacher; the other is written as torch-geometric's examples are, with its
``DataLoader``, ``Data`` objects, ``GINEConv`` and Adam. Epochs alternate, and the ratio is the median over pairs of one
epoch each, in processor time, so that other work on the machine counts little. The last line is JSON.
"""

import argparse
import json
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from time import process_time

import numpy as np
import torch
from rdkit import rdBase
from torch import Tensor, nn

from iem.chem.molecules import parse
from iem.data.tables import Table, read_table
from iem.students.features import featurize
from iem.students.gnn import GIN
from iem.students.predictor import TEACHER_DIM, Predictor
from iem.workflows.distilling import Lesson, Molecules, train_student
from iem.workflows.training import computes_in_bf16

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", default="bbbp", help="name of a table of one class")
    parser.add_argument("--molecules", type=int, default=640)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=7, help="pairs of epochs; one more warms up")
    parser.add_argument("--precision", choices=["auto", "bf16", "float32"], default="auto")
    options = parser.parse_args()
    bf16 = computes_in_bf16() if options.precision == "auto" else options.precision == "bf16"
    with rdBase.BlockLogs():
        smiles, labels = some_molecules(read_table(options.table), options.molecules)
        torch.manual_seed(0)
        other_epoch = plain_epochs(smiles, labels, options.batch_size)
        molecules = our_molecules(smiles, labels)
    lesson = Lesson(
        task="classification",
        epochs=options.epochs + 1,
        batch_size=options.batch_size,
        lr=LR,
        patience=None,
        ke=0,
        te=0,
        te_head="own",
        seed=0,
    )
    predictor = Predictor(GIN(dropout=DROPOUT), tasks=1, task="classification", bf16=bf16)
    ours, others, began = [], [], process_time()

    def tick(epoch: int, score: float) -> None:
        nonlocal began
        ours.append(process_time() - began)
        began = process_time()
        other_epoch()
        others.append(process_time() - began)
        began = process_time()

    rows = np.arange(len(smiles))
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "checkpoint.ckpt"
        train_student(predictor, molecules, rows, rows[:32], lesson, heads=None, checkpoint=checkpoint, tick=tick)
    ratios = np.divide(others, ours)[1:]
    speeds = [len(smiles) / float(np.median(seconds[1:])) for seconds in (ours, others)]
    print(f"ours {speeds[0]:.0f}, plain torch-geometric {speeds[1]:.0f} molecules per second of one core")
    result = {
        "train_ratio_pyg": round(float(np.median(ratios)), 2),
        "train_ratio_pyg_range": [round(float(value), 2) for value in (ratios.min(), ratios.max())],
        "molecules_per_second": round(speeds[0], 1),
        "molecules_per_second_pyg": round(speeds[1], 1),
        "precision": "bf16" if bf16 else "float32",
        "table": options.table,
        "molecules": len(smiles),
        "batch_size": options.batch_size,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
