"""The other graph networks of the paper's table 3, with bond features as GIN has them."""

import math
from typing import Any, cast, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from iem.students.base import STUDENTS
from iem.students.environments import Environments
from iem.students.gnn import BondTable, Network, pool

HEADS = 2
"""Of graph attention, averaged; as in Hu et al."""


def neighbours(
    hidden: Float[Tensor, "before width"],
    bonds: Float[Tensor, "edges width"],
    near: Environments,
    weights: Float[Tensor, " edges"],
) -> Float[Tensor, "after width"]:
    """:math:`Σ_j w_{ij} (h_j + e_{ij})` over the neighbours of every atom."""
    source, target = near.edges
    return pool(weights[:, None] * (hidden[source] + bonds), target, len(near.centres), "sum")


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
        self, number: int, hidden: Float[Tensor, "before width"], near: Environments
    ) -> Float[Tensor, "after width"]:
        bonds = self.bonds[number](near.bonds)
        hidden = self.linears[number](hidden).to(bonds.dtype)
        own, theirs = ((degrees.to(bonds) + (not self.has_loops)).rsqrt() for degrees in (near.degrees, near.theirs))
        total = neighbours(hidden, bonds, near, theirs * own[near.edges[1]])
        return total if self.has_loops else total + hidden[near.centres] * own.square()[:, None]


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
        self, number: int, hidden: Float[Tensor, "before width"], near: Environments
    ) -> Float[Tensor, "after width"]:
        bonds = self.bonds[number](near.bonds)
        shares = near.degrees.to(bonds).clamp(min=1).reciprocal()
        mean = neighbours(hidden, bonds, near, shares[near.edges[1]])
        return self.own[number](hidden)[near.centres] + self.others[number](mean)


@final
class Attending(nn.Module):
    r"""One round of graph attention, :math:`h_i ← \frac{1}{H} \sum_h W_h \sum_j α^h_{ij} h_j + b`, the sum over the
    neighbours and the atom itself, with

    .. math:: α^h_{ij} = \mathrm{softmax}_j \, \mathrm{LeakyReLU}(a_h·W_h h_i + a'_h·W_h h_j + a''_h·V_h e_{ij}).

    Where atoms have no loop, the bond to itself is the mean of an atom's bonds. This is torch-geometric's ``GATConv``
    with averaged heads, with its names and its first weights; but as everything before the softmax is linear, what
    attention sees of bonds is worked out for the few kinds of bonds and not for every edge, and what is summed up is
    :math:`h` and not the :math:`W_h h` of all heads: the same in less than half the time.

    Args:
        width: of the states.
        loops: whether the graphs have a bond from every atom to itself.

    References:
        Veličković et al., ICLR 2018, arXiv:1710.10903.
    """

    def __init__(self, width: int, *, loops: bool) -> None:
        super().__init__()
        self.loops = loops
        self.att_src, self.att_dst, self.att_edge = (nn.Parameter(torch.empty(1, HEADS, width)) for _ in range(3))
        self.bias = nn.Parameter(torch.zeros(width))
        self.lin, self.lin_edge = (nn.utils.skip_init(nn.Linear, width, HEADS * width, bias=False) for _ in range(2))
        matrices = (self.lin.weight, self.lin_edge.weight)
        for weights in (*matrices, *matrices, self.att_src, self.att_dst, self.att_edge):  # twice, as torch-geometric
            most = math.sqrt(6 / (weights.shape[-2] + weights.shape[-1]))
            nn.init.uniform_(weights, -most, most)

    def forward(
        self, hidden: Float[Tensor, "before width"], kinds: Float[Tensor, "codes width"], near: Environments
    ) -> Float[Tensor, "after width"]:
        """``kinds`` are the features of every kind of bond."""
        (source, target), centres, width = near.edges, near.centres, hidden.shape[1]
        size = len(centres)
        there, here = (hidden @ self._folded(self.lin, end) for end in (self.att_src, self.att_dst))
        here = here[centres]
        bonds = (kinds @ self._folded(self.lin_edge, self.att_edge))[near.bonds]
        logits = there[source] + here[target] + bonds
        if not self.loops:
            own = pool(bonds, target, size, "sum") / near.degrees.clamp(min=1)[:, None]
            itself = torch.arange(size, device=target.device)
            source, target = torch.cat([source, centres]), torch.cat([target, itself])
            logits = torch.cat([logits, there[centres] + here + own])
        precise = torch.promote_types(logits.dtype, torch.float32)
        logits = nn.functional.leaky_relu(logits.to(precise), 0.2)
        shares = (logits - pool(logits.detach(), target, size, "max")[target]).exp()
        shares = shares / pool(shares, target, size, "sum")[target]
        states = (shares[:, :, None] * hidden[source][:, None]).flatten(1)
        total = pool(states, target, size, "sum")
        heads = self.lin.weight.view(HEADS, width, width).transpose(1, 2).flatten(0, 1)
        return total @ heads / HEADS + self.bias

    @staticmethod
    def _folded(matrix: nn.Linear, attention: Tensor) -> Float[Tensor, "width heads"]:
        """What an attention vector asks of a state before its matrix."""
        by_head = matrix.weight.view(*attention.shape[1:], -1)
        return torch.einsum("hcw,hc->wh", by_head, attention[0])


@final
class GAT(Network):
    """Graph attention network with two heads, averaged, that see the bonds; see ``Attending`` and ``Network``.

    References:
        Veličković et al., ICLR 2018, arXiv:1710.10903.
    """

    def __init__(self, *, width: int = 300, layers: int = 5, **options: Any) -> None:
        super().__init__(width=width, layers=layers, **options)
        self.convolutions = nn.ModuleList(Attending(width, loops=self.has_loops) for _ in range(layers))

    def messages(
        self, number: int, hidden: Float[Tensor, "before width"], near: Environments
    ) -> Float[Tensor, "after width"]:
        return self.convolutions[number](hidden, cast(BondTable, self.bonds[number]).rows(), near)


STUDENTS.add("gcn")(GCN)
STUDENTS.add("gat")(GAT)
STUDENTS.add("sage")(GraphSAGE)
