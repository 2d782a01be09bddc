"""Image encoders: pixels of one picture to one feature vector."""

from typing import final

import timm
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from iem.errors import UnknownNameError
from iem.nn.convolutions import with_small_convolutions


@final
class ImageEncoder(nn.Module):
    """Any timm network as a map from pictures to features; owns the pixel statistics it was trained with.

    The paper's encoder is ResNet-18 with 512 features (section 4.1).

    Args:
        architecture: a name that ``timm.create_model`` knows.
        mean: per-channel mean that is subtracted, on the scale 0 to 1. The default, white, turns the empty page
            into zeros, which is also what convolutions pad with.
        std: per-channel divisor, on the scale 0 to 1.

    Raises:
        UnknownNameError: timm has no such architecture.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        architecture: str = "resnet18",
        *,
        mean: tuple[float, float, float] = (1.0, 1.0, 1.0),
        std: tuple[float, float, float] = (0.25, 0.25, 0.25),
    ) -> None:
        super().__init__()
        if not timm.is_model(architecture):
            raise UnknownNameError(f"timm has no image encoder called {architecture!r}; timm.list_models() names all")
        self.architecture = architecture
        network = timm.create_model(architecture, pretrained=False, num_classes=0)
        self.network = with_small_convolutions(network).to(memory_format=torch.channels_last)
        self.dim: int = network.num_features
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1))

    def forward(self, pictures: UInt8[Tensor, "pictures height width 3"]) -> Float[Tensor, "pictures dim"]:
        pixels = pictures.permute(0, 3, 1, 2).to(self.mean.dtype) / 255  # already channels-last in memory
        return self.network((pixels - self.mean) / self.std)
