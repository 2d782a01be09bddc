"""Files that are whole or absent: written under another name, then renamed."""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from iem.errors import OutputError

FULL = (errno.ENOSPC, errno.EDQUOT)
STDIN = Path("/dev/stdin")

PARTIAL = ".*.partial"
"""Pattern of what a killed run may leave behind; nobody reads such a file."""


@contextmanager
def whole(path: Path, *, parents: bool = False) -> Iterator[Path]:
    """A place to write a file to, which becomes ``path`` when the block ends without an error.

    Args:
        path: of the file; one that is there already stays untouched until then. A link stays a link, and a device or
            a pipe is written to directly.
        parents: make the folders on the way.

    Raises:
        OutputError: the folder cannot be written or the disk is full; nothing half-written is left behind. Or it is
            standard input, which may be a file that somebody else wants to keep.
    """
    if path == STDIN:
        raise OutputError("cannot write to standard input, which is what - stands for; name a file")
    target = Path(os.path.realpath(path))
    special = os.path.exists(path) and not os.path.isfile(path)
    partial = path if special else target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        if not special:
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
            partial.replace(target)
    except OutputError:
        raise
    except OSError as error:
        raise unwritten(path, error) from error
    finally:
        if not special:
            with suppress(OSError):  # the folder itself may be what is wrong
                partial.unlink(missing_ok=True)


def unwritten(path: Path, error: OSError) -> OutputError:
    """What to say of a file that could not be written; raised by the caller."""
    remedy = "free some space, then repeat the command" if error.errno in FULL else "choose another place"
    return OutputError(f"cannot write {path}: {error.strerror or error}; {remedy}")


def check_place(path: Path) -> None:
    """Raise OutputError now, and not after the work, if a file cannot be written for want of its folder."""
    folder = path.parent
    if os.path.isdir(path):
        raise OutputError(f"{path} is a folder; name a file")
    if not os.path.isdir(folder):
        raise OutputError(f"cannot write {path}: there is no folder {folder}; make it, or choose another place")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"cannot write {path}: the folder may not be written; choose another place")


def write_bytes(path: Path, content: bytes, *, parents: bool = False) -> None:
    """Write a file whole or not at all; see ``whole``."""
    with whole(path, parents=parents) as partial:
        partial.write_bytes(content)


def write_json(path: Path, content: object, *, parents: bool = False) -> None:
    """Write ``as_json`` whole or not at all; see ``whole``."""
    write_bytes(path, as_json(content), parents=parents)


def as_json(content: object) -> bytes:
    """JSON for people: indented, UTF-8, NaN refused."""
    return (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
