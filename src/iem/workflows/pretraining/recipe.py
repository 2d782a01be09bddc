"""How a teacher is trained: every setting, and the presets."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides how a teacher is trained, besides corpus and seed."""

    encoder: str = "iem_resnet10"
    """timm name of both encoders."""
    pretrained: str | None = None
    """Where the first weights of both encoders are from: ``timm``, or a file of weights. Random otherwise."""
    size: int = 64
    """Side of every picture in pixels."""
    view_set: str = "tetrahedral"
    """The directions a 3D picture may be taken from, and all of those that features are made of."""
    views: int = 1
    """Views drawn per molecule and visit."""
    visits: int = 200_000
    """Molecules seen in all, counted with repetition."""
    batch_size: int = 64
    """Molecules per step, on all devices together."""
    accumulate: int = 1
    """Parts of a batch that are shown one after the other; the contrast is among the molecules of a part."""
    lr: float = 3e-3
    weight_decay: float = 1e-2
    optimizer: Literal["adamw", "sgd"] = "adamw"
    schedule: Literal["warmup-stable-decay", "one-cycle", "constant"] = "warmup-stable-decay"
    """Of the learning rate. All but ``one-cycle`` leave open how many visits there will be."""
    temperature: float = 0.1
    """τ of the contrastive loss."""
    priors: tuple[str, ...] = ("atom", "bond", "shape", "property", "substructure")
    """Questions that are asked of the pictures; ``iem.chem.priors`` has them all."""
    smooth: bool = True
    """Errors of less than one unit count by their square; all by their size otherwise."""
    standardise: bool = True
    """Priors in units of their standard deviation over the corpus; raw values otherwise."""
    turn: bool = True
    flip: bool = False
    grey: float = 0.0
    depictions: int = 6
    """Depictions of a molecule, each turned differently, that come round again; 0 draws a new one at every visit."""
    round: int = 5_000
    """Visits between two validations and checkpoints."""
    precision: Literal["auto", "bf16", "float32"] = "auto"
    """Of the encoders' arithmetic; ``auto`` is bfloat16 where the device has it."""


PRESETS = {
    "default": Recipe(),
    "paper": Recipe(
        encoder="resnet18",
        size=224,
        view_set="paper",
        views=4,
        visits=60_000_000,
        batch_size=128,
        lr=0.01,
        weight_decay=1e-4,
        optimizer="sgd",
        schedule="constant",
        priors=("atom", "bond", "geometry", "property"),
        smooth=False,
        standardise=False,
        flip=True,
        grey=0.2,
        depictions=0,
        round=100_000,
        precision="float32",
    ),
}
"""``paper``: section 4.1 and the appendix; its centre crop leaves a picture of its own size as it is."""
