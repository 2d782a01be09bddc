"""Molecules as a training sees them: row by row, in batches, with unlabelled ones among them."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, final

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from iem.data.datasets import GraphBatch, Rounds


class Molecules(NamedTuple):
    """Everything about some molecules that training needs; row i is the same molecule everywhere."""

    graphs: Sequence[Any]
    labels: np.ndarray
    """float64 (molecules, targets), as given; NaN where missing."""
    features: np.ndarray
    """float32 (molecules, dim), the teacher's; NaN rows where there is no picture, width 0 without a teacher."""
    atoms: np.ndarray
    """Heavy atoms, int64 (molecules,)."""
    answers: Mapping[str, tuple[np.ndarray, np.ndarray]] = MappingProxyType({})
    """To prior questions, by name: standardised float32 values and where they are known, (molecules, size) each."""

    def loader(
        self,
        student: Any,
        rows: np.ndarray,
        *,
        batch_size: int,
        shuffle_seed: int | None,
        extra: np.ndarray | None = None,
    ) -> DataLoader:
        """Batches of the molecules in these rows, shuffled anew in every epoch if a seed is given.

        Args:
            student: puts graphs together.
            rows: of the molecules; an epoch is one pass over them.
            batch_size: of these molecules in a batch.
            shuffle_seed: of their order; None keeps it as it is.
            extra: rows of further molecules, of which a shuffled batch gets one for each of the others; they walk on
                from epoch to epoch, however many they are.
        """
        labels, features = torch.from_numpy(self.labels).float(), torch.from_numpy(self.features)
        atoms = torch.from_numpy(self.atoms)
        answers = {
            name: (torch.from_numpy(values), torch.from_numpy(known)) for name, (values, known) in self.answers.items()
        }

        def collate(items: Sequence[tuple[int, int]]) -> GraphBatch:
            picked = [index for _, index in items]
            graphs = student.collate([self.graphs[index] for index in picked])
            asked = {name: (values[picked], known[picked]) for name, (values, known) in answers.items()}
            return GraphBatch(graphs, labels[picked], features[picked], atoms[picked], asked)

        order: Any = [(0, int(row)) for row in rows]
        if shuffle_seed is not None:
            order = Rounds(rows, length=len(rows), seed=shuffle_seed)
            if extra is not None and len(extra):
                order = Paired(order, Rounds(extra, length=len(rows), seed=shuffle_seed))
                batch_size *= 2
        alone = shuffle_seed is not None and len(order) % batch_size == 1  # batch norm cannot learn from one atom
        return DataLoader(_Same(), sampler=order, batch_size=batch_size, collate_fn=collate, drop_last=alone)


def shown(keys: Sequence[str], share: float, seed: int) -> np.ndarray:
    """Whether each molecule is among the drawn ones, bool (molecules,); a molecule on several rows is or is not.

    Args:
        keys: canonical SMILES.
        share: of the different molecules, above 0 to 1; at least one is drawn.
        seed: of the draw.
    """
    if share == 1:
        return np.ones(len(keys), bool)
    distinct = sorted(set(keys))
    count = max(1, round(share * len(distinct)))
    kept = {distinct[place] for place in np.random.default_rng(seed).permutation(len(distinct))[:count]}
    return np.array([key in kept for key in keys])


@final
class Paired(Sampler[tuple[int, int]]):
    """Two walks of equal length, step by step in turn."""

    def __init__(self, one: Rounds, other: Rounds) -> None:
        self.walks = one, other

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each round."""
        for walk in self.walks:
            walk.set_epoch(epoch)

    def __len__(self) -> int:
        return sum(map(len, self.walks))

    def __iter__(self) -> Iterator[tuple[int, int]]:
        for pair in zip(*self.walks, strict=True):
            yield from pair


class _Same(Dataset[tuple[int, int]]):
    """The identity as a dataset: what the sampler names is what the collate function gets."""

    def __getitem__(self, index: tuple[int, int]) -> tuple[int, int]:
        return index
