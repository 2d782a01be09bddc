"""The compiled loops as torch functions: for single precision in main memory, or bfloat16 under ``torch.autocast``.

Elsewhere (on a GPU, in double precision) a network takes torch's own operations, which say the same.
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from iem.students import kernels
from iem.students.environments import Environments

BUCKET = 64
"""Rows of matrices in bfloat16 are a multiple of this, because every new shape of a product costs a plan of its own."""


def works(network: nn.Module, weight: Tensor, atoms: int) -> bool:
    """Whether the loops can do a network's work for some atoms: wholly trained, or wholly evaluated.

    Args:
        network: to be asked.
        weight: one of it.
        atoms: of a batch.
    """
    if weight.device.type != "cpu" or weight.dtype != torch.float32 or atoms < 2:
        return False
    if any(module.training != network.training for module in network.modules()):
        return False
    return _product_type() in (torch.float32, torch.bfloat16)


def _product_type() -> torch.dtype:
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32


def _array(tensor: Tensor) -> np.ndarray:
    """The memory of a tensor; bfloat16 as uint16."""
    plain = tensor.detach().contiguous()
    return plain.view(torch.uint16).numpy() if plain.dtype == torch.bfloat16 else plain.numpy()


class _Messages(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, centres: Tensor, edges: Tensor, codes: Tensor, table: Tensor, eps: Tensor
    ) -> Tensor:
        ctx.save_for_backward(hidden, centres, edges, codes, table, eps)
        rows, dtype = len(centres), _product_type()
        room = rows if dtype == torch.float32 else -(-rows // BUCKET) * BUCKET
        out = torch.empty(room, hidden.shape[1], dtype=dtype)
        arrays = map(_array, (hidden, centres, edges, codes, table))
        kernels.gather(*arrays, np.float32(1 + eps.item()), _array(out))
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        hidden, centres, edges, codes, table, eps = ctx.saved_tensors
        hidden_grad, table_grad = torch.empty_like(hidden), torch.empty_like(table)
        eps_grad = kernels.gather_backward(
            *map(_array, (grads[0], hidden, centres, edges, codes, table)),
            np.float32(1 + eps.item()),
            *map(_array, (hidden_grad, table_grad)),
        )
        return hidden_grad, None, None, None, table_grad, torch.full_like(eps, eps_grad)


def messages(
    hidden: Float[Tensor, "before width"],
    near: Environments,
    table: Float[Tensor, "codes width"],
    eps: Float[Tensor, " 1"],
) -> Float[Tensor, "room width"]:
    """``(1 + ε) h_i + Σ_j ReLU(h_j + table[code_ij])``; below, in bfloat16, rows of zeros up to a full bucket.

    Args:
        hidden: states of the smaller environments.
        near: those whose states are wanted.
        table: embeddings of bonds.
        eps: ε.
    """
    return _Messages.apply(hidden, near.centres, near.edges, near.bonds, table, eps)


class _Block(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        weight: Tensor,
        bias: Tensor,
        norm_weight: Tensor,
        norm_bias: Tensor,
        norm: nn.BatchNorm1d,
        counts: Tensor,
        floor: float,
        drop: float,
        out: Tensor,
    ) -> Tensor:
        weight = weight.to(inputs.dtype)
        values = inputs @ weight.T  # a bias would be taken away again with the mean
        mean, var = torch.empty_like(bias), torch.empty_like(bias)
        kernels.moments(*map(_array, (values, counts, mean, var)))
        scale = (var + norm.eps).rsqrt_()
        slope = norm_weight * scale
        seed = int(torch.randint(2**32, ())) if drop else 0
        kernels.normalise(
            _array(values),
            len(counts),
            *map(_array, (mean, slope, norm_bias)),
            np.float32(floor),
            np.uint32(drop * 2**32),
            np.uint32(seed),
            _array(out),
        )
        ctx.save_for_backward(inputs, weight, values, out, counts, mean, scale, slope)
        ctx.gain = np.float32(1 / (1 - drop))
        rows = float(counts.sum())
        assert norm.running_mean is not None
        assert norm.running_var is not None
        assert norm.num_batches_tracked is not None
        assert norm.momentum is not None
        norm.running_mean.lerp_(mean + bias, norm.momentum)
        norm.running_var.lerp_(var * (rows / (rows - 1)), norm.momentum)
        norm.num_batches_tracked.add_(1)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        inputs, weight, values, out, counts, mean, scale, slope = ctx.saved_tensors
        grad, weight_grad, bias_grad = torch.empty_like(values), torch.empty_like(mean), torch.empty_like(mean)
        kernels.normalise_backward(
            *map(_array, (grads[0], out)),
            ctx.gain,
            *map(_array, (values, counts, mean, scale, slope, grad, weight_grad, bias_grad)),
        )
        return grad @ weight, (grad.T @ inputs).float(), torch.zeros_like(mean), weight_grad, bias_grad, *[None] * 5


def affine(linear: nn.Linear, norm: nn.BatchNorm1d) -> tuple[Float[Tensor, "after before"], Float[Tensor, " after"]]:
    """Weight and shift of a linear layer and the normalisation after it, together, in evaluation."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    slope = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return linear.weight * slope[:, None], norm.bias + slope * (linear.bias - norm.running_mean)


def block(
    inputs: Float[Tensor, "room before"],
    linear: nn.Linear,
    norm: nn.BatchNorm1d,
    *,
    counts: Float[Tensor, " rows"],
    relu: bool,
    drop: float = 0.0,
    last: bool = False,
) -> Float[Tensor, "room_or_rows after"]:
    """Linear layer, batch normalisation, ReLU, dropout; in evaluation the first two are one product, without dropout.

    Args:
        inputs: states, and below them rows of zeros.
        linear: the layer.
        norm: with running statistics; trains or evaluates, as its mode says.
        counts: how often each state counts in the normalisation.
        relu: whether negative values become zero.
        drop: probability of dropout, below 1.
        last: return the states alone, in single precision.
    """
    rows = len(counts)
    if norm.training:
        width = linear.out_features
        out = torch.empty(rows, width) if last else inputs.new_empty(len(inputs), width)
        floor = 0.0 if relu else -torch.inf
        return _Block.apply(inputs, linear.weight, linear.bias, norm.weight, norm.bias, norm, counts, floor, drop, out)
    weight, shift = affine(linear, norm)
    result = nn.functional.linear(inputs, weight.to(inputs.dtype), shift.to(inputs.dtype))
    if relu:
        result.relu_()
    return result[:rows].float() if last else result
