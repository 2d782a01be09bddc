"""The verb ``iem pretrain``: a corpus in, a teacher folder out."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from iem.errors import ConfigError
from iem.workflows.pretraining.recipe import PRESETS
from iem.workflows.settings import check_positive, check_seed, workers


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
    """Train a teacher: two image encoders that see depictions and 3D views and learn from them, without labels.

    The tasks are the contrast between the 2D and the 3D pictures of a molecule and the prediction of priors (atoms,
    bonds, shape, properties, substructures; the paper's: atoms, bonds, geometry, properties) from either (eq. 1 to 4 of
    the paper). Pictures are drawn on the fly. The
    teacher in OUT is the best on held-out molecules so far, and can be used while training goes on. Interrupted, the
    same command goes on where it was.

    Args:
        corpus: Folder that "iem prepare" wrote.
        out: Folder for the teacher.
        preset: "default" learns most in little time; "paper" does what the paper did, at its size (a GPU cluster).
        encoder: Image network by its timm name [iem_resnet10, made for small pictures; paper:
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
        if not isinstance(value, str):
            check_positive(f"--{name.replace('_', '-')}", value)
    check_seed(seed)
    jobs = workers(jobs)
    if devices < 1 and devices != -1:
        raise ConfigError("--devices", devices, "it must be a number of devices, or -1 for all GPUs")
    if nodes < 1:
        raise ConfigError("--nodes", nodes, "it must be positive")
    from iem.workflows.pretraining.run import train_teacher

    recipe = replace(PRESETS[preset], **chosen)
    train_teacher(Path(corpus), out=Path(out), recipe=recipe, seed=seed, jobs=jobs, devices=devices, nodes=nodes)
