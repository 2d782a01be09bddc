"""Message-passing networks: what all have in common, and the paper's student."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Any, Literal, cast, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from iem.errors import ConfigError
from iem.students import fused
from iem.students.base import STUDENTS, check_dropout
from iem.students.batches import Graphs, collate
from iem.students.environments import Environments, environments
from iem.students.features import OGB
from iem.students.hu import HU

FEATURES = {"ogb": OGB, "hu": HU}
ADDING = ("mean", "sum", "norm")
"""Read-outs that follow from the sum over the atoms."""
READOUTS = (*ADDING, "max", "attention")
NORM = 100.0
"""What ``norm`` divides the sum by; chemprop's constant."""
LARGEST = 10_000
"""Width, and layers: beyond it somebody has mistyped."""
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


def pool(
    states: Float[Tensor, "atoms width"], owner: Int[Tensor, " atoms"], size: int, how: Literal["sum", "max"]
) -> Float[Tensor, "size width"]:
    """Sum or maximum over the atoms of each of ``size`` molecules; 0 for one without atoms."""
    out = states.new_zeros(size, states.shape[1])
    if how == "max":
        return out.scatter_reduce_(0, owner[:, None].expand_as(states), states, "amax", include_self=False)
    return out.index_add_(0, owner, states)


def added(total: Float[Tensor, "batch width"], sizes: Int[Tensor, " batch"]) -> dict[str, Float[Tensor, "batch width"]]:
    """The read-outs that follow from the sum over the atoms of molecules of these sizes, by name."""
    return {"sum": total, "norm": total / NORM, "mean": total / sizes.clamp(min=1)[:, None]}


@final
class Attention(nn.Module):
    """A mean over the atoms of a molecule with weights that are learned, a softmax over one number per atom.

    Args:
        width: of the states.

    References:
        Li et al., ICLR 2016, arXiv:1511.05493.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate_nn = nn.Linear(width, 1)

    def forward(
        self, states: Float[Tensor, "atoms width"], owner: Int[Tensor, " atoms"], size: int
    ) -> Float[Tensor, "size width"]:
        gates = self.gate_nn(states)
        weights = (gates - pool(gates.detach(), owner, size, "max")[owner]).exp()
        return pool(weights * states, owner, size, "sum") / pool(weights, owner, size, "sum").clamp(min=1e-16)


class Network(nn.Module, ABC):
    """Rounds of message passing with bond features, each followed by batch normalisation, ReLU (not after the last
    one) and dropout; then one feature vector per molecule.

    Args:
        width: of all layers.
        layers: rounds of message passing.
        dropout: probability after each layer.
        readout: ``mean``, ``sum`` or ``max`` over the atoms; ``norm``, the sum over 100, a unit in which it trains
            like a mean; ``attention``, a mean with learned weights; or several side by side, joined by ``+``. A mean
            does not know how large a molecule is, a sum extrapolates to larger ones.
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
        readouts = tuple(str(readout).split("+"))  # a number is one, too, though a wrong one
        choices: tuple[tuple[str, str, Collection[str]], ...] = (
            *(("readout", one, READOUTS) for one in readouts),
            ("jumping", jumping, JUMPING),
            ("features", features, FEATURES),
        )
        for option, value, known in choices:
            if value not in known:
                raise ConfigError(option, value, f"it must be one of {', '.join(known)}")
        for option, number in (("width", width), ("layers", layers)):
            if not isinstance(number, int) or not 1 <= number <= LARGEST:
                raise ConfigError(option, number, f"it must be a whole number from 1 to {LARGEST:,}")
        check_dropout(dropout)
        self.readouts, self.jumping = readouts, jumping
        seen = FEATURES[features]
        self.featurize, self.has_loops = seen.featurize, seen.loops
        read = width * (layers + 1) if jumping == "cat" else width
        self.dim = read * len(readouts)
        self.atoms = AtomTable(width, seen.atom_sizes)
        self.bonds = nn.ModuleList(BondTable(width, seen.bond_sizes) for _ in range(layers))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)
        if "attention" in readouts:
            self.attention = Attention(read)

    collate = staticmethod(collate)

    def forward(self, batch: Graphs) -> Float[Tensor, "batch dim"]:
        """Once for all atoms with the same surroundings, where nothing tells them apart: in evaluation, which is also
        how a student with a head start is trained; in main memory.
        """
        rounds = len(self.norms)
        if any(module.training for module in self.modules()) or batch.atoms.device.type != "cpu":
            apart = Environments.apart(batch)
            states = [self.atoms(batch.atoms)]
            for number in range(rounds):
                states.append(self.layer(number, states[-1], apart))
            return self._read(self._joined(states), batch)
        smallest, *larger = environments(batch, rounds)
        hidden = self.atoms(batch.atoms[smallest.examples])
        states = [hidden[smallest.kind]] if self.jumping != "last" else []
        for number, near in enumerate(larger):
            hidden = self.layer(number, hidden, near)
            if self.jumping != "last" or number == rounds - 1:
                states.append(hidden[near.kind])
        return self._read(self._joined(states), batch)

    def layer(
        self, number: int, hidden: Float[Tensor, "before width"], near: Environments
    ) -> Float[Tensor, "after width"]:
        """One round, with all that follows it."""
        hidden = self.norms[number](self.messages(number, hidden, near).to(hidden.dtype))
        return self.dropout(hidden.relu() if self.is_inner(number) else hidden)

    @abstractmethod
    def messages(
        self, number: int, hidden: Float[Tensor, "before width"], near: Environments
    ) -> Float[Tensor, "after width"]:
        """What atoms learn from their neighbours: the difference between architectures.

        Args:
            number: of the round, from 0.
            hidden: states of the smaller environments.
            near: those whose states are wanted; where every atom is for itself, the two are the same.
        """

    def is_inner(self, number: int) -> bool:
        """Whether this layer is followed by another one."""
        return number < len(self.norms) - 1

    def _joined(self, states: Sequence[Tensor]) -> Float[Tensor, "atoms read"]:
        if self.jumping == "last":
            return states[-1]
        if self.jumping == "cat":
            return torch.cat(list(states), dim=1)
        stacked = torch.stack(list(states))
        return stacked.sum(dim=0) if self.jumping == "sum" else stacked.amax(dim=0)

    def _read(self, states: Float[Tensor, "atoms read"], batch: Graphs) -> Float[Tensor, "batch dim"]:
        found: dict[str, Tensor] = {}
        if any(how in ADDING for how in self.readouts):
            found = added(pool(states, batch.owner, batch.size, "sum"), batch.sizes)
        if "max" in self.readouts:
            found["max"] = pool(states, batch.owner, batch.size, "max")
        if "attention" in self.readouts:
            found["attention"] = self.attention(states, batch.owner, batch.size)
        return torch.cat([found[how] for how in self.readouts], dim=1)


@final
class GINE(nn.Module):
    """One round of a graph isomorphism network with bond features.

    The layer of torch-geometric (``GINEConv``), to the last bit and with its names, without the second and a half that
    importing that package takes.

    Args:
        network: what the sum goes through, from ``width`` to ``width``.

    References:
        Hu et al., ICLR 2020, arXiv:1905.12265.
    """

    def __init__(self, network: nn.Sequential) -> None:
        super().__init__()
        self.nn, self.eps = network, nn.Parameter(torch.zeros(1))
        for layer in network:
            if isinstance(layer, nn.Linear):  # again, as torch-geometric does: so a seed gives the same network
                layer.reset_parameters()

    def forward(
        self,
        hidden: Float[Tensor, "before width"],
        edges: Int[Tensor, "2 edges"],
        bonds: Float[Tensor, "edges width"],
        own: Float[Tensor, "after width"] | None = None,
    ) -> Float[Tensor, "after width"]:
        """``own``: the states of those who receive messages, if they are not those who send them."""
        source, target = edges
        own = hidden if own is None else own
        messages = (hidden[source] + bonds).relu()
        total = messages.new_zeros(own.shape).index_add_(0, target, messages)
        return self.nn(total + (1 + self.eps) * own)


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
            GINE(
                nn.Sequential(
                    nn.Linear(width, 2 * width), nn.BatchNorm1d(2 * width), nn.ReLU(), nn.Linear(2 * width, width)
                )
            )
            for _ in range(layers)
        )

    def messages(
        self, number: int, hidden: Float[Tensor, "before width"], near: Environments
    ) -> Float[Tensor, "after width"]:
        bonds = self.bonds[number](near.bonds)
        return self.convolutions[number](hidden, near.edges, bonds, hidden[near.centres])

    def forward(self, batch: Graphs) -> Float[Tensor, "batch dim"]:
        """In compiled loops and matrix products where they work, and there once for all atoms with the same
        surroundings: until dropout tells them apart.
        """
        if not fused.works(self, self.atoms.table.weight, len(batch.atoms)):
            return super().forward(batch)
        drop, layers = self.dropout.p if self.training else 0.0, len(self.norms)
        smallest, *larger = environments(batch, 1 if drop else layers)
        hidden = self.atoms(batch.atoms[smallest.examples])
        if self._is_linear_at_the_end:
            for number, near in enumerate(larger[:-1]):
                hidden = self._round(number, hidden, near)
            return self._last_round(hidden, larger[-1], batch)
        states = [hidden[smallest.kind]]
        for number, near in enumerate(larger):
            hidden = self._round(number, hidden, near)
            states.append(hidden[near.kind])
        if drop:
            states[1], apart = nn.functional.dropout(states[1], drop), Environments.apart(batch)
            for number in range(1, layers):
                states.append(self._round(number, states[-1], apart, drop))
        return self._read(self._joined(states), batch)

    @property
    def _is_linear_at_the_end(self) -> bool:
        """Whether nothing bends after the hidden layer of the last round."""
        return not self.training and self.jumping == "last" and all(how in ADDING for how in self.readouts)

    def _last_round(
        self, hidden: Float[Tensor, "before width"], near: Environments, batch: Graphs
    ) -> Float[Tensor, "batch dim"]:
        """Added up first: its second layer then has to be computed for molecules and not for atoms."""
        number = len(self.norms) - 1
        wide, sizes = self._widened(number, hidden, near).float(), batch.sizes
        total = nn.functional.embedding_bag(near.kind, wide, sizes.cumsum(0) - sizes, mode="sum")
        with torch.autocast("cpu", enabled=False):
            weight, shift = fused.affine(*self._second(number))
            found = added(total @ weight.T + sizes[:, None] * shift, sizes)
        return torch.cat([found[how] for how in self.readouts], dim=1)

    def _round(
        self, number: int, hidden: Float[Tensor, "before width"], near: Environments, drop: float = 0.0
    ) -> Float[Tensor, "after width"]:
        """From states of the smaller environments to those of the larger."""
        wide, relu = self._widened(number, hidden, near), self.is_inner(number)
        return fused.block(wide, *self._second(number), counts=near.counts, relu=relu, drop=drop, last=True)

    def _widened(
        self, number: int, hidden: Float[Tensor, "before width"], near: Environments
    ) -> Float[Tensor, "room wide"]:
        """The first half of a round, up to the hidden layer of its network."""
        convolution, bonds = self.convolutions[number], self.bonds[number]
        assert isinstance(convolution, GINE)
        assert isinstance(bonds, BondTable)
        first, inner, *_ = cast(Any, convolution.nn)
        hidden = fused.messages(hidden, near, bonds.rows(), convolution.eps)
        return fused.block(hidden, first, inner, counts=near.counts, relu=True)

    def _second(self, number: int) -> tuple[nn.Linear, nn.BatchNorm1d]:
        """What follows in a round: the second layer of its network, and a normalisation."""
        *_, second = cast(Any, self.convolutions[number]).nn
        return second, cast(nn.BatchNorm1d, self.norms[number])


STUDENTS.add("gin")(GIN)
