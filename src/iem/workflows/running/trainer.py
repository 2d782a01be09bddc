"""The trainer as every training here wants it: no chatter, no folders of its own, exact resume."""

import copy
import logging
import re
import signal
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from zipfile import is_zipfile

import lightning
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from iem.errors import ArtifactError, ConfigError, IEMError

LOST = re.compile("gloo|NCCL")
"""In what PyTorch says when processes that train together cannot reach one of them any more."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Arithmetic on one core while the block runs; also a decorator.

    A graph network's steps are short: a second core makes them 9 % faster where it is idle, and several times slower
    where it is not, because each of hundreds of small operations waits for the slower of two threads.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def computes_in_bf16() -> bool:
    """Whether the device at hand multiplies in bfloat16 faster than in single precision."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # older PyTorch does not tell
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def precision_of(asked: Literal["auto", "bf16", "float32"]) -> Literal["bf16", "float32"]:
    """What a training computes in: ``auto`` is what the device at hand is quickest in."""
    if asked != "auto":
        return asked
    return "bf16" if computes_in_bf16() else "float32"


def quiet_trainer(
    *,
    max_epochs: int,
    callbacks: Sequence[lightning.Callback] = (),
    devices: int = 1,
    nodes: int = 1,
    accumulate: int = 1,
) -> lightning.Trainer:
    """A Lightning trainer on the best device at hand whose output is left to our own callbacks.

    Args:
        max_epochs: when it ends.
        callbacks: in this order.
        devices: per node; -1 takes all there are.
        nodes: machines.
        accumulate: batches whose gradients make one step.

    Raises:
        ConfigError: there are not so many devices.
    """
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning.*")  # advice on workers and log intervals, for its developers
    if devices == -1 and not torch.cuda.is_available():
        devices = 1
    try:
        return lightning.Trainer(
            accelerator="auto",
            devices=devices,
            num_nodes=nodes,
            strategy="auto",
            use_distributed_sampler=False,  # samplers here share out their own walk
            accumulate_grad_batches=accumulate,
            max_epochs=max_epochs,
            callbacks=list(callbacks),
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
    except MisconfigurationException as error:
        raise ConfigError("--devices", devices, f"the trainer finds: {' '.join(str(error).split())}") from error


def one_cycle(optimizer: torch.optim.Optimizer, lr: float, steps: int) -> OneCycleLR:
    """A learning rate that rises over the first tenth of the steps and then falls to nearly 0."""
    rising = 0.1 if steps != 10 else 0.2  # a rise that takes exactly one step is divided by no steps at all
    return OneCycleLR(optimizer, lr, total_steps=steps, pct_start=rising)


def on_device(frozen: Sequence[nn.ModuleDict], device: torch.device) -> list[nn.ModuleDict]:
    """Copies of networks that the trainer does not know of, where it computes; the teacher's stay where they are."""
    return [copy.deepcopy(heads).to(device) for heads in frozen]


def damaged(path: Path, why: object) -> ArtifactError:
    """What to say of a file that a training left and that cannot be read; raised by the caller."""
    return ArtifactError(f"{path} is damaged ({why}); delete it, and the same command trains that part again")


def run_to_end(
    trainer: lightning.Trainer, module: lightning.LightningModule, train: Any, valid: Any = None, *, checkpoint: Path
) -> None:
    """Train, going on from the checkpoint if there is one; ``train`` may be a data module.

    Raises:
        ArtifactError: the checkpoint is damaged.
        IEMError: one of several processes was lost.
        KeyboardInterrupt: as pressed; Lightning would turn it into an exit that hides what can be done next.
    """
    if checkpoint.exists() and not is_zipfile(checkpoint):  # truncated, say: the directory of a zip stands at its end
        raise damaged(checkpoint, "it is not a checkpoint")
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(module, train, valid, ckpt_path=checkpoint if checkpoint.exists() else None)
    except SystemExit as stop:
        raise KeyboardInterrupt from stop
    except RuntimeError as error:
        if trainer.world_size == 1 or not LOST.search(str(error)):
            raise
        raise IEMError(
            "another process of this training was lost, most likely killed or out of memory; the same command goes on "
            "from the last round"
        ) from error
    finally:
        if threading.current_thread() is threading.main_thread():  # Lightning sets it nowhere else, nor can anybody
            signal.signal(signal.SIGINT, handler)
