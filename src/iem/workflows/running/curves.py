"""The losses of a training in files that other programs read: a table, and events for TensorBoard."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import lightning

from iem.files import write_bytes

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

TABLE, EVENTS = "curve.csv", "tensorboard"


def write_table(path: Path, curve: Sequence[Mapping[str, float]]) -> None:
    """One row per round, one column per loss; whole or not at all."""
    text = io.StringIO()
    rows = csv.DictWriter(text, list(curve[0]), lineterminator="\n")
    rows.writeheader()
    rows.writerows(curve)
    write_bytes(path, text.getvalue().encode())


def event_writer(folder: Path) -> "SummaryWriter | None":
    """A new event file in place of those that are there; None where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    for earlier in folder.glob("events.out.tfevents.*"):
        earlier.unlink()
    return SummaryWriter(str(folder))


@final
class CurveFiles(lightning.Callback):
    """Writes the curve after every round, in the first process only.

    A run that goes on starts its event file anew from the curve so far, so no point is in it twice.

    Args:
        folder: of the run.
        curve: one entry per round, with ``visits``; filled by another callback before this one is called.
    """

    def __init__(self, folder: Path, curve: Sequence[Mapping[str, float]]) -> None:
        self.folder, self.curve = folder, curve
        self.events: SummaryWriter | None = None

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if trainer.is_global_zero:
            self.events = event_writer(self.folder / EVENTS)
            for point in self.curve:
                self._add(point)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if trainer.is_global_zero:
            write_table(self.folder / TABLE, self.curve)
            self._add(self.curve[-1])

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._close()

    def on_exception(self, trainer: lightning.Trainer, pl_module: Any, exception: BaseException) -> None:
        self._close()

    def _close(self) -> None:
        if self.events is not None:
            self.events.close()

    def _add(self, point: Mapping[str, float]) -> None:
        if self.events is None:
            return
        for name, value in point.items():
            if name != "visits":
                self.events.add_scalar(name, value, int(point["visits"]))
        self.events.flush()
