"""One small network per prior, shared by 2D and 3D features."""

from collections.abc import Mapping
from typing import final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn


@final
class PriorHead(nn.Module):
    """FC(dim → 256), softplus, FC(256 → size): the paper's predictor of one prior (section 3.2, appendix).

    Predicts in standard units, ``(value - mean) / std`` per component; the statistics are buffers, so they travel
    with the weights. With mean 0 and std 1 it predicts raw values, as the paper's does.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, dim: int, size: int, *, hidden: int = 256) -> None:
        super().__init__()
        self.first = nn.Linear(dim, hidden)
        self.second = nn.Linear(hidden, size)
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("std", torch.ones(size))

    def forward(self, features: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch size"]:
        return self.second(nn.functional.softplus(self.first(features)))

    def standardise(self, values: Float[Tensor, "batch size"]) -> Float[Tensor, "batch size"]:
        """From the prior's own units to the head's."""
        return (values - self.mean) / self.std


def prior_heads(dim: int, sizes: Mapping[str, int]) -> nn.ModuleDict:
    """One head per prior, named like the priors."""
    return nn.ModuleDict({name: PriorHead(dim, size) for name, size in sizes.items()})


def set_scales(heads: nn.ModuleDict, statistics: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Let heads answer in standard units.

    Args:
        heads: as ``prior_heads`` makes them.
        statistics: by prior, mean and unit of each component, float ``(size,)``.
    """
    for name, (mean, std) in statistics.items():
        head = heads[name]
        assert isinstance(head, PriorHead)
        head.mean.copy_(torch.from_numpy(mean))
        head.std.copy_(torch.from_numpy(std))
