"""Pictures that come round again: drawn once, and kept in a file until the training that shows them ends."""

import os
import shutil
import zlib
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np

MOST = 16 * 2**30
"""Bytes of an album at most."""


def room_for(size: int) -> int:
    """Bytes for a picture; the few of large molecules that compressed take more are drawn anew each time."""
    return 1024 + size * size * 3 // 4


@final
class Album:
    """Places for pictures of one size in a sparse file, each whole or empty; several processes read and write them.

    A picture is a zlib stream, which holds its own checksum: one that was cut off, by a kill or a power failure, is not
    there. Where the file cannot grow, what is drawn from then on is not kept.

    Args:
        path: the file; made when it is first needed.
        size: side of the pictures in pixels.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.path, self.shape, self.full = path, (size, size, 3), False
        self.length = room_for(size)

    @staticmethod
    def fits(path: Path, size: int, pictures: int) -> bool:
        """Whether there is room for so many, in half of what the disk has left beside those that are there already."""
        kept = path.stat().st_blocks * 512 if path.exists() else 0
        room = min(MOST, (shutil.disk_usage(path.parent).free + kept) // 2)
        return hasattr(os, "pread") and room_for(size) * pictures <= room

    @cached_property
    def _file(self) -> int:
        return os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_file"}

    def __del__(self) -> None:
        if "_file" in self.__dict__:
            os.close(self._file)

    def get(self, place: int) -> np.ndarray | None:
        """The picture at a place, uint8 (size, size, 3), not to be written to; None if there is none."""
        stored = os.pread(self._file, self.length, place * self.length)
        if not stored.startswith(b"\x78"):
            return None
        stream = zlib.decompressobj()
        try:
            picture = stream.decompress(stored)
        except zlib.error:
            return None
        return np.frombuffer(picture, np.uint8).reshape(self.shape) if stream.eof else None

    def put(self, place: int, picture: np.ndarray) -> None:
        """Keep a picture, if there is room for it."""
        stored = zlib.compress(picture.tobytes(), 1)
        if self.full or len(stored) > self.length:
            return
        try:
            os.pwrite(self._file, stored, place * self.length)
        except OSError:
            self.full = True
