"""The graph attention network beside the same network of torch-geometric's ``GATConv``.

    python benchmarks/attention.py [--table esol --table bace ...] [--molecules 640] [--rounds 3]

Steps forwards and backwards over batches of 32 molecules of each table, in turns, on one thread; processor time, the
best of some rounds. The largest difference of their features is printed, too. The last line is JSON with the ratios.
"""

import argparse
import json
import warnings
from time import process_time

import torch
from rdkit import rdBase
from torch import Tensor, nn

from iem.chem.molecules import parse
from iem.data.tables import read_table
from iem.students.architectures import GAT, HEADS
from iem.students.batches import Graphs, collate
from iem.students.features import featurize
from iem.students.gnn import Network

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)
    from torch_geometric.nn import GATConv


class Theirs(Network):
    """Five rounds of torch-geometric's layer in our network."""

    def __init__(self) -> None:
        super().__init__()
        layers = (GATConv(300, 300, heads=HEADS, concat=False, edge_dim=300) for _ in range(5))
        self.convolutions = nn.ModuleList(layers)

    def messages(self, number: int, hidden: Tensor, batch: Graphs) -> Tensor:
        return self.convolutions[number](hidden, batch.edges, self.bonds[number](batch.bonds))


def seconds(network: Network, batches: list[Graphs]) -> float:
    """Of a pass over the batches."""
    started = process_time()
    for batch in batches:
        network(batch).square().mean().backward()
    return process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="append", help="benchmark tables [esol, bace]")
    parser.add_argument("--molecules", type=int, default=640)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rdBase.DisableLog("rdApp.*")
    torch.set_num_threads(1)
    ratios = {}
    for name in options.table or ("esol", "bace"):
        keys = read_table(name).keys[: options.molecules]
        graphs = [featurize(parse(key)) for key in keys]
        batches = [collate(graphs[first : first + 32]) for first in range(0, len(graphs), 32)]
        ours, theirs = GAT(), Theirs()
        theirs.load_state_dict(ours.state_dict())
        with torch.no_grad():
            apart = (ours.eval()(batches[0]) - theirs.eval()(batches[0])).abs().max()
        times = [(seconds(ours.train(), batches), seconds(theirs.train(), batches)) for _ in range(options.rounds)]
        own, other = map(min, zip(*times, strict=True))
        ratios[name] = round(other / own, 2)
        print(
            f"{name}: {len(graphs) / own:.0f} molecules/s, torch-geometric {len(graphs) / other:.0f}, "
            f"{ratios[name]} times as fast; features differ by at most {apart:.0e}"
        )
    print(json.dumps(ratios))


if __name__ == "__main__":
    main()
