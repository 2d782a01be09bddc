"""The networks of the study of priors, and what each of them sees of a molecule."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, final

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.utils.data import Dataset

from iem.chem.molecules import parse
from iem.chem.priors import PAPER, PRIORS
from iem.nn.egnn import EGNN, pairs_within
from iem.nn.encoders import ImageEncoder
from iem.nn.heads import prior_heads
from iem.records import Geometry
from iem.render.ballstick import BallStick
from iem.render.depiction import Depiction
from iem.render.views import rotations
from iem.students.architectures import GCN
from iem.students.batches import Graphs, collate
from iem.students.features import BOND_SIZES, Graph
from iem.students.gnn import GIN, AtomTable, pool
from iem.workflows.prior_study.recipe import StudyRecipe

with warnings.catch_warnings():  # torch-geometric still decorates with what torch has deprecated
    warnings.simplefilter("ignore", FutureWarning)
    from torch_geometric.nn.models import SchNet

CUTOFF = 10.0
"""Ångström. Two atoms of a molecule that are nearer exchange messages in EGNN and SchNet; SchNet's own default."""

Form = Literal["graph", "layout", "space", "depiction", "views"]


class Exhibit(NamedTuple):
    """One molecule, with all that any of the networks may see of it; atoms are the same in all."""

    smiles: str
    graph: Graph
    layout: np.ndarray
    """Of the depiction, (atoms, 2); bonds are 1.5 long."""
    geometry: Geometry


class Placed(NamedTuple):
    """Graphs whose atoms have a place."""

    graphs: Graphs
    positions: Tensor
    """float32 (atoms, 2 or 3), ångström or units of the layout."""

    def to(self, device: torch.device) -> "Placed":
        """The same on another device."""
        return Placed(self.graphs.to(device), self.positions.to(device))


@final
class Exhibition(Dataset[tuple[int, Any]]):
    """Molecules in the form that one model sees; an item is asked for by visit and place, and is place and form.

    Args:
        exhibits: the molecules.
        form: what is seen.
        recipe: of the pictures.
        seed: of the views; ``None`` shows all of the set.
    """

    def __init__(self, exhibits: Sequence[Exhibit], form: Form, recipe: StudyRecipe, seed: int | None = None) -> None:
        self.exhibits, self.form, self.recipe, self.seed = exhibits, form, recipe, seed
        self._depiction, self._renderer = Depiction(recipe.size), BallStick(recipe.size)
        self._rotations = rotations(recipe.view_set)

    def __len__(self) -> int:
        return len(self.exhibits)

    def __getitem__(self, item: tuple[int, int]) -> tuple[int, Any]:
        """Place, and: the graph; graph and positions (atoms, dims); or pictures, uint8 (views, height, width, 3)."""
        visit, place = item
        shown = self.exhibits[place]
        if self.form == "graph":
            return place, shown.graph
        if self.form == "layout":
            return place, (shown.graph, shown.layout)
        if self.form == "space":
            return place, (shown.graph, shown.geometry.coordinates)
        if self.form == "depiction":
            return place, self._depiction(parse(shown.smiles), layout=shown.layout)[None]
        turned = self._rotations
        if self.seed is not None and self.recipe.views < len(turned):
            rng = np.random.default_rng((self.seed, visit, place))
            turned = turned[rng.choice(len(turned), size=self.recipe.views, replace=False)]
        return place, self._renderer(shown.geometry, turned)


def together(items: Sequence[tuple[int, Any]]) -> tuple[Tensor, Any]:
    """Places, int64 (batch,), and what the network takes: ``Graphs``, ``Placed`` or pictures
    (batch, views, height, width, 3).
    """
    places, forms = torch.tensor([place for place, _ in items]), [form for _, form in items]
    if isinstance(forms[0], Graph):
        return places, collate(forms)
    if isinstance(forms[0], tuple):
        positions = np.concatenate([positions for _, positions in forms]).astype(np.float32)
        return places, Placed(collate([graph for graph, _ in forms]), torch.from_numpy(positions))
    return places, torch.from_numpy(np.stack(forms))


@final
class PlacedEGNN(nn.Module):
    """EGNN over all pairs of near atoms, told which of them are bonded and how; the sum over atoms.

    References:
        Satorras et al., ICML 2021, arXiv:2102.09844, section 5.3 (all pairs, sum).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dim = width
        self.atoms = AtomTable(width)
        self.network = EGNN(width, kinds=1 + int(np.prod(BOND_SIZES)))

    def forward(self, seen: Placed) -> Float[Tensor, "batch dim"]:
        graphs, positions = seen
        pairs = pairs_within(positions, graphs.owner, CUTOFF)
        bonded = torch.zeros(len(positions), len(positions), dtype=torch.int64, device=positions.device)
        bonded[graphs.edges[0], graphs.edges[1]] = graphs.bonds + 1  # 0: no bond
        hidden = self.network(self.atoms(graphs.atoms), positions, pairs, bonded[pairs[0], pairs[1]])
        return pool(hidden, graphs.owner, graphs.size, "sum")


@final
class PlacedSchNet(nn.Module):
    """SchNet of torch-geometric without its last two layers, which would answer with an energy; the sum over atoms.

    References:
        Schütt et al., NeurIPS 2017, arXiv:1706.08566.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dim = width
        self.network = SchNet(
            hidden_channels=width, num_filters=width, cutoff=CUTOFF, interaction_graph=_pairs_with_distances
        )
        self.most = self.network.embedding.num_embeddings - 1
        self.network.lin1, self.network.act, self.network.lin2 = nn.Identity(), nn.Identity(), nn.Identity()

    def forward(self, seen: Placed) -> Float[Tensor, "batch dim"]:
        numbers = seen.graphs.atoms[:, 0].clamp(max=self.most)
        return self.network(numbers, seen.positions, seen.graphs.owner)


def _pairs_with_distances(positions: Tensor, owner: Tensor) -> tuple[Tensor, Tensor]:
    first, second = pairs = pairs_within(positions, owner, CUTOFF)
    return pairs, (positions[first] - positions[second]).norm(dim=1)


@final
class ViewEncoder(nn.Module):
    """An image encoder over all pictures of a molecule; the mean over views (section 3.3 of the paper)."""

    def __init__(self, architecture: str) -> None:
        super().__init__()
        self.encoder = ImageEncoder(architecture)
        self.dim = self.encoder.dim

    def forward(self, pictures: UInt8[Tensor, "batch views height width 3"]) -> Float[Tensor, "batch dim"]:
        return self.encoder(pictures.flatten(0, 1)).unflatten(0, pictures.shape[:2]).mean(dim=1)


class Kind(NamedTuple):
    """One model of the study."""

    title: str
    form: Form
    body: Callable[[StudyRecipe], nn.Module]
    """What comes before the heads; has a ``dim``."""


KINDS: dict[str, Kind] = {
    "gcn": Kind("GCN", "graph", lambda recipe: GCN(width=recipe.width, dropout=0.0)),
    "gin": Kind("GIN", "graph", lambda recipe: GIN(width=recipe.width, dropout=0.0)),
    "egnn-2d": Kind("EGNN 2D", "layout", lambda recipe: PlacedEGNN(recipe.width)),
    "egnn-3d": Kind("EGNN 3D", "space", lambda recipe: PlacedEGNN(recipe.width)),
    "schnet": Kind("SchNet", "space", lambda recipe: PlacedSchNet(recipe.width)),
    "resnet-2d": Kind("ResNet 2D", "depiction", lambda recipe: ViewEncoder(recipe.encoder)),
    "resnet-3d": Kind("ResNet 3D", "views", lambda recipe: ViewEncoder(recipe.encoder)),
}
"""By name, as in ``iem.workflows.priors.MODELS``."""


@final
class PriorNetwork(nn.Module):
    """A body and the four heads of the paper; answers in standard units, by prior, each (batch, size)."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body
        assert isinstance(body.dim, int)
        self.heads = prior_heads(body.dim, {name: PRIORS[name].size for name in PAPER})

    def forward(self, seen: Any) -> dict[str, Tensor]:
        features = self.body(seen)
        return {name: head(features) for name, head in self.heads.items()}
