"""Graphs put together for a network."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from iem.students.features import Graph


class Graphs(NamedTuple):
    """Several molecules as one graph that falls into parts."""

    atoms: Tensor
    """int64 (atoms, features)."""
    edges: Tensor
    """int64 (2, edges)."""
    bonds: Tensor
    """int64 (edges,)."""
    owner: Tensor
    """The molecule of each atom, int64 (atoms,), ascending."""
    size: int
    """Number of molecules."""

    @property
    def sizes(self) -> Tensor:
        """Atoms of each molecule, int64 (size,)."""
        return torch.bincount(self.owner, minlength=self.size)

    def to(self, device: torch.device) -> "Graphs":
        """The same graph on another device."""
        atoms, edges, bonds, owner, size = self
        return Graphs(atoms.to(device), edges.to(device), bonds.to(device), owner.to(device), size)


def collate(graphs: Sequence[Graph]) -> Graphs:
    """Put molecules side by side; atoms and edges keep their order."""
    sizes = np.array([len(graph.atoms) for graph in graphs])
    shifts = np.repeat(np.cumsum(sizes) - sizes, [len(graph.bonds) for graph in graphs])
    return Graphs(
        torch.from_numpy(np.concatenate([graph.atoms for graph in graphs])),
        torch.from_numpy(np.add(np.concatenate([graph.edges for graph in graphs], axis=1), shifts, order="C")),
        torch.from_numpy(np.concatenate([graph.bonds for graph in graphs])),
        torch.from_numpy(np.repeat(np.arange(len(graphs)), sizes)),
        len(graphs),
    )
