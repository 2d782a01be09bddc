"""What goes into a corpus: the rows of any number of files, in constant memory, each molecule once."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import islice
from typing import NamedTuple

import numpy as np
from rdkit import Chem, rdBase

from iem.chem.conformers import given_geometry
from iem.chem.molecules import canonical, parse, skeleton
from iem.chem.space import is_3d
from iem.data.reading import is_sdf, sdf_records
from iem.data.sdf import structure, title_of
from iem.data.tables import stream_smiles
from iem.errors import MoleculeError
from iem.records import Geometry, Rejection

CHUNK = 1_000
"""Rows that are read, and named by one process, at a time."""

MOST_REJECTED = 100_000
"""Left-out rows that are held until a shard is full; more of them close it early."""


class Texts(NamedTuple):
    """Some rows of the input as written."""

    first: int
    """Number of the first of them over all inputs."""
    texts: list[str]
    """SMILES, or whole records of an SDF."""
    sdf: bool


class Named(NamedTuple):
    """A row, read."""

    number: int
    """Over all inputs."""
    text: str
    """What the row is called where it is left out: the SMILES as written; of an SDF the title, if there is one."""
    key: str
    """Canonical SMILES; empty where the row cannot be read."""
    bare: str
    """The same without stereo: what is compared with excluded tables."""
    reason: str
    """Why the row cannot be read; else empty."""
    geometry: Geometry | None
    """Coordinates in space that the row itself gives."""


class Row(NamedTuple):
    """A molecule that goes into the corpus."""

    number: int
    key: str
    geometry: Geometry | None


class Batch(NamedTuple):
    """The molecules of one shard, and the rows that were left out on the way to them."""

    rows: list[Row]
    rejected: list[Rejection]


def stream_rows(sources: Sequence[str], column: str | None) -> Iterator[Texts]:
    """The rows of all inputs, one after the other.

    Args:
        sources: files of any form, or names of benchmark tables.
        column: with the SMILES; None: found by its content.

    Raises:
        TableError: missing, empty, damaged, without molecules; also while reading on.
    """
    first = 0
    for source in sources:
        sdf = is_sdf(source)
        for texts in (
            _records(source) if sdf else (chunk.smiles for chunk in stream_smiles(source, column, chunk=CHUNK))
        ):
            yield Texts(first, texts, sdf)
            first += len(texts)


def _records(source: str) -> Iterator[list[str]]:
    records = sdf_records(source)
    while some := list(islice(records, CHUNK)):
        yield some


def draw(rows: Iterable[Texts], limit: int | None, seed: int) -> tuple[int, np.uint64 | None]:
    """Count rows and draw a random sample of them, in constant memory.

    Each row draws a lot that depends on its text and the seed only; the lowest lots are taken.

    Args:
        rows: of all inputs.
        limit: how many are taken; None: all.
        seed: of the lots.

    Returns:
        How many rows there are, and the highest lot that is taken (None: every row is).
    """
    count, lowest = 0, np.empty(0, np.uint64)
    for some in rows:
        count += len(some.texts)
        if limit is not None:
            lowest = np.concatenate([lowest, _lots(some.texts, seed)])
            if len(lowest) > 2 * limit + CHUNK:
                lowest = np.partition(lowest, limit)[:limit]
    if limit is None or count <= limit:
        return count, None
    return count, np.partition(lowest, limit - 1)[limit - 1]


def drawn(rows: Texts, seed: int, highest: np.uint64 | None) -> tuple[list[int], list[str], bool]:
    """Those of some rows that are in the sample, as arguments of ``name_rows``."""
    places = np.arange(len(rows.texts))
    if highest is not None:
        places = places[_lots(rows.texts, seed) <= highest]
    return (rows.first + places).tolist(), [rows.texts[place] for place in places], rows.sdf


def _lots(texts: Sequence[str], seed: int) -> np.ndarray:
    return _digests([f"{seed} {text}" for text in texts])


def name_rows(numbers: Sequence[int], texts: Sequence[str], sdf: bool) -> list[Named]:
    """Read rows into molecules and their names."""
    read = _read_record if sdf else _read_smiles
    return [read(number, text) for number, text in zip(numbers, texts, strict=True)]


def _read_smiles(number: int, text: str) -> Named:
    try:
        mol = parse(text)
    except MoleculeError as error:
        return Named(number, text, "", "", error.reason, None)
    return Named(number, text, canonical(mol), skeleton(mol), "", None)


def _read_record(number: int, record: str) -> Named:
    mol, reason = structure(record)
    if mol is None:
        return Named(number, title_of(record), "", "", reason, None)
    with rdBase.BlockLogs():
        bare = Chem.RemoveHs(mol)
    key = canonical(bare)
    try:
        geometry = given_geometry(mol) if is_3d(mol) else None
    except MoleculeError:  # too large for pictures; the shard meets the same reason and reports it
        geometry = None
    return Named(number, title_of(record) or key, key, skeleton(bare), "", geometry)


def batches(rows: Iterable[Sequence[Named]], size: int, forbidden: Collection[str]) -> Iterator[Batch]:
    """Shards of different molecules, each as soon as it is full.

    Args:
        rows: in their order.
        size: molecules of a shard; fewer only in the last one, or where most rows are left out.
        forbidden: names without stereo that are kept out, also as the largest part of a salt.
    """
    seen, batch = Names(), Batch([], [])
    for some in rows:
        reasons = [_reason(row, forbidden) for row in some]
        fresh = iter(seen.add([row.key for row, reason in zip(some, reasons, strict=True) if reason is None]))
        for row, reason in zip(some, reasons, strict=True):
            if reason is None and not next(fresh):
                reason = ("duplicate", "the same molecule stands on an earlier row")
            if reason is None:
                batch.rows.append(Row(row.number, row.key, row.geometry))
            else:
                batch.rejected.append(Rejection(row.number, row.text, *reason))
            if len(batch.rows) == size or len(batch.rejected) == MOST_REJECTED:
                yield batch
                batch = Batch([], [])
    if batch.rows or batch.rejected:
        yield batch


def _reason(row: Named, forbidden: Collection[str]) -> tuple[str, str] | None:
    """Stage and words where a row does not even come to the question whether it is there already."""
    if row.reason:
        return "parse", row.reason
    if row.bare in forbidden or largest(row.bare) in forbidden:
        return "exclude", "it is in an excluded table"
    return None


def largest(bare: str) -> str:
    """The largest part of a salt: the drug without its counter-ion."""
    return max(bare.split("."), key=len)


class Names:
    """A set of names that keeps eight bytes of each.

    Sorted arrays, each at least twice as long as the next, so that a name is looked up in few of them. Two different
    names have one digest in common with a probability of 3e-7 among three million, 3e-4 among a hundred million.
    """

    def __init__(self) -> None:
        self._runs: list[np.ndarray] = []

    def add(self, names: Sequence[str]) -> list[bool]:
        """Add some names; tells of each whether it is new, neither there before nor earlier among these."""
        digests = _digests(names)
        fresh = np.zeros(len(digests), bool)
        fresh[np.unique(digests, return_index=True)[1]] = True
        for run in self._runs:
            fresh &= run[np.searchsorted(run, digests).clip(max=len(run) - 1)] != digests
        if fresh.any():
            self._runs.append(np.sort(digests[fresh]))
        while len(self._runs) > 1 and len(self._runs[-2]) < 2 * len(self._runs[-1]):
            last = self._runs.pop()
            self._runs[-1] = np.concatenate([self._runs[-1], last])
            self._runs[-1].sort()
        return fresh.tolist()


def _digests(texts: Sequence[str]) -> np.ndarray:
    """A number for each text, uint64 ``(texts,)``."""
    joined = b"".join(blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return np.frombuffer(joined, ">u8").astype(np.uint64)
