"""Image encoders: pixels of one picture to one feature vector."""

import hashlib
from pathlib import Path
from typing import Any, cast, final

import timm
import torch
from jaxtyping import Float, UInt8
from safetensors import SafetensorError
from safetensors.torch import load_file as read_safetensors
from torch import Tensor, nn

from iem import artifact
from iem.errors import ArtifactError, UnavailableError, UnknownNameError
from iem.nn import small as small  # this registers it
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
        self.dim: int = getattr(network, "head_hidden_size", network.num_features)  # of what comes before a classifier
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1))

    def forward(self, pictures: UInt8[Tensor, "pictures height width 3"]) -> Float[Tensor, "pictures dim"]:
        pixels = pictures.permute(0, 3, 1, 2).to(self.mean.dtype) / 255  # already channels-last in memory
        return self.network((pixels - self.mean) / self.std)


def pretrained_encoder(architecture: str, source: str) -> tuple[ImageEncoder, dict[str, str]]:
    """An encoder with weights of another training, and the pixel statistics that belong to them.

    Args:
        architecture: a name that ``timm.create_model`` knows.
        source: ``timm`` for the weights that timm has under this name, in its cache or else downloaded; or a
            ``.safetensors`` or ``.pth`` file of that network, with or without its classifier.

    Returns:
        The encoder; and its origin, ``weights`` (a name) and ``sha256`` of the tensors.

    Raises:
        UnknownNameError: timm has no such architecture.
        UnavailableError: timm has no weights for it, or they are not on disk and cannot be downloaded.
        ArtifactError: the file is missing or damaged, or is of another network; names the tensors.
    """
    network = ImageEncoder(architecture).network
    about = cast(dict[str, Any], network.pretrained_cfg)
    if source == "timm":
        tag = f"{architecture.partition('.')[0]}.{about.get('tag') or ''}".rstrip(".")
        try:
            tensors = timm.create_model(architecture, pretrained=True, num_classes=0).state_dict()
        except (OSError, RuntimeError, ValueError) as error:
            raise UnavailableError(
                f"the weights of timm for {tag} are neither in its cache nor to be had from here "
                f"({' '.join(str(error).split())[:200]}); connect to the internet once, name a file with "
                "--pretrained FILE, or do without"
            ) from error
    else:
        tag, tensors = Path(source).name, _tensors(Path(source))
        classifiers = about.get("classifier") or ()
        for classifier in (classifiers,) if isinstance(classifiers, str) else classifiers:
            tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(f"{classifier}.")}
        if faults := artifact.misfits(network, tensors):
            raise ArtifactError(f"{source} does not hold the weights of {architecture} ({faults}); name the --encoder")
    encoder = ImageEncoder(architecture, mean=tuple(about["mean"]), std=tuple(about["std"]))
    encoder.network.load_state_dict(tensors)
    digest = hashlib.sha256()
    for name, tensor in sorted(encoder.network.state_dict().items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    return encoder, {"weights": tag, "sha256": digest.hexdigest()}


def _tensors(path: Path) -> dict[str, Tensor]:
    """Of a file, by name; a training may have put them one level deeper, or behind ``module.``."""
    if path.suffix == ".safetensors":
        try:
            return read_safetensors(path)
        except (OSError, SafetensorError) as error:
            raise ArtifactError(f"cannot read {path} ({error}); check the path, or get it anew") from error
    content = artifact.read_pth(path)
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ArtifactError(f"{path} is no state dict of a network; name the file of its weights")
    return {name.removeprefix("module."): tensor for name, tensor in content.items()}
