"""From lists of molecules to a corpus folder."""

import hashlib
import heapq
import json
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed

from iem.chem.conformers import ConformerSettings, conformer
from iem.chem.molecules import canonical, parse, skeleton
from iem.chem.priors import priors
from iem.data.corpus import (
    MANIFEST,
    REJECTED,
    SCHEMA,
    Record,
    read_manifest,
    read_shard,
    rejections,
    table_of,
    write_table,
)
from iem.data.tables import read_table, stream_smiles
from iem.errors import ArtifactError, MoleculeError, TableError
from iem.files import PARTIAL, write_json
from iem.records import Rejection
from iem.workflows.console import progress, say
from iem.workflows.folders import open_run

CHUNK = 2_000


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
) -> None:
    """See ``iem.workflows.prepare``; the seed of the conformers is that of the sample."""
    sources = {Path(name).name: _digest(Path(name)) for name in inputs}
    asked: dict[str, Any] = {
        "inputs": sources,
        "exclude": [Path(name).name for name in exclude],
        "limit": limit,
        "seed": settings.seed,
        "shard_size": shard_size,
        "conformers": settings.signature,
    }
    open_run(out, asked, kind="corpus")
    for leftover in out.glob(PARTIAL):  # of a run that was killed while it wrote
        leftover.unlink(missing_ok=True)
    vouched = _digests(out)
    wanted, rejected = choose(inputs, exclude=exclude, limit=limit, column=smiles, seed=settings.seed, jobs=jobs)
    count = -(-len(wanted) // shard_size)
    shards = [wanted[number::count] for number in range(count)]  # each is a sample of the whole, and takes as long
    names = [f"part-{number:05}.parquet" for number in range(len(shards))]
    manifest: dict[str, Any] = {"kind": "corpus", "schema": SCHEMA, "settings": asked, "finished": False}
    say(f"{len(wanted):,} molecules to prepare in {len(shards)} shards; {len(rejected):,} rows left out so far")
    counts: dict[str, int] = {}
    digests: dict[str, str] = {}
    work = Parallel(n_jobs=jobs, return_as="generator")(
        delayed(make_shard)(out / name, shard, settings, vouched.get(name))
        for name, shard in zip(names, shards, strict=True)
    )
    with progress() as bars:
        bar = bars.add_task("embedding molecules", total=len(wanted))
        for name, shard, (digest, lost, statuses) in zip(names, shards, work, strict=True):
            digests[name] = digest
            rejected += lost
            for status, count in statuses.items():
                counts[status] = counts.get(status, 0) + count
            bars.advance(bar, len(shard))
    write_table(out / REJECTED, rejections(sorted(rejected)))
    manifest |= {
        "finished": True,
        "counts": {"molecules": sum(counts.values()), "rejected": len(rejected), "statuses": counts},
        "shards": digests,
    }
    write_json(out / MANIFEST, manifest)
    say(f"{sum(counts.values()):,} molecules ({counts}), {len(rejected):,} rows left out; the corpus is in {out}")


def choose(
    inputs: Sequence[str], *, exclude: Sequence[str], limit: int | None, column: str | None, seed: int, jobs: int
) -> tuple[list[tuple[int, str]], list[Rejection]]:
    """Rows to prepare, as (row number over all inputs, canonical SMILES), and those left out with their reasons."""
    forbidden = {name for table in exclude for name in _skeletons(table, jobs)}
    draw: list[tuple[int, int, str]] = []  # a heap of the lowest draws, the highest of them on top
    row = 0
    with progress() as bars:
        bar = bars.add_task("reading molecules", total=None)
        for source in inputs:
            for chunk in stream_smiles(source, column, chunk=CHUNK):
                for text in chunk.smiles:
                    lot = int.from_bytes(blake2b(f"{seed} {text}".encode(), digest_size=8).digest(), "big")
                    if limit is None or len(draw) < limit:
                        heapq.heappush(draw, (-lot, row, text))
                    elif -lot > draw[0][0]:
                        heapq.heapreplace(draw, (-lot, row, text))
                    row += 1
                bars.advance(bar, len(chunk.smiles))
    rows = sorted((row, text) for _, row, text in draw)
    wanted: list[tuple[int, str]] = []
    rejected: list[Rejection] = []
    seen: set[str] = set()
    for (number, text), (key, bare, reason) in zip(rows, _names([text for _, text in rows], jobs), strict=True):
        if reason:
            rejected.append(Rejection(number, text, "parse", reason))
        elif bare in forbidden or _largest(bare) in forbidden:
            rejected.append(Rejection(number, text, "exclude", "it is in an excluded table"))
        elif key in seen:
            rejected.append(Rejection(number, text, "duplicate", "the same molecule stands on an earlier row"))
        else:
            seen.add(key)
            wanted.append((number, key))
    if not wanted:
        raise TableError(f"no molecule is left of {row:,} rows: {rejected[0].reason if rejected else 'nothing read'}")
    return wanted, rejected


def make_shard(
    path: Path, rows: Sequence[tuple[int, str]], settings: ConformerSettings, vouched: str | None = None
) -> tuple[str, list[Rejection], dict[str, int]]:
    """One shard: its digest, the rows lost, and the conformers' statuses. A whole one that is there is kept.

    Args:
        path: of the shard.
        rows: row number and canonical SMILES of its molecules.
        settings: of the conformers.
        vouched: the digest that a finished manifest names; a file with another one is made again.
    """
    causes = blake2b(repr((rows, settings.signature)).encode(), digest_size=16).hexdigest()
    damaged = vouched is not None and path.is_file() and _sha256(path) != vouched
    table = None if damaged else read_shard(path, causes)
    if table is None:
        records, lost = [], []
        for number, key in rows:
            try:
                mol = parse(key)
                geometry = conformer(mol, settings)
                records.append(Record(key, geometry, priors(mol, geometry)))
            except MoleculeError as error:
                lost.append(Rejection(number, key, error.stage, error.reason))
        about = {"causes": causes, "rejected": json.dumps(lost)}
        table = table_of(records).replace_schema_metadata(about)
        write_table(path, table)
    rejected = [Rejection(*row) for row in json.loads(table.schema.metadata[b"rejected"])]
    return _sha256(path), rejected, dict(Counter(table["status"].to_pylist()))


def _skeletons(table: str, jobs: int) -> set[str]:
    """Every molecule of a table without its stereo, and the largest part of each salt."""
    keys = read_table(table, require_targets=False).keys
    bare = {bare for _, bare, _ in _names(keys, jobs)}
    return bare | {_largest(name) for name in bare}


def _largest(bare: str) -> str:
    """The largest part of a salt: the drug without its counter-ion."""
    return max(bare.split("."), key=len)


def _names(texts: Sequence[str], jobs: int) -> list[tuple[str, str, str]]:
    """Canonical SMILES, the same without stereo, and the reason where there is none."""
    chunks = [texts[start : start + CHUNK] for start in range(0, len(texts), CHUNK)]
    found = Parallel(n_jobs=1 if len(chunks) < 3 else jobs)(delayed(_names_of)(chunk) for chunk in chunks)
    return [names for some in found for names in some]


def _names_of(texts: Sequence[str]) -> list[tuple[str, str, str]]:
    names = []
    for text in texts:
        try:
            mol = parse(text)
            names.append((canonical(mol), skeleton(mol), ""))
        except MoleculeError as error:
            names.append(("", "", error.reason))
    return names


def _digests(folder: Path) -> dict[str, str]:
    """What the manifest of a finished corpus says of its shards; nothing where there is none that can be read."""
    try:
        shards = read_manifest(folder)["shards"]
    except (ArtifactError, KeyError):
        return {}
    return dict(shards)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(path: Path) -> str:
    try:
        return _sha256(path)[:16]
    except OSError as error:
        raise TableError(f"cannot read {path}: {error.strerror}; check the path") from error
