"""What a person sees while a verb runs: lines and progress bars on standard error."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

console = Console(stderr=True, highlight=False)


def as_typed(otherwise: str) -> str:
    """The command of this process for the shell, or other words where iem was called from Python."""
    return shlex.join(["iem", *sys.argv[1:]]) if Path(sys.argv[0]).stem in ("iem", "__main__") else otherwise


def say(message: str) -> None:
    """One line for the person at the terminal."""
    console.print(message, markup=False, soft_wrap=True)


@contextmanager
def progress(*extra: str, shown: bool = True) -> Iterator[Progress]:
    """A progress bar with count, time spent and time left; ``extra`` names task fields shown at its end."""
    columns = [
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        *(TextColumn(f"{{task.fields[{name}]}}") for name in extra),
    ]
    with Progress(*columns, console=console, transient=True, disable=not (shown and console.is_terminal)) as bars:
        yield bars
