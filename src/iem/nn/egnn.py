"""E(n) equivariant graph network: atoms at places in any number of dimensions, turned and moved without effect."""

from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


def pairs_within(
    positions: Float[Tensor, "atoms dims"], owner: Int[Tensor, " atoms"], cutoff: float
) -> Int[Tensor, "2 pairs"]:
    """All ordered pairs of two atoms of one molecule that are at most so far apart.

    Args:
        positions: in any unit.
        owner: the molecule of each atom.
        cutoff: in the same unit.
    """
    apart = torch.cdist(positions, positions, compute_mode="donot_use_mm_for_euclid_dist")
    near: Bool[Tensor, "atoms atoms"] = (owner[:, None] == owner) & (apart <= cutoff)
    return near.fill_diagonal_(False).nonzero().T


@final
class EquivariantLayer(nn.Module):
    r"""One round of messages, in which atoms change their features and their places.

    .. math:: m_{ij} = φ_e(h_i, h_j, |x_i - x_j|^2, a_{ij}), \quad
              x_i ← x_i + \frac{1}{n_i} Σ_j (x_i - x_j) φ_x(m_{ij}), \quad
              h_i ← h_i + φ_h(h_i, Σ_j φ_{inf}(m_{ij}) m_{ij})

    with :math:`a_{ij}` a kind of pair and :math:`n_i` the partners of atom i. The first linear map of :math:`φ_e` is
    written as a sum over its arguments, so that it is applied to atoms and not to pairs.

    Args:
        width: of features and messages.
        kinds: of pairs.
        moves: whether the places change; the last layer of a network that only asks for features needs no φ_x.

    References:
        Satorras, Hoogeboom, Welling, ICML 2021, arXiv:2102.09844, eq. 3 to 6 and 8.
    """

    def __init__(self, width: int, *, kinds: int, moves: bool = True) -> None:
        super().__init__()
        self.receiver = nn.Linear(width, width)
        self.sender = nn.Linear(width, width, bias=False)
        self.distance = nn.Linear(1, width, bias=False)
        self.kind = nn.Embedding(kinds, width)
        self.message = nn.Sequential(nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.weight = nn.Sequential(nn.Linear(width, 1), nn.Sigmoid())
        self.update = nn.Sequential(nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, width))
        self.push: nn.Module | None = None
        if moves:
            last = nn.Linear(width, 1, bias=False)
            nn.init.xavier_uniform_(last.weight, gain=1e-3)  # at first nothing moves far
            self.push = nn.Sequential(nn.Linear(width, width), nn.SiLU(), last)

    def forward(
        self,
        features: Float[Tensor, "atoms width"],
        positions: Float[Tensor, "atoms dims"],
        pairs: Int[Tensor, "2 pairs"],
        kinds: Int[Tensor, " pairs"],
    ) -> tuple[Float[Tensor, "atoms width"], Float[Tensor, "atoms dims"]]:
        """New features and places.

        Args:
            features: h.
            positions: x.
            pairs: receiver i and sender j of each message.
            kinds: a, one of ``kinds``.
        """
        receiver, sender = pairs
        between = positions[receiver] - positions[sender]
        square = between.square().sum(dim=1, keepdim=True)
        messages = self.message(
            self.receiver(features)[receiver] + self.sender(features)[sender] + self.distance(square) + self.kind(kinds)
        )
        if self.push is not None:
            partners = torch.bincount(receiver, minlength=len(positions)).clamp(min=1)
            moved = torch.zeros_like(positions).index_add(0, receiver, between * self.push(messages))
            positions = positions + moved / partners[:, None]
        gathered = torch.zeros_like(features).index_add(0, receiver, self.weight(messages) * messages)
        return features + self.update(torch.cat([features, gathered], dim=1)), positions


@final
class EGNN(nn.Module):
    """Layers that look at distances alone: the features of the atoms do not depend on the pose; see
    ``EquivariantLayer``.

    Args:
        width: of the features.
        layers: rounds of messages.
        kinds: of pairs.
    """

    def __init__(self, width: int, *, layers: int = 4, kinds: int = 1) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            EquivariantLayer(width, kinds=kinds, moves=number < layers - 1) for number in range(layers)
        )

    def forward(
        self,
        features: Float[Tensor, "atoms width"],
        positions: Float[Tensor, "atoms dims"],
        pairs: Int[Tensor, "2 pairs"],
        kinds: Int[Tensor, " pairs"],
    ) -> Float[Tensor, "atoms width"]:
        """Features of the atoms behind the last layer; arguments as of ``EquivariantLayer``."""
        for layer in self.layers:
            features, positions = layer(features, positions, pairs, kinds)
        return features
