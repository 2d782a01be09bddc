"""The form in which a student learns a teacher's features."""

from typing import final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

LEAST = 0.1
"""Of the root mean square of all units: no feature has a smaller one."""


@final
class FeatureScale(nn.Module):
    """Between a teacher's features and what a student learns of them: roots in standard units.

    The features of a network that ends in ReLU and a mean are zero for most molecules and large for a few: their square
    is ruled by one molecule in a hundred, and their unit is a tenth of what a student's linear layer makes. Roots
    (of the absolute value, with its sign) have neither.

    Args:
        dim: of the teacher.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("std", torch.ones(dim))

    @classmethod
    def of(cls, features: Float[np.ndarray, "molecules dim"]) -> "FeatureScale":
        """The scale in which these molecules, at least one, have mean 0 and most of them deviation 1.

        A feature that sleeps in them is not blown up: no unit is less than a tenth of the usual one.
        """
        roots = _root(torch.from_numpy(features).float())
        std = roots.std(dim=0, unbiased=False)
        scale = cls(features.shape[1])
        scale.mean.copy_(roots.mean(dim=0))
        scale.std.copy_(std.clamp(min=max(1e-6, LEAST * float(std.square().mean().sqrt()))))
        return scale

    def forward(self, features: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch dim"]:
        """From a teacher's features to what is learned."""
        return (_root(features) - self.mean) / self.std

    def back(self, learned: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch dim"]:
        """From what is learned to a teacher's features, as its heads want them."""
        roots = learned * self.std + self.mean
        return roots * roots.abs()


def _root(features: Tensor) -> Tensor:
    return features.sign() * features.abs().sqrt()
