"""Message-passing networks over torch-geometric's layers."""

import warnings
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from iem.students import fused
from iem.students.base import STUDENTS
from iem.students.batches import Graphs, collate
from iem.students.features import ATOM_SIZES, BOND_SIZES, featurize

with warnings.catch_warnings():  # torch-geometric still decorates with what torch has deprecated
    warnings.simplefilter("ignore", FutureWarning)
    from torch_geometric.nn import GINEConv, global_mean_pool


@final
class BondTable(nn.Module):
    """Sum of one embedding per bond feature; the tables are fused, so that each edge costs one look-up."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(size, width) for size in BOND_SIZES)

    def rows(self) -> Float[Tensor, "codes width"]:
        """The sum for every bond code."""
        order, stereo, conjugated = self.tables.parameters()
        return (order[:, None, None] + stereo[None, :, None] + conjugated[None, None, :]).flatten(0, 2)

    def forward(self, codes: Tensor) -> Float[Tensor, "edges width"]:
        return nn.functional.embedding(codes, self.rows())


@final
class AtomTable(nn.Module):
    """Sum of one embedding per atom feature."""

    starts: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(sum(ATOM_SIZES), width)
        self.register_buffer("starts", torch.tensor([sum(ATOM_SIZES[:n]) for n in range(len(ATOM_SIZES))]))

    def forward(self, atoms: Tensor) -> Float[Tensor, "atoms width"]:
        return nn.functional.embedding_bag(atoms + self.starts, self.table.weight, mode="sum")


@final
class GIN(nn.Module):
    """Graph isomorphism network with bond features: the paper's student (section 4.1).

    Per layer, :math:`h_i ← MLP((1+ε) h_i + Σ_j ReLU(h_j + e_{ij}))`, batch normalisation, ReLU (not after the last
    layer), dropout; then the mean over atoms.

    Args:
        width: of all layers; d_g.
        layers: rounds of message passing.
        dropout: probability after each layer.

    References:
        Xu et al., ICLR 2019, arXiv:1810.00826; Hu et al., ICLR 2020, arXiv:1905.12265.
    """

    def __init__(self, *, width: int = 300, layers: int = 5, dropout: float = 0.5) -> None:
        super().__init__()
        self.dim = width
        self.atoms = AtomTable(width)
        self.bonds = nn.ModuleList(BondTable(width) for _ in range(layers))
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
        self.dropout = nn.Dropout(dropout)

    featurize = staticmethod(featurize)  # a plain function reaches worker processes without the network
    collate = staticmethod(collate)

    def forward(self, batch: Graphs) -> Float[Tensor, "batch dim"]:
        hidden = self.atoms(batch.atoms)
        layer = self._compiled if fused.works(self, hidden) else self._plain
        for number in range(len(self.norms)):
            hidden = layer(number, hidden, batch)
        return global_mean_pool(hidden, batch.owner, batch.size)

    def _plain(self, number: int, hidden: Tensor, batch: Graphs) -> Float[Tensor, "atoms dim"]:
        """One layer in torch's operations."""
        messages = self.convolutions[number](hidden, batch.edges, self.bonds[number](batch.bonds))
        hidden = self.norms[number](messages)
        return self.dropout(hidden.relu() if self._inner(number) else hidden)

    def _compiled(self, number: int, hidden: Tensor, batch: Graphs) -> Float[Tensor, "atoms dim"]:
        """The same in compiled loops and matrix products."""
        convolution, bonds, norm, rows = self.convolutions[number], self.bonds[number], self.norms[number], len(hidden)
        assert isinstance(convolution, GINEConv)
        assert isinstance(bonds, BondTable)
        assert isinstance(norm, nn.BatchNorm1d)
        first, inner, _, second = convolution.nn
        hidden = fused.messages(hidden, batch.edges, batch.bonds, bonds.rows(), convolution.eps)
        hidden = fused.block(hidden, first, inner, rows=rows, relu=True)
        relu = self._inner(number)
        return fused.block(hidden, second, norm, rows=rows, relu=relu, drop=self.dropout.p, last=True)

    def _inner(self, number: int) -> bool:
        return number < len(self.norms) - 1


STUDENTS.add("gin")(GIN)
