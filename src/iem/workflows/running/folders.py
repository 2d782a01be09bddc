"""Output folders: made, claimed for one set of settings, and never mixed with another's."""

import fcntl
import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from iem.errors import ConfigError, OutputError
from iem.files import PARTIAL, write_json

RUN = "run.json"

DIGESTS = {"table": "table", "teacher": "teacher", "corpus": "corpus", "unlabelled": "table of unlabelled molecules"}
"""Settings that a digest stands for, which tells a person nothing, and their names."""
OTHERS = {
    "inputs": "on other molecules",
    "exclude": "with other tables left out (--exclude)",
    "conformers": "with other conformers (--seed, --timeout, --relax, --flat)",
}
"""Settings that are more than a number or a word, and what a run that has others is called."""


@contextmanager
def open_run(
    folder: Path, settings: Mapping[str, Any], *, kind: str, free: Collection[str] = ()
) -> Iterator[dict[str, Any]]:
    """Claim a folder for a run, or find that it is the same run, interrupted or finished; alone while the block runs.

    The claim ends with the process that holds it, however that ends. The block is given the settings of the folder.

    Args:
        folder: made if needed.
        settings: everything that decides the result; kept in ``run.json``.
        kind: what the run makes, ``teacher`` or ``model``.
        free: settings in which the folder's may differ.

    Raises:
        OutputError: the folder is a file, holds something else or a run on other molecules, cannot be written, or
            another process is at work in it.
        ConfigError: the folder holds a run with other settings; names the first that differs.
    """
    wanted = json.loads(json.dumps({"kind": kind, **settings}))
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"--out {folder} is a file; name a folder")
    path = folder / RUN
    held = wanted
    if path.is_file():
        held = _read(path, kind)
        _compare(folder, wanted, held, free)
    else:
        started = f".{RUN}{PARTIAL[1:]}"  # by a run that was killed before it had claimed the folder
        if folder.is_dir() and not all(fnmatch(entry.name, started) for entry in folder.iterdir()):
            raise OutputError(f"--out {folder} exists and is not a {kind} run of iem; name a new folder")
        write_json(path, wanted, parents=True)
    with _alone(path):
        for leftover in folder.rglob(PARTIAL):  # of a run that was killed while it wrote
            leftover.unlink(missing_ok=True)
        yield held


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a file for this process; its workers do not inherit the claim, and a kill ends it."""
    try:
        file = path.open("rb+")
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}; choose another place") from error
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            raise OutputError(
                f"another process is at work in --out {path.parent}; wait until it is done, or name another folder"
            ) from error
        except OSError:  # a file system without locks
            pass
        yield


def _compare(folder: Path, wanted: Mapping[str, Any], found: Mapping[str, Any], free: Collection[str]) -> None:
    """Raise the first difference, in the order of the command."""
    for name in {**wanted, **found}:
        if wanted.get(name) == found.get(name) or name in free:
            continue
        remedy = "repeat that run's command to go on with it, or name another --out"
        if name in DIGESTS:
            raise OutputError(f"--out {folder} holds a run with another {DIGESTS[name]}; {remedy}")
        if name in OTHERS:
            raise OutputError(f"--out {folder} holds a run {OTHERS[name]}; {remedy}")
        option = f"--{name.replace('_', '-')}"
        raise ConfigError(option, wanted.get(name), f"{folder} holds a run with {found.get(name)!r}; {remedy}")


def _read(path: Path, kind: str) -> dict[str, Any]:
    """What ``run.json`` of an earlier run says."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutputError(f"{path} cannot be read ({error}); delete {path.parent} or name another folder") from error
    if not isinstance(found, dict) or found.get("kind") != kind:
        raise OutputError(f"--out {path.parent} exists and is not a {kind} run of iem; name a new folder")
    return found
