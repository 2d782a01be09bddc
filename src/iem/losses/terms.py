"""Masked means, and named terms that are weighed by name."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from iem.errors import ConfigError


def masked_mean(values: Float[Tensor, "..."], known: Bool[Tensor, "..."]) -> Float[Tensor, ""]:
    """Mean over known entries; zero, not NaN, when nothing is known. Unknown entries may hold anything, NaN too."""
    return torch.where(known, values, 0).sum() / known.sum().clamp(min=1)


class Loss(NamedTuple):
    """A weighted sum and what it is made of."""

    total: Tensor
    """What the optimiser sees; a scalar."""
    parts: dict[str, Tensor]
    """Unweighted and detached; what the log sees."""


def weigh(parts: Mapping[str, Tensor], weights: Mapping[str, float]) -> Loss:
    """Combine named terms.

    Raises:
        ConfigError: a weight names no term or a term has no weight, which can only be a slip.
    """
    if parts.keys() != weights.keys():
        raise ConfigError("weights", sorted(weights), f"the terms are {sorted(parts)}")
    total = torch.stack([weights[name] * term for name, term in parts.items()]).sum()
    return Loss(total, {name: term.detach() for name, term in parts.items()})
