"""Torch datasets: pictures of a corpus drawn on the fly, and molecules with their labels."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, final

import numpy as np
import torch
from rdkit.Chem import Mol
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from iem.chem.molecules import parse
from iem.chem.priors import DERIVED, PAPER, PRIORS
from iem.data.album import Album
from iem.data.corpus import Corpus, Record
from iem.records import PriorTarget
from iem.render.base import Renderer
from iem.render.depiction import Depiction, Sitter
from iem.render.views import in_plane


class Augmentation(NamedTuple):
    """How a picture may vary from visit to visit."""

    views: int
    """Views drawn per visit, chosen at random without repetition from the view set."""
    turn: bool
    """Turn every picture by a random angle in its plane; done on the coordinates, so nothing is resampled."""
    flip: bool
    """Mirror with probability 1/2. A mirrored picture shows the enantiomer."""
    grey: float
    """Probability of a picture without colours."""
    depictions: int = 0
    """Depictions of a molecule, each turned by an angle of its own; then they come round again. 0 for ever new ones."""


STILL = Augmentation(views=0, turn=False, flip=False, grey=0.0)
"""All views of the set, as they are: for validation and for features."""


def answers(names: Sequence[str], record: Record, mol: Mol) -> dict[str, PriorTarget]:
    """What a molecule of a corpus answers to some questions; ``mol`` as its SMILES reads."""
    return {
        name: record.priors[name] if name in record.priors else DERIVED[name](mol, record.geometry) for name in names
    }


def prior_statistics(
    corpus: Corpus, indices: np.ndarray, names: Sequence[str], *, seed: int, most: int = 20_000
) -> Mapping[str, tuple[np.ndarray, np.ndarray]]:
    """Mean and unit of every component of some priors over known values, float32 ``(size,)`` each, by name.

    The unit is the standard deviation, 1 where nothing varies, and never below that of the prior.

    Args:
        corpus: the molecules.
        indices: those that count.
        names: of the priors.
        seed: of the sample, if there are too many.
        most: molecules that are looked at.
    """
    if len(indices) > most:
        indices = np.random.default_rng(seed).choice(indices, most, replace=False)
    gathered: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for index in indices:
        record = corpus[int(index)]
        for name, target in answers(names, record, parse(record.smiles)).items():
            gathered[name].append(np.where(target.known, target.values, np.nan))
    statistics = {}
    for name, rows in gathered.items():
        values = np.ma.masked_invalid(np.stack(rows))
        mean, std = values.mean(axis=0).filled(0), values.std(axis=0).filled(1)
        unit = np.where(std > 1e-6, std, 1).clip(min=PRIORS[name].unit)
        statistics[name] = (mean.astype(np.float32), unit.astype(np.float32))
    return statistics


class Visit(NamedTuple):
    """What is decided of a visit before anything is drawn."""

    row: int
    """Which molecule of the corpus it is of."""
    place: int
    """Of its depiction in an album; -1 if it will not come round again."""
    record: Record
    rotations: np.ndarray
    sitter: Sitter
    rng: np.random.Generator
    """For what is decided when the pictures are there."""


@final
class PictureDataset(Dataset[dict[str, Tensor]]):
    """Depiction, 3D views and priors of the molecules of a corpus, drawn when asked for.

    An item is asked for by ``(visit, index)``. What is drawn follows from the seed, the visit and the index alone, so
    neither the number of workers nor an interruption changes it.

    Args:
        corpus: molecules with geometry and priors.
        renderer: draws the 3D views.
        depiction: draws the 2D picture.
        rotations: the view set, ``(views, 3, 3)``.
        priors: names of the questions that come along.
        augmentation: ``STILL`` draws every view of the set.
        seed: of all random choices.
        album: keeps the depictions that come round again.
    """

    def __init__(
        self,
        corpus: Corpus,
        *,
        renderer: Renderer,
        depiction: Depiction,
        rotations: np.ndarray,
        priors: Sequence[str] = PAPER,
        augmentation: Augmentation = STILL,
        seed: int = 0,
        album: Album | None = None,
    ) -> None:
        self.corpus, self.renderer, self.depiction, self.album = corpus, renderer, depiction, album
        self.rotations, self.priors, self.augmentation, self.seed = rotations, priors, augmentation, seed

    def __len__(self) -> int:
        return len(self.corpus)

    def __getitem__(self, item: tuple[int, int]) -> dict[str, Tensor]:
        """Tensors ``flat`` (height, width, 3) and ``views`` (views, height, width, 3), uint8, per prior its values
        ``<prior>`` and mask ``<prior>_known``, and ``index``, which molecule of the corpus it is.
        """
        return self.__getitems__([item])[0]

    def __getitems__(self, items: Sequence[tuple[int, int]]) -> list[dict[str, Tensor]]:
        """Several at once, as a loader asks for them: those depictions that are not kept are drawn together."""
        visits = [self._visit(*item) for item in items]
        return [self._tensors(visit, flat) for visit, flat in zip(visits, self._depictions(visits), strict=True)]

    def _depictions(self, visits: Sequence[Visit]) -> list[np.ndarray]:
        """Of each visit, from the album if it is there; what is drawn is put there."""
        album = self.album
        if album is None:
            return [*self.depiction.together([visit.sitter for visit in visits])]
        found = [album.get(visit.place) if visit.place >= 0 else None for visit in visits]
        fresh = [visit for visit, kept in zip(visits, found, strict=True) if kept is None]
        drawn = self.depiction.together([visit.sitter for visit in fresh]) if fresh else np.empty(0)
        for visit, picture in zip(fresh, drawn, strict=True):
            if visit.place >= 0:
                album.put(visit.place, picture)
        rest = iter(drawn)
        return [next(rest) if kept is None else kept for kept in found]

    def _visit(self, visit: int, index: int) -> Visit:
        rng, how = np.random.default_rng((self.seed, visit, index)), self.augmentation
        record = self.corpus[index]
        mol = parse(record.smiles)
        rotations, angle, place = self.rotations, 0.0, -1
        if how.views:
            rotations = rotations[rng.choice(len(rotations), size=how.views, replace=False)]
        if how.turn:
            angle = float(rng.uniform(0, 360))
            rotations = np.stack([in_plane(rng.uniform(0, 360)) @ rotation for rotation in rotations])
        if how.depictions:
            number = visit % how.depictions
            place = number * len(self.corpus) + index
            angle = float(np.random.default_rng((self.seed, number, index, 1)).uniform(0, 360)) if how.turn else 0.0
        return Visit(index, place, record, rotations, Sitter(mol, angle, record.layout), rng)

    def _tensors(self, visit: Visit, flat: np.ndarray) -> dict[str, Tensor]:
        row, _, record, rotations, sitter, rng = visit
        how = self.augmentation
        pictures = np.concatenate([flat[None], self.renderer(record.geometry, rotations)])
        if how.flip:
            flipped = rng.random(len(pictures)) < 0.5
            pictures[flipped] = pictures[flipped, :, ::-1]
        if how.grey:
            grey = rng.random(len(pictures)) < how.grey
            pictures[grey] = (pictures[grey] @ np.array([0.299, 0.587, 0.114])).round().astype(np.uint8)[..., None]
        tensors = {"flat": torch.from_numpy(pictures[0]), "views": torch.from_numpy(pictures[1:])}
        tensors["index"] = torch.tensor(row)
        for name, target in answers(self.priors, record, sitter.mol).items():
            tensors[name] = torch.from_numpy(target.values)
            tensors[f"{name}_known"] = torch.from_numpy(target.known)
        return tensors


@final
class Rounds(Sampler[tuple[int, int]]):
    """An endless shuffled walk over some molecules, cut into rounds of equal length.

    A round is what the trainer calls an epoch. Position p of the walk belongs to pass ``p // n``, each pass in an
    order of its own, so every round can be drawn without the rounds before it.

    Args:
        indices: the molecules.
        length: of a round.
        seed: of the orders.
        multiple: only a multiple of so many visits is made in a round; the few at its end are left out.
        rank: of this process; of every ``ranks`` visits in a row it makes one. So batches of b in each of n processes
            are together the batches of n·b in one.
        ranks: processes that share the walk; ``multiple`` is divisible by their number.
    """

    def __init__(
        self,
        indices: Sequence[int] | np.ndarray,
        *,
        length: int,
        seed: int,
        multiple: int = 1,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self.indices, self.length, self.seed, self.round = np.asarray(indices), length, seed, 0
        self.made, self.rank, self.ranks = length - length % multiple, rank, ranks

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each round."""
        self.round = epoch

    def __len__(self) -> int:
        return self.made // self.ranks

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return islice(self._walk(), self.rank, None, self.ranks)

    def _walk(self) -> Iterator[tuple[int, int]]:
        """The round as all processes make it together."""
        position, total = self.round * self.length, len(self.indices)
        end = position + self.made
        while position < end:
            visit, offset = divmod(position, total)
            order = np.random.default_rng((self.seed, visit)).permutation(self.indices)
            part = order[offset : offset + end - position]
            yield from ((visit, int(index)) for index in part)
            position += len(part)


class GraphBatch(NamedTuple):
    """Some molecules as a student eats them, with what they must teach."""

    graphs: Any
    """The student's own batch."""
    labels: Tensor
    """Float (batch, tasks), NaN where missing; standardised for regression."""
    features: Tensor
    """The teacher's features, float (batch, dim); NaN rows for molecules without a picture."""
    atoms: Tensor
    """Heavy atoms of each molecule, int64 (batch,): how far its geometry prior is known."""
    answers: dict[str, tuple[Tensor, Tensor]]
    """Standardised answers to prior questions and where they are known, float and bool (batch, size), by name."""

    def to(self, device: torch.device) -> "GraphBatch":
        """The same batch on another device."""
        graphs, labels, features, atoms, answers = self
        moved = {name: (values.to(device), known.to(device)) for name, (values, known) in answers.items()}
        return GraphBatch(graphs.to(device), labels.to(device), features.to(device), atoms.to(device), moved)
