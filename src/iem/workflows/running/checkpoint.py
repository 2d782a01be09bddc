"""Checkpoints that are whole or absent, and training that resumes exactly."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, final

import lightning
import torch

from iem.errors import IEMError
from iem.files import whole
from iem.workflows.running.trainer import damaged


@final
class Checkpoints(lightning.Callback):
    """After every epoch: keeps the best so far, saves the trainer's whole state, and stops when nothing improves.

    Random numbers of an epoch follow from the seed and the epoch's number alone, so a run that goes on from a
    checkpoint draws what an unbroken run would have drawn.

    Args:
        path: the checkpoint file, written under another name and then renamed.
        seed: of the whole run.
        monitor: name of the logged validation figure.
        larger_is_better: whether a larger figure is an improvement.
        keep: called with the module after each improvement, to put the best aside; in the first process only.
        every: epochs between two writings of the state.
        patience: epochs without improvement after which training stops; never if None.
        landmark: a number of epochs after which the state is written to a second file, too, and that file.
    """

    def __init__(
        self,
        path: Path,
        *,
        seed: int,
        monitor: str,
        keep: Callable[[Any], None],
        larger_is_better: bool = False,
        every: int = 1,
        patience: int | None = None,
        landmark: tuple[int, Path] | None = None,
    ) -> None:
        self.path, self.seed, self.monitor, self.keep = path, seed, monitor, keep
        self.sign = 1.0 if larger_is_better else -1.0
        self.every, self.patience, self.landmark = every, patience, landmark
        self.best, self.best_epoch = -float("inf"), -1

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._stop_after(trainer, trainer.current_epoch - 1)  # killed after its last epoch, it has none to go

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx == 0:  # after the loader has drawn its own seed, which it does once more in a resumed run
            torch.manual_seed(self.seed * 1_000_003 + trainer.current_epoch + (trainer.global_rank << 40))

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        figure = self.sign * float(trainer.callback_metrics[self.monitor])
        if not math.isfinite(figure):
            raise IEMError(
                f"{self.monitor} is not a finite number after epoch {trainer.current_epoch + 1}; "
                "the run diverged: lower --lr, and run again in a new output folder"
            )
        if figure > self.best:
            self.best, self.best_epoch = figure, trainer.current_epoch
            if trainer.is_global_zero:
                self.keep(pl_module)
        self._stop_after(trainer, trainer.current_epoch)
        if self.landmark is not None and trainer.current_epoch + 1 == self.landmark[0]:
            self._save(trainer, self.landmark[1])
        if (trainer.current_epoch + 1) % self.every == 0:
            self._save(trainer, self.path)

    def _stop_after(self, trainer: lightning.Trainer, epoch: int) -> None:
        if self.patience is not None and epoch - self.best_epoch >= self.patience:
            trainer.should_stop = True

    def _save(self, trainer: lightning.Trainer, path: Path) -> None:
        """By the first process; all of them have to take part."""
        with whole(path) if trainer.is_global_zero else nullcontext(path) as file:
            trainer.save_checkpoint(file)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.best_epoch = state_dict["best"], state_dict["best_epoch"]


def rounds_in(path: Path) -> int:
    """Epochs after which a checkpoint was written."""
    return int(_read(path)["epoch"]) + 1


def go_back(checkpoint: Path, to: Path) -> None:
    """Let a training go on from an earlier state, with the best so far still to be surpassed; whole or not at all."""
    if checkpoint == to:
        return
    state, key = _read(to), Checkpoints.__qualname__
    if checkpoint.exists():  # a damaged one may have been deleted
        state["callbacks"][key] = _read(checkpoint)["callbacks"][key]
    with whole(checkpoint) as path:
        torch.save(state, path)


def _read(path: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (EOFError, OSError, RuntimeError, UnpicklingError) as error:
        raise damaged(path, "it is not a checkpoint") from error
    return state
