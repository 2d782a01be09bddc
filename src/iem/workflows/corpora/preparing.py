"""From lists of molecules to a corpus folder."""

import hashlib
import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, NamedTuple

import pyarrow as pa
from rdkit import rdBase

from iem.chem.conformers import ConformerSettings, conformer
from iem.chem.molecules import parse
from iem.chem.priors import priors
from iem.data.corpus import (
    MANIFEST,
    REJECTED,
    SCHEMA,
    Record,
    RejectedRows,
    read_manifest,
    read_shard,
    table_of,
    write_table,
)
from iem.data.intake import Batch, Named, Row, Texts, batches, draw, drawn, largest, name_rows, stream_rows
from iem.data.mapped import is_mapped, open_mapped, place_of, write_mapped
from iem.data.moleculenet import DATASETS
from iem.data.tables import STANDARD_INPUT, located
from iem.errors import ArtifactError, IEMError, MoleculeError, OutputError, TableError
from iem.files import write_json
from iem.records import STATUSES, Rejection
from iem.render.depiction import layout
from iem.report.text import plural
from iem.workflows.running.console import progress, say
from iem.workflows.running.engines import Engine, in_order, open_engine
from iem.workflows.running.folders import RUN, open_run

EXCLUDED = pa.schema([("name", pa.string())])
STATUS_WORDS = {
    "etkdg": "embedded at the first attempt",
    "etkdg-random-coords": "embedded from random coordinates",
    "given": "with the coordinates that they came with",
    "flat": "drawn flat",
}
STAGE_WORDS = {
    "parse": "unreadable",
    "duplicate": "there already",
    "exclude": "in an excluded table",
    "conformer": "too large to be drawn",
}


class Shard(NamedTuple):
    """What became of the molecules of one shard."""

    digest: str
    """SHA-256 of the file."""
    lost: list[Rejection]
    statuses: dict[str, int]
    """Molecules by conformer status."""
    made: bool
    """Whether it was made now, and not found whole."""


@dataclass
class Tally:
    """What became of the rows so far."""

    digests: dict[str, str] = field(default_factory=dict)
    statuses: Counter[str] = field(default_factory=Counter)
    stages: Counter[str] = field(default_factory=Counter)
    reason: str = "nothing read"
    """Of the first row that was left out."""
    made: int = 0
    """Molecules of this run, without those of shards that were there."""

    def add(self, batch: Batch, name: str, shard: Shard | None) -> list[Rejection]:
        """Count a batch and its shard, if it has one; the rows that were left out, in order."""
        rejected = sorted([*batch.rejected, *(shard.lost if shard else ())])
        if rejected and not self.stages:
            self.reason = rejected[0].reason
        self.stages.update(row.stage for row in rejected)
        if shard:
            self.digests[name] = shard.digest
            self.statuses.update(shard.statuses)
            self.made += len(batch.rows) * shard.made
        return rejected


def prepare_corpus(
    inputs: Sequence[str],
    *,
    out: Path,
    exclude: Sequence[str],
    limit: int | None,
    smiles: str | None,
    settings: ConformerSettings,
    shard_size: int,
    jobs: int,
    engine: str,
    address: str | None,
) -> None:
    """See ``iem.workflows.prepare``; the seed of the conformers is that of the sample."""
    with _at_hand(inputs) as files:
        asked = _asked(files, exclude, limit, smiles, settings, shard_size)
        with open_engine(engine, jobs=jobs, address=address) as tasks, _claimed(out, asked):
            before = _manifest(out)
            if before.get("settings") == asked and _is_whole(out, before):
                molecules = plural(before["counts"]["molecules"], "molecule")
                say(f"{out} is finished and undamaged: {molecules}; nothing to do")
                return
            started = perf_counter()
            forbidden = _skeletons(exclude, tasks)
            read, highest = draw(_watched(stream_rows(files, smiles)), limit, settings.seed)
            rows = (drawn(some, settings.seed, highest) for some in stream_rows(files, smiles))
            shards = batches(_named(rows, tasks), shard_size, forbidden)
            tally = _make_shards(out, shards, min(read, limit or read), settings, before.get("shards", {}), tasks)
            if not tally.statuses:
                raise TableError(f"no molecule is left of {plural(read, 'row')}: {tally.reason}")
            _write_manifest(out, asked, tally)
        say(_summary(tally, perf_counter() - started))
        say(f"the corpus is in {out}; iem corpus {out} shows what is in it")


@contextmanager
def _at_hand(inputs: Sequence[str]) -> Iterator[list[str]]:
    """Inputs that can be read several times: standard input is kept as a file for the length of the block."""
    with TemporaryDirectory() as folder:
        kept = Path(folder) / "standard-input"
        if any(source in STANDARD_INPUT for source in inputs):
            if sys.stdin is None:
                raise TableError("standard input is closed; name a file")
            with kept.open("wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
        yield [str(kept) if source in STANDARD_INPUT else source for source in inputs]


@contextmanager
def _claimed(out: Path, asked: Mapping[str, Any]) -> Iterator[None]:
    """A folder for this run; one in which nothing was made before an error is given free again."""
    existed = os.path.exists(out)
    with open_run(out, asked, kind="corpus"):
        try:
            yield
        except OutputError as error:
            raise OutputError(f"{error}; finished shards are kept: the same command goes on from there") from error
        except IEMError:
            if not any(out.glob("part-*")):
                for name in (RUN, REJECTED):
                    (out / name).unlink(missing_ok=True)
                if not existed:
                    with suppress(OSError):  # something else stands there by now
                        out.rmdir()
            raise


def _asked(
    inputs: Sequence[str],
    exclude: Sequence[str],
    limit: int | None,
    smiles: str | None,
    settings: ConformerSettings,
    shard_size: int,
) -> dict[str, Any]:
    """Everything that decides what is in the corpus."""
    digests: dict[str, str] = {}
    for source in inputs:
        name = Path(source).name
        while name in digests:  # two files may have one name
            name += "'"
        digests[name] = _content(source)[:16]
    tables = [
        name if name in DATASETS else f"{Path(name).name} {_content(name)[:16]}"  # a name is always one table
        for name in exclude
    ]
    asked = {
        "inputs": digests,
        "exclude": tables,
        "limit": limit,
        "seed": settings.seed,
        "shard_size": shard_size,
        "conformers": settings.signature,
    }
    return asked | ({"smiles": smiles} if smiles else {})


def _make_shards(
    out: Path,
    shards: Iterable[Batch],
    total: int,
    settings: ConformerSettings,
    vouched: Mapping[str, str],
    tasks: Engine,
) -> Tally:
    """Make what is not there yet, and the table of left-out rows.

    Args:
        out: folder of the corpus.
        shards: molecules and left-out rows; a batch without molecules needs no file.
        total: rows that all of them account for.
        settings: of the conformers.
        vouched: digests of a finished manifest, by name of the shard.
        tasks: where shards are made.
    """
    tally, place = Tally(), out.resolve()

    def named() -> Iterator[tuple[str, Batch]]:
        number = 0
        for batch in shards:
            yield f"part-{number:05}.parquet", batch
            number += bool(batch.rows)

    def arguments(item: tuple[str, Batch]) -> tuple[Path, list[Row], ConformerSettings, str | None]:
        return place / item[0], item[1].rows, settings, vouched.get(item[0])

    with RejectedRows(out) as left_out, progress("rate") as bars:
        bars.speed_estimate_period = 600  # seconds; one shard may take a minute
        bar = bars.add_task("laying molecules out" if settings.flat else "embedding molecules", total=total, rate="")
        started = perf_counter()
        for (name, batch), shard in in_order(tasks, make_shard, named(), arguments):
            rejected = tally.add(batch, name, shard)
            left_out.add(rejected)
            if not tally.made:  # shards that were there say nothing of the time that is left
                started = perf_counter()
            rate = f"{tally.made / (perf_counter() - started):,.0f} molecules/s" if tally.made else ""
            bars.update(bar, advance=len(batch.rows) + len(batch.rejected), rate=rate)
    return tally


def _write_manifest(out: Path, asked: Mapping[str, Any], tally: Tally) -> None:
    statuses = {status: tally.statuses[status] for status in STATUSES if tally.statuses[status]}
    counts = {"molecules": tally.statuses.total(), "rejected": tally.stages.total(), "statuses": statuses}
    manifest = {"kind": "corpus", "schema": SCHEMA, "settings": asked, "finished": True, "counts": counts}
    write_json(out / MANIFEST, manifest | {"shards": tally.digests, "rejected": _sha256(out / REJECTED)})


def make_shard(
    path: Path, rows: Sequence[Row], settings: ConformerSettings, vouched: str | None = None
) -> Shard | None:
    """One shard; a whole one that is there is kept. None for no molecules.

    Args:
        path: of the shard.
        rows: its molecules.
        settings: of the conformers.
        vouched: the digest that a finished manifest names; a file with another one is made again.
    """
    if not rows:
        return None
    causes = _causes(rows, settings)
    damaged = vouched is not None and path.is_file() and _sha256(path) != vouched
    found = None if damaged else read_shard(path, causes)
    table = found
    if table is None:
        records, lost = [], []
        for row in rows:
            try:
                mol = parse(row.key)
                geometry = row.geometry or conformer(mol, settings)
                records.append(Record(row.key, geometry, layout(mol), priors(mol, geometry)))
            except MoleculeError as error:
                lost.append(Rejection(row.number, row.key, error.stage, error.reason))
        about = {"causes": causes, "rejected": json.dumps(lost)}
        table = table_of(records).replace_schema_metadata(about)
        write_table(path, table)
    rejected = [Rejection(*row) for row in json.loads(table.schema.metadata[b"rejected"])]
    return Shard(_sha256(path), rejected, dict(Counter(table["status"].to_pylist())), found is None)


def _causes(rows: Sequence[Row], settings: ConformerSettings) -> str:
    """A name for everything that a shard depends on."""
    causes = blake2b(f"{SCHEMA} {settings.signature}".encode(), digest_size=16)
    for row in rows:
        causes.update(f"\n{row.number} {row.key}".encode())
        if row.geometry:
            causes.update(row.geometry.coordinates.tobytes())
    return causes.hexdigest()


def _named(rows: Iterable[tuple[list[int], list[str], bool]], tasks: Engine) -> Iterator[list[Named]]:
    return (named for _, named in in_order(tasks, name_rows, rows, lambda some: some))


def _skeletons(tables: Sequence[str], tasks: Engine) -> set[str]:
    """Every molecule of some tables without its stereo, and the largest part of each salt.

    Kept in the cache: the thirteen named tables take seven minutes of one core, and every resumed run needs them.
    """
    found: set[str] = set()
    for table in tables:
        path = place_of("excluded", _content(table), rdBase.rdkitVersion)
        if not is_mapped(path, EXCLUDED):
            rows = (drawn(some, 0, None) for some in stream_rows([table], None))
            bare = {row.bare for some in _named(rows, tasks) for row in some if row.bare}
            if not bare:
                raise TableError(f"no molecule of the excluded table {table} can be read; check the file")
            names = sorted(bare | {largest(name) for name in bare})
            write_mapped(path, EXCLUDED, [pa.table({"name": names}, schema=EXCLUDED)])
        found.update(name for part in open_mapped(path) for name in part["name"].to_pylist())
    return found


def _watched(rows: Iterable[Texts]) -> Iterator[Texts]:
    with progress() as bars:
        bar = bars.add_task("reading molecules", total=None)
        for some in rows:
            yield some
            bars.advance(bar, len(some.texts))


def _summary(tally: Tally, seconds: float) -> str:
    """What came out, in words."""

    def listed(counts: Counter[str], words: Mapping[str, str]) -> str:
        return ", ".join(f"{count:,} {words.get(name, name)}" for name, count in counts.most_common())

    taken = timedelta(seconds=round(seconds))
    lines = [f"{plural(tally.statuses.total(), 'molecule')}: {listed(tally.statuses, STATUS_WORDS)}"]
    if tally.stages:
        lines.append(f"{plural(tally.stages.total(), 'row')} left out: {listed(tally.stages, STAGE_WORDS)}")
    lines.append(f"{plural(tally.made, 'molecule')} made now in {taken}")
    return "\n".join(lines)


def _manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a corpus that was finished; nothing where there is none that can be read."""
    try:
        return read_manifest(folder)
    except ArtifactError:
        return {}


def _is_whole(folder: Path, manifest: Mapping[str, Any]) -> bool:
    """Whether every file of a finished corpus is as its manifest says."""
    files = dict(manifest["shards"])
    if "rejected" in manifest:
        files[REJECTED] = manifest["rejected"]
    return all((folder / name).is_file() and _sha256(folder / name) == digest for name, digest in files.items())


def _content(source: str) -> str:
    """Digest of an input."""
    return _sha256(Path(str(located(source))))


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise TableError(f"cannot read {path}: {error.strerror}; check the path") from error
