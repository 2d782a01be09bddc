"""A training in rounds: its progress bar, and its curve."""

from typing import Any, final

import lightning
from rich.progress import Progress, TaskID

from iem.workflows.running.console import say


@final
class Watch(lightning.Callback):
    """Progress bar, and the curve: one entry of mean losses per round.

    Args:
        title: of the bar.
        visits: molecules to see in all.
        round: molecules between two entries.
        batch: molecules of a step, in all processes together.
    """

    bars: Progress

    def __init__(self, title: str, *, visits: int, round: int, batch: int) -> None:
        self.title, self.visits, self.round, self.batch = title, visits, round, batch
        self.curve: list[dict[str, float]] = []
        self.bar = TaskID(0)

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        done = trainer.current_epoch * self.round
        self.bar = self.bars.add_task(self.title, total=self.visits, completed=done, note="")

    def on_train_batch_end(self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, n: int) -> None:
        self.bars.advance(self.bar, self.batch)
        held_out = f" · held-out loss {self.curve[-1]['valid/loss']:.3f}" if self.curve else ""
        self.bars.update(self.bar, note=f"{self.bars.tasks[self.bar].speed or 0:,.0f} molecules/s{held_out}")

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        visits = (trainer.current_epoch + 1) * self.round
        means = {name: round(float(value), 5) for name, value in sorted(trainer.callback_metrics.items())}
        self.curve.append({"visits": visits} | means)
        if trainer.is_global_zero:
            say(f"{visits:>10,} visits: loss {means['train/loss']:.3f}, held-out {means['valid/loss']:.3f}")

    def state_dict(self) -> dict[str, Any]:
        return {"curve": self.curve}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.curve[:] = state_dict["curve"]
