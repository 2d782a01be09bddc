"""Convolutions over pictures of a few pixels, which come last in an encoder and take a third of its time on a CPU."""

from typing import Any, cast, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

SMALL = 16
"""Pixels of an output up to which a matrix product is faster than the convolution of oneDNN."""


@final
class SmallConvolution(nn.Conv2d):
    """The same convolution, as one matrix product over patches where it is on a CPU and the output is small.

    On 3×3 pixels oneDNN reaches a ninth of what the processor does in a matrix product of the same size, and less
    backwards. Same parameters and, up to rounding, same numbers as ``nn.Conv2d``.
    """

    def forward(self, input: Float[Tensor, "batch _ height width"]) -> Float[Tensor, "batch _ _ _"]:
        size, stride, padding = self.kernel_size[0], self.stride[0], cast(int, self.padding[0])
        height, width = ((side + 2 * padding - size) // stride + 1 for side in input.shape[2:])
        if input.device.type != "cpu" or height * width > SMALL:
            return super().forward(input)
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else input.dtype
        output = cast(Tensor, PatchProduct.apply(input.to(dtype), self.weight, stride, padding))
        return output if self.bias is None else output + self.bias.to(dtype)[:, None, None]


@final
class PatchProduct(torch.autograd.Function):
    """A convolution as the product of all patches with the kernel, forwards and backwards.

    PyTorch's own derivative of the same steps adds up one padded picture per pixel of the kernel, and makes a step of
    the teacher a tenth longer.
    """

    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        size = weight.shape[2]
        padded = nn.functional.pad(input.permute(0, 2, 3, 1), (0, 0, padding, padding, padding, padding))
        patches = torch.cat([padded[window] for window in _windows(padded.shape, size, stride)], dim=3)
        kernel = weight.permute(0, 2, 3, 1).flatten(1).to(input.dtype)  # no copy where the weight is channels-last
        ctx.save_for_backward(patches, kernel)
        ctx.stride, ctx.padding, ctx.size, ctx.padded, ctx.dtype = stride, padding, size, padded.shape, weight.dtype
        return (patches.flatten(0, 2) @ kernel.T).view(*patches.shape[:3], -1).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        patches, kernel = ctx.saved_tensors
        of_input = of_weight = None
        gradient = gradients[0].permute(0, 2, 3, 1).flatten(0, 2)
        if ctx.needs_input_grad[0]:
            parts = (gradient @ kernel).view(*patches.shape[:3], ctx.size**2, -1)
            padded = parts.new_zeros(ctx.padded)
            for which, window in enumerate(_windows(ctx.padded, ctx.size, ctx.stride)):
                padded[window] += parts[:, :, :, which]
            height, width = (side - ctx.padding for side in ctx.padded[1:3])
            of_input = padded[:, ctx.padding : height, ctx.padding : width].permute(0, 3, 1, 2)
        if ctx.needs_input_grad[1]:
            of_kernel = (gradient.T @ patches.flatten(0, 2)).to(ctx.dtype)
            of_weight = of_kernel.view(len(kernel), ctx.size, ctx.size, -1).permute(0, 3, 1, 2)
        return of_input, of_weight, None, None


def _windows(padded: torch.Size, size: int, stride: int) -> list[tuple[slice, slice, slice]]:
    """Which pixels of padded pictures (batch, height, width, channels) meet each pixel of a kernel, row by row."""
    rows, columns = ((side - size) // stride * stride + 1 for side in padded[1:3])
    return [
        (slice(None), slice(y, y + rows, stride), slice(x, x + columns, stride))
        for y in range(size)
        for x in range(size)
    ]


def with_small_convolutions(network: nn.Module) -> nn.Module:
    """The network with every convolution that may become a matrix product replaced, in place."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Conv2d and _is_plain(child):
                small = SmallConvolution(
                    child.in_channels,
                    child.out_channels,
                    cast(tuple[int, int], child.kernel_size),
                    cast(tuple[int, int], child.stride),
                    cast(tuple[int, int], child.padding),
                    bias=child.bias is not None,
                    device="meta",
                )
                small.weight, small.bias = child.weight, child.bias
                setattr(module, name, small)
    return network


def _is_plain(convolution: nn.Conv2d) -> bool:
    """Square, without groups or holes, zeros around it."""
    return (
        convolution.groups == 1
        and convolution.dilation == (1, 1)
        and convolution.padding_mode == "zeros"
        and not isinstance(convolution.padding, str)
        and all(len(set(pair)) == 1 for pair in (convolution.kernel_size, convolution.stride, convolution.padding))
        and convolution.kernel_size[0] > 1
    )
