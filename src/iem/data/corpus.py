"""A corpus: molecules with coordinates and priors, in Parquet shards that a killed run can go on from."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol, final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from iem.chem.priors import known_where_finite
from iem.data.mapped import is_mapped, open_mapped, place_of, write_mapped
from iem.errors import ArtifactError
from iem.files import whole
from iem.records import STATUSES, Geometry, PriorTarget, Rejection

MANIFEST, REJECTED = "manifest.json", "rejected.parquet"
SCHEMA = 2
COLUMNS = pa.schema(
    [
        ("smiles", pa.string()),
        ("numbers", pa.list_(pa.uint8())),
        ("bonds", pa.list_(pa.uint16())),  # begin, end, order; bond after bond
        ("coordinates", pa.list_(pa.float16())),  # ångström; x, y, z; atom after atom
        ("layout", pa.list_(pa.float16())),  # of the depiction; x, y; atom of the SMILES after atom
        ("atom", pa.list_(pa.float32())),
        ("bond", pa.list_(pa.float32())),
        ("property", pa.list_(pa.float32())),  # NaN where unknown; the geometry prior follows from the coordinates
        ("status", pa.string()),
    ]
)
REJECTIONS = pa.schema([("row", pa.int64()), ("input", pa.string()), ("stage", pa.string()), ("reason", pa.string())])
ROW_GROUP = 10_000
"""Left-out rows that are written at a time."""


class Record(NamedTuple):
    """One molecule of a corpus."""

    smiles: str
    """Canonical."""
    geometry: Geometry
    layout: np.ndarray
    """Of the depiction, float (atoms of the SMILES, 2)."""
    priors: dict[str, PriorTarget]
    """Answers that are kept, by question; ``iem.data.datasets.answers`` knows all."""


class Answers(Protocol):
    """What the molecules of a corpus answer to a question, by their index."""

    def __getitem__(self, index: int, /) -> PriorTarget: ...


def table_of(records: Sequence[Record]) -> pa.Table:
    """Molecules as the rows of a shard."""

    def known(record: Record, prior: str) -> np.ndarray:
        target = record.priors[prior]
        return np.where(target.known, target.values, np.nan).astype(np.float32)

    columns = {
        "smiles": [record.smiles for record in records],
        "numbers": [record.geometry.numbers for record in records],
        "bonds": [record.geometry.bonds.ravel() for record in records],
        "coordinates": [record.geometry.coordinates.astype(np.float16).ravel() for record in records],
        "layout": [record.layout.astype(np.float16).ravel() for record in records],
        **{prior: [known(record, prior) for record in records] for prior in ("atom", "bond", "property")},
        "status": [record.geometry.status for record in records],
    }
    return pa.table(columns, schema=COLUMNS)


def read_shard(path: Path, causes: str) -> pa.Table | None:
    """A shard that is whole and was made from these causes; None if it must be made again."""
    try:
        table = pq.read_table(path, page_checksum_verification=True)
    except (OSError, pa.ArrowException):
        return None
    return table if (table.schema.metadata or {}).get(b"causes") == causes.encode() else None


def write_table(path: Path, table: pa.Table) -> None:
    """Write a Parquet file whole or not at all.

    Raises:
        OutputError: the folder cannot be written or the disk is full.
    """
    with whole(path) as partial:
        pq.write_table(table, partial, compression="zstd", write_page_checksum=True)


class RejectedRows:
    """The table of left-out rows, written as they come; use it as a context."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._stack, self._waiting = folder, ExitStack(), list[Rejection]()
        self._writer: Any = None

    def __enter__(self) -> "RejectedRows":
        partial = self._stack.enter_context(whole(self._folder / REJECTED))
        options = {"compression": "zstd", "write_page_checksum": True}
        self._writer = self._stack.enter_context(pq.ParquetWriter(partial, REJECTIONS, **options))
        self._stack.push(self._last)
        return self

    def add(self, rows: Sequence[Rejection]) -> None:
        """Add some rows behind those that are there."""
        self._waiting += rows
        if len(self._waiting) >= ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        columns = [list(column) for column in zip(*self._waiting, strict=True)]
        self._writer.write_table(pa.table(columns, schema=REJECTIONS))
        self._waiting.clear()

    def _last(self, kind: type | None, *_: Any) -> None:
        if kind is None and self._waiting:
            self._flush()

    def __exit__(self, kind: type | None, *error: Any) -> None:
        self._stack.__exit__(kind, *error)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a corpus folder, finished or not.

    Raises:
        ArtifactError: there is none, or it is not ours or of another version.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise ArtifactError(f"{folder} is not a corpus: it has no {MANIFEST}; make one with iem prepare")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ArtifactError(f"{path} cannot be read ({error}); prepare the corpus again") from error
    if not isinstance(manifest, dict) or manifest.get("kind") != "corpus":
        raise ArtifactError(f"{path} was not written by iem; name a folder that iem prepare wrote")
    if manifest.get("schema") != SCHEMA:
        raise ArtifactError(
            f"{folder} has format version {manifest.get('schema')}, and this iem reads version {SCHEMA}; run the same "
            "iem prepare command again to make it anew"
        )
    return manifest


def open_corpus(folder: Path) -> dict[str, Any]:
    """The manifest of a finished corpus.

    Raises:
        ArtifactError: it is not one, unfinished, or without molecules.
    """
    manifest = read_manifest(folder)
    if not manifest.get("finished"):
        raise ArtifactError(f"{folder} is not finished; run the same iem prepare command again to go on with it")
    if not manifest["counts"]["molecules"] or not manifest["shards"]:
        raise ArtifactError(f"{folder} has no molecules; see its {REJECTED} for the reasons")
    return manifest


def check_shard(folder: Path, name: str, digest: str) -> bytes:
    """What is in the file of a shard, if its digest is that of the manifest; 0.7 ms for a megabyte.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    path = folder / name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror}; run iem prepare again to mend it") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise ArtifactError(f"{path} is damaged; run the same iem prepare command again to mend it")
    return content


def open_shard(folder: Path, name: str, digest: str) -> pa.Table:
    """One shard; raises as ``check_shard``."""
    return pq.read_table(pa.BufferReader(check_shard(folder, name, digest))).cast(COLUMNS)


@final
class Molecules:
    """The rows of a table as molecules, which share its memory."""

    def __init__(self, table: pa.Table) -> None:
        self._smiles, self._status = table["smiles"], table["status"]
        self.columns = {name: ragged(table[name]) for name in COLUMNS.names[1:-1]}
        """All others by name, as ``ragged`` gives them."""

    @property
    def statuses(self) -> list[str]:
        """Of every molecule, how it came by its coordinates."""
        return self._status.to_pylist()

    def __len__(self) -> int:
        return len(self._status)

    def __getitem__(self, index: int) -> Record:
        index = range(len(self))[index]  # from the end where negative, IndexError beyond
        row = {name: flat[starts[index] : starts[index + 1]] for name, (flat, starts) in self.columns.items()}
        coordinates = row["coordinates"].astype(np.float32).reshape(-1, 3)
        geometry = Geometry(row["numbers"], row["bonds"].reshape(-1, 3), coordinates, self._status[index].as_py())
        priors = {
            "atom": known_where_finite(row["atom"]),
            "bond": known_where_finite(row["bond"]),
            "property": known_where_finite(row["property"]),
        }
        return Record(self._smiles[index].as_py(), geometry, row["layout"].reshape(-1, 2), priors)


@final
class Corpus:
    """Random access to the molecules of a finished corpus, mapped into memory.

    A first opening writes the shards, uncompressed, into one file in the user's cache: some 700 bytes a molecule. Every
    opening compares the digests of the shards with those of the manifest, so that what is read is what they hold.
    Another process gets the name of that file and not its content.

    Attributes:
        kept: answers that records come with besides those of the shards, by question; see ``iem.data.answered``.

    Raises:
        ArtifactError: unfinished, empty, damaged, or of another version; names the shard.
        OutputError: the cache cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.manifest = folder, open_corpus(folder)
        self.kept: dict[str, Answers] = {}
        shards = self.manifest["shards"]
        self._mapped = place_of("corpus", str(COLUMNS), *shards.values())
        if is_mapped(self._mapped, COLUMNS, self.manifest["counts"]["molecules"]):
            for name, digest in shards.items():
                check_shard(folder, name, digest)
        else:
            write_mapped(self._mapped, COLUMNS, (open_shard(folder, *shard) for shard in shards.items()))

    @cached_property
    def _parts(self) -> list[Molecules]:
        return [Molecules(part) for part in open_mapped(self._mapped)]

    @cached_property
    def _ends(self) -> np.ndarray:
        """Molecules in each part and those before it."""
        return np.cumsum([len(part) for part in self._parts])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_parts"}

    @property
    def digest(self) -> str:
        """Name of the content: over the digests of all shards."""
        return hashlib.sha256("".join(self.manifest["shards"].values()).encode()).hexdigest()[:16]

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> Record:
        index = range(len(self))[index]  # from the end where negative, IndexError beyond
        part = int(np.searchsorted(self._ends, index, side="right"))
        record = self._parts[part][index - int(self._ends[part])]  # counted from the end of its part
        for name, answers in self.kept.items():
            record.priors[name] = answers[index]
        return record

    def __iter__(self) -> Iterator[Record]:
        return (self[index] for index in range(len(self)))

    @cached_property
    def statuses(self) -> Mapping[str, int]:
        """How many molecules came by their coordinates in each way."""
        counts = Counter(status for part in self._parts for status in part.statuses)
        return {status: counts[status] for status in STATUSES if status in counts}

    @property
    def is_flat(self) -> bool:
        """Whether no molecule has coordinates in space, as after ``iem prepare --flat``."""
        return set(self.statuses) == {"flat"}


def ragged(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """A list column as one flat array and where each row starts in it; copies nothing of a column of one piece."""
    rows = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return rows.values.to_numpy(zero_copy_only=False), rows.offsets.to_numpy()
