"""Rows of all processes of a training, so that each sees the batch that one process alone would see."""

from typing import Any, final

import torch
from jaxtyping import Shaped
from torch import Tensor, distributed


@final
class _Joined(torch.autograd.Function):
    """Forwards the parts of all processes; backwards the sum of what all processes say about one's own part."""

    @staticmethod
    def forward(context: Any, part: Tensor) -> Tensor:
        parts = [torch.empty_like(part) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, part)
        return torch.cat(parts)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous()
        distributed.all_reduce(total)
        return total.chunk(distributed.get_world_size())[distributed.get_rank()]


def joined(part: Shaped[Tensor, "rows ..."]) -> Shaped[Tensor, "joint ..."]:
    """The rows of all processes in the order of their ranks, with gradients; where there is one process, its own.

    If every process computes one and the same loss from joined rows, the mean of their gradients, which is what
    ``DistributedDataParallel`` takes, is the gradient of that loss: the gradient of a part is summed over processes
    here, and divided by their number there.

    Args:
        part: as many rows in every process.
    """
    if not (distributed.is_available() and distributed.is_initialized()) or distributed.get_world_size() == 1:
        return part
    return _Joined.apply(part.contiguous())
