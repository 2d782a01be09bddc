"""Tables that are mapped into memory instead of read: one Arrow file in the user's cache, shared by all processes."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from iem.cache import address, cache_dir
from iem.errors import ArtifactError, OutputError
from iem.files import whole


def place_of(*causes: str) -> Path:
    """Where the file of a table stands that depends on this and nothing else."""
    return cache_dir() / "tables" / f"{address(*causes)}.arrow"


def write_mapped(path: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    """Write tables one behind the other, each as a part of its own; whole or not at all, one in memory at a time.

    Raises:
        OutputError: the cache cannot be written.
    """
    try:
        with whole(path, parents=True) as partial, pa.ipc.new_file(partial, schema) as writer:
            for table in tables:
                writer.write_table(table.combine_chunks())
    except OutputError as error:
        raise OutputError(f"{error} ($IEM_CACHE says where the cache is)") from error


def is_mapped(path: Path, schema: pa.Schema, rows: int | None = None) -> bool:
    """Whether ``open_mapped`` will find this schema and, if given, as many rows; not if the file was cut off."""
    try:
        parts = open_mapped(path)
    except ArtifactError:
        return False
    return rows in (None, sum(map(len, parts))) and all(part.schema.equals(schema) for part in parts)


def open_mapped(path: Path) -> list[pa.Table]:
    """The parts of a file, of which the system reads what is looked at, once for all processes.

    Raises:
        ArtifactError: the file is missing or damaged.
    """
    try:
        with pa.ipc.open_file(pa.memory_map(str(path))) as file:
            return [pa.Table.from_batches([file.get_batch(part)]) for part in range(file.num_record_batches)]
    except (OSError, pa.ArrowException) as error:
        raise ArtifactError(f"cannot read {path}; run the command again, which makes it anew") from error
