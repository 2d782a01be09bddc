"""How far trainings in other processes are: each leaves a line per epoch, and whoever waits for them reads it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import NamedTuple


class Tick(NamedTuple):
    """What a training says at the end of an epoch."""

    epoch: int
    """That has ended, from 1."""
    score: float
    """On the validation part."""


@dataclass(frozen=True)
class Ticks:
    """The lines of one training, in a file that grows."""

    path: Path

    def __call__(self, epoch: int, score: float) -> None:
        """One more epoch has ended. Where that cannot be written, the training goes on unseen."""
        with suppress(OSError), self.path.open("a", encoding="utf-8") as file:
            file.write(f"{epoch} {float(score)!r}\n")

    def last(self) -> Tick | None:
        """What it said last; None if nothing yet."""
        try:
            *_, line, _ = self.path.read_text(encoding="utf-8").split("\n")  # behind the last end is half a line
            epoch, score = line.split()
            return Tick(int(epoch), float(score))
        except (OSError, ValueError):
            return None


@contextmanager
def every(seconds: float, look: Callable[[], None]) -> Iterator[None]:
    """Call a function again and again while the block runs, and once more at its end."""
    ended = Event()

    def go() -> None:
        while not ended.wait(seconds):
            look()

    thread = Thread(target=go, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    look()
