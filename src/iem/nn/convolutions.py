"""Convolutions over pictures of a few pixels, which come last in an encoder and take a third of its time on a CPU."""

from typing import cast, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

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
        padded = nn.functional.pad(input.permute(0, 2, 3, 1), (0, 0, padding, padding, padding, padding))
        rows, columns = stride * (height - 1) + 1, stride * (width - 1) + 1
        patches = torch.cat(
            [padded[:, y : y + rows : stride, x : x + columns : stride] for y in range(size) for x in range(size)],
            dim=3,
        )
        weight = self.weight.permute(0, 2, 3, 1).flatten(1)
        return nn.functional.linear(patches, weight, self.bias).permute(0, 3, 1, 2)


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
