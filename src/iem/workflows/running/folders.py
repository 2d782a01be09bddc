"""Output folders: made, claimed for one set of settings, and never mixed with another's."""

import errno
import fcntl
import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import IO, Any, final

from iem.errors import ConfigError, OutputError
from iem.files import PARTIAL, as_json, unwritten

RUN = "run.json"
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS)
"""What a file system says that has no hard links."""

DIGESTS = {"table": "table", "teacher": "teacher", "corpus": "corpus", "unlabelled": "table of unlabelled molecules"}
"""Settings that a digest stands for, which tells a person nothing, and their names."""
OTHERS = {
    "inputs": "on other molecules",
    "exclude": "with other tables left out (--exclude)",
    "conformers": "with other conformers (--seed, --timeout, --relax, --flat)",
}
"""Settings that are more than a number or a word, and what a run that has others is called."""


@final
class Claim:
    """A folder that this process alone works in, until the block ends in which ``open_run`` gave it.

    The claim is a lock on ``run.json``, which workers do not inherit and which a kill ends. POSIX lets go of it when
    this process closes the file anywhere, so nobody else may open it meanwhile.
    """

    def __init__(self, path: Path, locks: ExitStack) -> None:
        self._path, self._locks = path, locks
        self.settings: dict[str, Any] = {}
        """Those that the folder has."""

    def found(self, settings: dict[str, Any]) -> None:
        """Claim a folder that has these settings.

        Raises:
            OutputError: it cannot be written, or another process is at work in it.
        """
        try:
            file = self._locks.enter_context(self._path.open("rb+"))
            mine = alone_with(file) and os.fstat(file.fileno()).st_ino == self._path.stat().st_ino
        except OSError as error:
            raise unwritten(self._path, error) from error
        if not mine:  # or it was replaced, by whoever is at work
            raise _busy(self._path)
        self.settings = settings

    def settle(self, settings: dict[str, Any], *, new: bool = False) -> None:
        """Give the folder these settings; whole, and claimed from the moment on that anybody can see them.

        Args:
            settings: take the place of those that it has.
            new: it has none yet.

        Raises:
            OutputError: it cannot be written, or another process has made it its own meanwhile.
        """
        other = self._path.with_name(f".{RUN}.{os.getpid()}.partial")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = self._locks.enter_context(other.open("wb"))
            file.write(as_json(settings))
            file.flush()
            os.fsync(file.fileno())
            alone_with(file)
            self._publish(other, new=new)
        except OSError as error:
            raise unwritten(self._path, error) from error
        finally:
            with suppress(OSError):  # the folder itself may be what is wrong
                other.unlink(missing_ok=True)
        self.settings = settings

    def _publish(self, other: Path, *, new: bool) -> None:
        if new:
            try:
                self._path.hardlink_to(other)
            except FileExistsError as error:
                raise _busy(self._path) from error
            except OSError as error:
                if error.errno not in NO_LINKS:
                    raise
                new = False
        if not new:
            other.replace(self._path)


def alone_with(file: IO[Any]) -> bool:
    """Hold an open file for this process until it is closed; False if another does. A kill ends that, too.

    On a file system without locks everybody is alone.
    """
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        pass
    return True


@contextmanager
def open_run(folder: Path, settings: Mapping[str, Any], *, kind: str, free: Collection[str] = ()) -> Iterator[Claim]:
    """Claim a folder for a run, or find that it is the same run, interrupted or finished; alone while the block runs.

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
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise OutputError(f"--out {folder} is a file; name a folder")
    path = folder / RUN
    with ExitStack() as locks:
        claim = Claim(path, locks)
        if os.path.isfile(path):
            held = _read(path, kind)
            _compare(folder, wanted, held, free)
            claim.found(held)
        else:
            started = f".{RUN}{PARTIAL[1:]}"  # by a run that was killed before it had claimed the folder
            if os.path.isdir(folder) and not all(fnmatch(name, started) for name in _listed(folder)):
                raise OutputError(f"--out {folder} exists and is not a {kind} run of iem; name a new folder")
            claim.settle(wanted, new=True)
        for leftover in folder.rglob(PARTIAL):  # of a run that was killed while it wrote
            leftover.unlink(missing_ok=True)
        yield claim


def _listed(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError as error:
        raise OutputError(f"cannot read {folder}: {error.strerror}; choose another place") from error


def _busy(path: Path) -> OutputError:
    return OutputError(
        f"another process is at work in --out {path.parent}; wait until it is done, or name another folder"
    )


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
