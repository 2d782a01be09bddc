"""Arrays filed under everything they depend on, so that a changed cause can never find an old result."""

import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from iem.errors import OutputError
from iem.files import whole


def cache_dir() -> Path:
    """The user's cache folder: ``$IEM_CACHE``, else the platform's own (``~/.cache/iem`` on Linux)."""
    if named := os.environ.get("IEM_CACHE"):
        return Path(named).expanduser()
    import pooch

    return Path(pooch.os_cache("iem"))


def address(*causes: str) -> str:
    """Name a result by everything it depends on: 32 hex digits."""
    digest = blake2b(digest_size=16)
    for cause in causes:
        encoded = cause.encode()
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()


class Shelf:
    """A folder of small shards, each some named arrays, written whole and then renamed.

    Parallel writers do not disturb each other, and a killed run keeps every shard that it finished.

    Args:
        folder: made when the first shard is added.
        names: of the arrays in each shard.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.folder, self.names = folder, names

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        """All shards; a damaged one is removed, which costs its own molecules and no more."""
        for shard in sorted(self.folder.glob("*.npz")):
            try:
                with shard.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                    arrays = {name: stored[name] for name in self.names}
            except (OSError, ValueError, KeyError, EOFError, BadZipFile):
                shard.unlink(missing_ok=True)
                continue
            yield arrays

    def add(self, arrays: Mapping[str, Any]) -> None:
        """Write one more shard, of NumPy arrays by name.

        Raises:
            OutputError: the cache cannot be written.
        """
        try:
            with whole(self.folder / f"{uuid.uuid4().hex}.npz", parents=True) as partial, partial.open("wb") as file:
                np.savez(file, **arrays)
        except OutputError as error:
            raise OutputError(f"{error} ($IEM_CACHE says where the cache is)") from error


class FeatureBank:
    """Feature vectors of molecules under one set of causes (teacher, renderer, conformer settings).

    A molecule that could not be drawn is kept too, with its reason and a row of NaN, so that the slowest failures are
    not repeated.
    """

    def __init__(self, causes: Sequence[str], *, root: Path | None = None) -> None:
        self._shelf = Shelf((root or cache_dir()) / "features" / address(*causes), ("keys", "features", "notes"))
        self._rows: dict[str, tuple[np.ndarray, str]] = {}
        for shard in self._shelf:
            rows = zip(shard["features"], shard["notes"].tolist(), strict=True)
            self._rows.update(zip(shard["keys"].tolist(), rows, strict=True))

    @property
    def folder(self) -> Path:
        """Where its shards are."""
        return self._shelf.folder

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    def __getitem__(self, key: str) -> tuple[np.ndarray, str]:
        """Features ``(dim,)`` float32 and the note: conformer status, or the reason of a NaN row."""
        return self._rows[key]

    def put(self, rows: Mapping[str, tuple[np.ndarray, str]]) -> None:
        """Keep molecules for good: ``{key: (features (dim,), note)}``.

        Raises:
            OutputError: the cache cannot be written.
        """
        if not rows:
            return
        self._rows.update(rows)
        self._shelf.add(
            {
                "keys": np.array(list(rows)),
                "features": np.stack([features for features, _ in rows.values()]).astype(np.float32),
                "notes": np.array([note for _, note in rows.values()]),
            }
        )
