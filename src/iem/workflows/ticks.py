"""How far trainings in other processes are: each leaves a line per epoch, and whoever waits for them reads it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
        """One more epoch has ended."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{epoch} {float(score)!r}\n")

    def last(self) -> Tick | None:
        """What it said last; None if nothing yet."""
        try:
            whole = self.path.read_text(encoding="utf-8").split("\n")[:-1]  # behind the last end is half a line
        except OSError:
            return None
        if not whole:
            return None
        epoch, score = whole[-1].split()
        return Tick(int(epoch), float(score))


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
