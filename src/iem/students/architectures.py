"""The other graph networks of the paper's table 3, with bond features as GIN has them."""

import warnings
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from iem.students.base import STUDENTS
from iem.students.batches import Graphs
from iem.students.gnn import Network

HEADS = 2
"""Of graph attention, averaged; as in Hu et al."""


def neighbours(
    hidden: Float[Tensor, "atoms width"], bonds: Float[Tensor, "edges width"], batch: Graphs, weights: Tensor
) -> Float[Tensor, "atoms width"]:
    """:math:`Σ_j w_{ij} (h_j + e_{ij})` over the neighbours of every atom; ``weights`` is float ``(edges,)``."""
    source, target = batch.edges
    messages = weights[:, None] * (hidden[source] + bonds)
    return torch.zeros_like(hidden).index_add_(0, target, messages)


def degrees(batch: Graphs) -> Float[Tensor, " atoms"]:
    """Number of neighbours of every atom."""
    return torch.bincount(batch.edges[1], minlength=len(batch.atoms)).to(torch.get_default_dtype())


@final
class GCN(Network):
    r"""Graph convolutional network.

    Per layer, :math:`h_i ← \frac{W h_i}{d_i} + \sum_j \frac{W h_j + e_{ij}}{\sqrt{d_i d_j}}`, where degrees count
    the atom itself; the first term is one of the sum, with its :math:`e_{ii}`, where atoms have loops. See ``Network``
    for the rest.

    References:
        Kipf and Welling, ICLR 2017, arXiv:1609.02907; Hu et al., ICLR 2020, arXiv:1905.12265.
    """

    def __init__(self, *, width: int = 300, layers: int = 5, **options: Any) -> None:
        super().__init__(width=width, layers=layers, **options)
        self.linears = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))

    def messages(
        self, number: int, hidden: Float[Tensor, "atoms width"], batch: Graphs
    ) -> Float[Tensor, "atoms width"]:
        bonds = self.bonds[number](batch.bonds)
        hidden = self.linears[number](hidden).to(bonds.dtype)
        roots = (degrees(batch).to(bonds) + (not self.has_loops)).rsqrt()
        source, target = batch.edges
        total = neighbours(hidden, bonds, batch, roots[source] * roots[target])
        return total if self.has_loops else total + hidden * roots.square()[:, None]


@final
class GraphSAGE(Network):
    r"""Sample and aggregate, with all neighbours.

    Per layer, :math:`h_i ← W_1 h_i + W_2 \frac{1}{n_i} \sum_j (h_j + e_{ij})`; see ``Network`` for the rest.

    References:
        Hamilton et al., NeurIPS 2017, arXiv:1706.02216.
    """

    def __init__(self, *, width: int = 300, layers: int = 5, **options: Any) -> None:
        super().__init__(width=width, layers=layers, **options)
        self.own = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))
        self.others = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(layers))

    def messages(
        self, number: int, hidden: Float[Tensor, "atoms width"], batch: Graphs
    ) -> Float[Tensor, "atoms width"]:
        bonds = self.bonds[number](batch.bonds)
        shares = degrees(batch).to(bonds).clamp(min=1).reciprocal()
        mean = neighbours(hidden, bonds, batch, shares[batch.edges[1]])
        return self.own[number](hidden) + self.others[number](mean)


@final
class GAT(Network):
    """Graph attention network: torch-geometric's ``GATConv`` with two heads, averaged, that see the bonds.

    References:
        Veličković et al., ICLR 2018, arXiv:1710.10903.
    """

    def __init__(self, *, width: int = 300, layers: int = 5, **options: Any) -> None:
        super().__init__(width=width, layers=layers, **options)
        with warnings.catch_warnings():  # torch-geometric still decorates with what torch has deprecated
            warnings.simplefilter("ignore", FutureWarning)
            from torch_geometric.nn import GATConv  # a second and a half that other students need not wait
        self.convolutions = nn.ModuleList(
            GATConv(width, width, heads=HEADS, concat=False, edge_dim=width, add_self_loops=not self.has_loops)
            for _ in range(layers)
        )

    def messages(
        self, number: int, hidden: Float[Tensor, "atoms width"], batch: Graphs
    ) -> Float[Tensor, "atoms width"]:
        return self.convolutions[number](hidden, batch.edges, self.bonds[number](batch.bonds))


STUDENTS.add("gcn")(GCN)
STUDENTS.add("gat")(GAT)
STUDENTS.add("sage")(GraphSAGE)
