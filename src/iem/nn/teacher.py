"""The frozen teacher: pictures of a molecule in, one feature vector out; and its folder on disk."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from iem import artifact
from iem.errors import ArtifactError
from iem.nn.encoders import ImageEncoder
from iem.nn.heads import prior_heads

BUNDLED = Path(__file__).parent.parent / "assets" / "teachers"
"""Teachers that come with the package; ``default`` is one of them."""


@final
class Teacher(nn.Module):
    """An image encoder and its prior heads, frozen from birth.

    Args:
        encoder: pictures to features.
        heads: one per prior, as in ``prior_heads``.
        card: what its folder says about it; ``card["digest"]`` names the weights.
    """

    def __init__(self, encoder: ImageEncoder, heads: nn.ModuleDict, card: Mapping[str, Any]) -> None:
        super().__init__()
        self.encoder, self.heads = encoder.requires_grad_(False), heads.requires_grad_(False)
        self.card = dict(card)
        self.eval()

    @property
    def dim(self) -> int:
        """d_v, the number of features (512 for ResNet-18)."""
        return self.encoder.dim

    def train(self, mode: bool = True) -> "Teacher":
        """A teacher ignores requests to train, so its batch-norm statistics never drift."""
        return super().train(False)

    @torch.inference_mode()
    def forward(self, views: UInt8[Tensor, "batch views height width 3"]) -> Float[Tensor, "batch dim"]:
        """View-wise mean pooling over the features of all views (section 3.3)."""
        return self.encoder(views.flatten(0, 1)).unflatten(0, views.shape[:2]).mean(dim=1)


def find(name: str | Path) -> Path:
    """Folder of a teacher that comes with the package, else the folder of that name.

    Raises:
        ArtifactError: there is neither.
    """
    for folder in (BUNDLED / name, Path(name)):
        if os.path.isdir(folder):
            return folder
    bundled = ", ".join(sorted(folder.name for folder in BUNDLED.glob("*"))) or "none"
    raise ArtifactError(
        f"there is no teacher folder {str(name)!r}, and the teachers that come with this iem are: {bundled}; check the "
        "path, make a teacher with iem pretrain, or let iem fit do without (--teacher none)"
    )


def views_of(folder: Path) -> list[str]:
    """The views that the teacher in a folder has an encoder for; of a packed one, that of depictions may be left out.

    Raises:
        ArtifactError: not a teacher, or damaged.
    """
    card = artifact.read_card(folder, kind="teacher")
    parts = {view: _part(view) for view in card.get("views", ())}
    apart = card.get("further", {})
    return [view for view, part in parts.items() if part not in apart or (folder / part).is_file()]


def _part(view: str) -> str:
    """The file of a packed teacher that holds the encoder of this view, if it is not among the others."""
    return f"encoder_{view}.safetensors"


def load_teacher(folder: Path, *, view: str = "3d") -> Teacher:
    """The teacher of one kind of picture from a folder that ``iem pretrain`` wrote.

    Args:
        folder: holds ``model.safetensors`` and ``card.json``; a packed one has the depiction's encoder in a file of
            its own.
        view: ``3d``, the ball-and-stick encoder that the paper recommends, or ``2d``, the depiction's.

    Raises:
        ArtifactError: not a teacher, damaged, or without an encoder for this view.
    """
    tensors, card = artifact.load(folder, kind="teacher")
    if view not in card["views"]:
        raise ArtifactError(
            f"the teacher in {folder} has no {view} encoder, only {' and '.join(card['views'])}; choose that view, or "
            "a teacher with both, as iem pretrain writes them"
        )
    if (part := _part(view)) in card.get("further", {}):
        tensors |= artifact.load(folder, kind="teacher", part=part)[0]
        card |= {"digest": card["further"][part]}
    encoder = ImageEncoder(card["architecture"])
    teacher = Teacher(encoder, prior_heads(encoder.dim, card["priors"]), card | {"view": view})
    parts = (("encoder", f"encoder_{view}."), ("heads", "heads."))
    wanted = {
        f"{name}.{key.removeprefix(prefix)}": tensor
        for name, prefix in parts
        for key, tensor in tensors.items()
        if key.startswith(prefix)
    }
    artifact.load_into(teacher, wanted, origin=str(folder))
    return teacher
