"""Arrays filed under everything they depend on, so that a changed cause can never find an old result."""

import os
import uuid
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
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


class FeatureBank:
    """Feature vectors of molecules under one set of causes (teacher, renderer, conformer settings).

    A folder of small shards, each written whole and then renamed: parallel writers do not disturb each other, and a
    killed run keeps every shard that it finished. A molecule that could not be drawn is kept too, with its reason and
    a row of NaN, so that the slowest failures are not repeated.
    """

    def __init__(self, causes: Sequence[str], *, root: Path | None = None) -> None:
        self.folder = (root or cache_dir()) / "features" / address(*causes)
        self._rows: dict[str, tuple[np.ndarray, str]] = {}
        for shard in sorted(self.folder.glob("*.npz")):
            try:
                with shard.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                    keys, features, notes = stored["keys"], stored["features"], stored["notes"]
            except (
                OSError,
                ValueError,
                KeyError,
                EOFError,
                BadZipFile,
            ):  # a damaged shard costs its own molecules, no more
                shard.unlink(missing_ok=True)
                continue
            self._rows.update(zip(keys.tolist(), zip(features, notes.tolist(), strict=True), strict=True))

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
        shard = self.folder / f"{uuid.uuid4().hex}.npz"
        try:
            with whole(shard, parents=True) as partial, partial.open("wb") as file:
                np.savez(
                    file,
                    keys=np.array(list(rows)),
                    features=np.stack([features for features, _ in rows.values()]).astype(np.float32),
                    notes=np.array([note for _, note in rows.values()]),
                )
        except OutputError as error:
            raise OutputError(f"{error} ($IEM_CACHE says where the cache is)") from error
