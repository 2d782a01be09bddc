"""Rules for the settings that several verbs share."""

import math
from collections.abc import Sequence
from numbers import Integral, Real

from iem.errors import ConfigError


def check_positive(option: str, value: float, *, zero: bool = False, whole: bool = False) -> None:
    """Raise ConfigError unless a number is positive and finite.

    Args:
        option: as on the command line.
        value: of it.
        zero: is allowed, too.
        whole: it must be an integer; the command line knows that already, Python does not.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ConfigError(option, value, "it must be a number")
    if not (value > 0 or (zero and value == 0)) or math.isinf(value) or (whole and value != int(value)):
        raise ConfigError(option, value, f"it must be a positive {'whole ' * whole}number{' or 0' * zero}")


def check_choice(option: str, value: object, known: Sequence[object]) -> None:
    """Raise ConfigError unless a value is one of some; the command line knows that already, Python does not."""
    if value not in known:
        raise ConfigError(option, value, f"it must be one of {', '.join(map(str, known))}")


def listed(values: Sequence[str]) -> tuple[str, ...]:
    """Names that were given by a repeated option or with commas between them, each once, in their order."""
    return tuple(dict.fromkeys(name.strip() for value in values for name in value.split(",")))


def check_seed(seed: int) -> None:
    """Raise ConfigError unless numpy and torch take this seed."""
    if not isinstance(seed, Integral) or not 0 <= seed < 2**32:
        raise ConfigError("--seed", seed, "it must be from 0 to 4294967295")


def workers(jobs: int | None) -> int | None:
    """Processes beside a training, which may be none; None for one per core, which -1 is elsewhere and here, too.

    Raises:
        ConfigError: it is no number of processes.
    """
    if jobs is not None and jobs < -1:
        raise ConfigError("--jobs", jobs, "it must be a number of processes; 0 draws in the training process")
    return None if jobs == -1 else jobs


def check_jobs(jobs: int) -> None:
    """Raise ConfigError unless this is a number of processes."""
    if jobs < 1 and jobs != -1:
        raise ConfigError("--jobs", jobs, "it must be a number of processes, or -1 for one per core")
