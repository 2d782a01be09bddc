"""Message-passing networks: what all have in common, and the paper's student."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from iem.errors import ConfigError
from iem.students import fused
from iem.students.base import STUDENTS
from iem.students.batches import Graphs, collate
from iem.students.features import OGB
from iem.students.hu import HU

with warnings.catch_warnings():  # torch-geometric still decorates with what torch has deprecated
    warnings.simplefilter("ignore", FutureWarning)
    from torch_geometric.nn import AttentionalAggregation, GINEConv, global_add_pool, global_max_pool, global_mean_pool

FEATURES = {"ogb": OGB, "hu": HU}
READOUTS = ("mean", "sum", "max", "attention")
JUMPING = ("last", "sum", "max", "cat")


@final
class BondTable(nn.Module):
    """Sum of one embedding per bond feature; the tables are fused, so that each edge costs one look-up.

    Args:
        width: of the embeddings.
        sizes: values per feature.
    """

    def __init__(self, width: int, sizes: Sequence[int] = OGB.bond_sizes) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(size, width) for size in sizes)

    def rows(self) -> Float[Tensor, "codes width"]:
        """The sum for every bond code."""
        first, *others = self.tables.parameters()
        total: Tensor = first
        for table in others:
            total = (total[:, None] + table).flatten(0, 1)
        return total

    def forward(self, codes: Tensor) -> Float[Tensor, "edges width"]:
        return nn.functional.embedding(codes, self.rows())


@final
class AtomTable(nn.Module):
    """Sum of one embedding per atom feature.

    Args:
        width: of the embeddings.
        sizes: values per feature.
    """

    starts: Tensor

    def __init__(self, width: int, sizes: Sequence[int] = OGB.atom_sizes) -> None:
        super().__init__()
        self.table = nn.Embedding(sum(sizes), width)
        self.register_buffer("starts", torch.tensor([sum(sizes[:n]) for n in range(len(sizes))]))

    def forward(self, atoms: Tensor) -> Float[Tensor, "atoms width"]:
        return nn.functional.embedding_bag(atoms + self.starts, self.table.weight, mode="sum")


class Network(nn.Module, ABC):
    """Rounds of message passing with bond features, each followed by batch normalisation, ReLU (not after the last
    one) and dropout; then one feature vector per molecule.

    Args:
        width: of all layers.
        layers: rounds of message passing.
        dropout: probability after each layer.
        readout: ``mean``, ``sum`` or ``max`` over the atoms, or ``attention``, a mean with learned weights.
        jumping: which layers count: the ``last`` one; or the ``sum``, the maximum (``max``) or all (``cat``) of the
            atom embedding and every layer; all of them make the result wider.
        features: what it sees: nine features per atom and three per bond in the manner of the Open Graph Benchmark
            (``ogb``), or two and two and loops, as Hu et al. have it (``hu``).

    Raises:
        ConfigError: no such read-out, jumping knowledge or features.

    References:
        Hu et al., ICLR 2020, arXiv:1905.12265; Xu et al., ICML 2018, arXiv:1806.03536 (jumping knowledge).
    """

    def __init__(
        self,
        *,
        width: int = 300,
        layers: int = 5,
        dropout: float = 0.5,
        readout: str = "mean",
        jumping: str = "last",
        features: str = "ogb",
    ) -> None:
        super().__init__()
        choices: tuple[tuple[str, str, Collection[str]], ...] = (
            ("readout", readout, READOUTS),
            ("jumping", jumping, JUMPING),
            ("features", features, FEATURES),
        )
        for option, value, known in choices:
            if value not in known:
                raise ConfigError(option, value, f"it must be one of {', '.join(known)}")
        for option, number in (("width", width), ("layers", layers)):
            if number < 1:
                raise ConfigError(option, number, "at least one is needed")
        self.readout, self.jumping = readout, jumping
        seen = FEATURES[features]
        self.featurize, self.has_loops = seen.featurize, seen.loops
        self.dim = width * (layers + 1) if jumping == "cat" else width
        self.atoms = AtomTable(width, seen.atom_sizes)
        self.bonds = nn.ModuleList(BondTable(width, seen.bond_sizes) for _ in range(layers))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)
        if readout == "attention":
            self.attention = AttentionalAggregation(nn.Linear(self.dim, 1))

    collate = staticmethod(collate)

    def forward(self, batch: Graphs) -> Float[Tensor, "batch dim"]:
        states = [self.atoms(batch.atoms)]
        for number in range(len(self.norms)):
            states.append(self.layer(number, states[-1], batch))
        return self._read(self._joined(states), batch)

    def layer(self, number: int, hidden: Float[Tensor, "atoms width"], batch: Graphs) -> Float[Tensor, "atoms width"]:
        """One round, with all that follows it."""
        hidden = self.norms[number](self.messages(number, hidden, batch).to(hidden.dtype))
        return self.dropout(hidden.relu() if self.is_inner(number) else hidden)

    @abstractmethod
    def messages(
        self, number: int, hidden: Float[Tensor, "atoms width"], batch: Graphs
    ) -> Float[Tensor, "atoms width"]:
        """What atoms learn from their neighbours: the difference between architectures."""

    def is_inner(self, number: int) -> bool:
        """Whether this layer is followed by another one."""
        return number < len(self.norms) - 1

    def _joined(self, states: Sequence[Tensor]) -> Float[Tensor, "atoms dim"]:
        if self.jumping == "last":
            return states[-1]
        if self.jumping == "cat":
            return torch.cat(list(states), dim=1)
        stacked = torch.stack(list(states))
        return stacked.sum(dim=0) if self.jumping == "sum" else stacked.amax(dim=0)

    def _read(self, states: Float[Tensor, "atoms dim"], batch: Graphs) -> Float[Tensor, "batch dim"]:
        if self.readout == "attention":
            return self.attention(states, batch.owner, dim_size=batch.size)
        pool = {"mean": global_mean_pool, "sum": global_add_pool, "max": global_max_pool}[self.readout]
        return pool(states, batch.owner, batch.size)


@final
class GIN(Network):
    """Graph isomorphism network with bond features: the paper's student (section 4.1).

    Per layer, :math:`h_i ← MLP((1+ε) h_i + Σ_j ReLU(h_j + e_{ij}))`; see ``Network`` for the rest.

    References:
        Xu et al., ICLR 2019, arXiv:1810.00826; Hu et al., ICLR 2020, arXiv:1905.12265.
    """

    def __init__(self, *, width: int = 300, layers: int = 5, **options: Any) -> None:
        super().__init__(width=width, layers=layers, **options)
        self.convolutions = nn.ModuleList(
            GINEConv(
                nn.Sequential(
                    nn.Linear(width, 2 * width), nn.BatchNorm1d(2 * width), nn.ReLU(), nn.Linear(2 * width, width)
                ),
                train_eps=True,
            )
            for _ in range(layers)
        )

    def messages(
        self, number: int, hidden: Float[Tensor, "atoms width"], batch: Graphs
    ) -> Float[Tensor, "atoms width"]:
        return self.convolutions[number](hidden, batch.edges, self.bonds[number](batch.bonds))

    def layer(self, number: int, hidden: Float[Tensor, "atoms width"], batch: Graphs) -> Float[Tensor, "atoms width"]:
        """In compiled loops and matrix products where they work."""
        if not fused.works(self, hidden):
            return super().layer(number, hidden, batch)
        convolution, bonds, norm, rows = self.convolutions[number], self.bonds[number], self.norms[number], len(hidden)
        assert isinstance(convolution, GINEConv)
        assert isinstance(bonds, BondTable)
        assert isinstance(norm, nn.BatchNorm1d)
        first, inner, _, second = convolution.nn
        hidden = fused.messages(hidden, batch.edges, batch.bonds, bonds.rows(), convolution.eps)
        hidden = fused.block(hidden, first, inner, rows=rows, relu=True)
        relu = self.is_inner(number)
        return fused.block(hidden, second, norm, rows=rows, relu=relu, drop=self.dropout.p, last=True)


STUDENTS.add("gin")(GIN)
