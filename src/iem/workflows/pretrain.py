"""The verb ``iem pretrain``: a corpus in, a teacher folder out."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from iem.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides how a teacher is trained, besides corpus and seed."""

    encoder: str = "iem_resnet10"
    """timm name of both encoders."""
    pretrained: str | None = None
    """Where the first weights of both encoders are from: ``timm``, or a file of weights. Random otherwise."""
    size: int = 64
    """Side of every picture in pixels."""
    coarse: float = 0.0
    """Share of the visits, the first ones, whose pictures have two thirds of that side: they cost half as much."""
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


def pretrain(
    corpus: Path,
    *,
    out: Path,
    preset: Literal["default", "paper"] = "default",
    encoder: str | None = None,
    pretrained: str | None = None,
    size: int | None = None,
    visits: int | None = None,
    batch_size: int | None = None,
    accumulate: int | None = None,
    lr: float | None = None,
    round: int | None = None,
    precision: Literal["auto", "bf16", "float32"] | None = None,
    seed: int = 0,
    jobs: int | None = None,
    devices: int = 1,
    nodes: int = 1,
) -> None:
    """Train a teacher: two image encoders that see depictions and 3D views and learn five tasks from them.

    The tasks are the contrast between the 2D and the 3D pictures of a molecule and the prediction of four priors
    (atoms, bonds, geometry, properties) from either (eq. 1 to 4 of the paper). Pictures are drawn on the fly. The
    teacher in OUT is the best on held-out molecules so far, and can be used while training goes on. Interrupted, the
    same command goes on where it was.

    Args:
        corpus: Folder that "iem prepare" wrote.
        out: Folder for the teacher.
        preset: "default" learns most in little time; "paper" does what the paper did, at its size (a GPU cluster).
        encoder: Image network by its timm name [iem_resnet10, ours for small pictures; paper:
            resnet18].
        pretrained: First weights of both encoders: "timm" for those that timm has under the encoder's name, downloaded
            or in its cache, or a .safetensors or .pth file of that network [random].
        size: Side of the pictures in pixels [64; paper: 224].
        visits: Molecules to see in all, counted with repetition [200,000; paper: 60 million].
        batch_size: Molecules per step, on all devices together [64; paper: 128].
        accumulate: Parts of a batch that are shown one after the other, which saves memory; molecules are contrasted
            with those of their part only [1].
        lr: Highest learning rate [0.003; paper: 0.01].
        round: Visits between two validations and checkpoints [5,000; paper: 100,000].
        precision: Of the encoders' arithmetic [auto: bf16 where the device computes with it; paper: float32].
        seed: Of weights, order, views and rotations.
        jobs: Processes that draw, per device [one per core; 0 draws in the training process].
        devices: GPUs of each machine, or processes where there is none; -1 takes all GPUs. They share each batch.
        nodes: Machines; the same command is started on each, by torchrun or a cluster's scheduler.
    """
    given = {
        "encoder": encoder,
        "pretrained": pretrained,
        "size": size,
        "visits": visits,
        "batch_size": batch_size,
        "accumulate": accumulate,
        "lr": lr,
        "round": round,
        "precision": precision,
    }
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    for name, value in chosen.items():
        if not isinstance(value, str) and value <= 0:
            raise ConfigError(f"--{name.replace('_', '-')}", value, "it must be positive")
    if devices < 1 and devices != -1:
        raise ConfigError("--devices", devices, "it must be a number of devices, or -1 for all GPUs")
    if nodes < 1:
        raise ConfigError("--nodes", nodes, "it must be positive")
    from iem.workflows.pretraining import train_teacher

    recipe = replace(PRESETS[preset], **chosen)
    train_teacher(Path(corpus), out=Path(out), recipe=recipe, seed=seed, jobs=jobs, devices=devices, nodes=nodes)
