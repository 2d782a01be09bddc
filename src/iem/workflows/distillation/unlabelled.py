"""Molecules without labels that learn along: read, told apart from those of the table, and counted."""

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from iem.data.tables import Table, read_table
from iem.errors import TableError
from iem.records import Geometry, Rejection, Split
from iem.report.text import plural


class Unlabelled(NamedTuple):
    """What is left of a table of molecules without labels."""

    name: str
    keys: list[str]
    """Canonical SMILES, different ones, none of them of the training part."""
    rows: Mapping[str, int]
    """Where each stands in the table, the first where it comes more than once."""
    geometries: Mapping[str, Geometry]
    """Coordinates that came with some, by key."""
    rejected: list[Rejection]
    """Rows that cannot be read."""
    counts: dict[str, int]
    """``read`` and ``rejected`` rows; different molecules ``in_training``, ``in_validation`` and ``in_test``; ``used``
    molecules."""
    transductive: bool

    def without(self, refused: Mapping[str, str], stage: str) -> "Unlabelled":
        """Less the molecules that a later stage cannot take, with its reasons by key.

        Raises:
            TableError: nothing is left.
        """
        keys = [key for key in self.keys if key not in refused]
        if not keys:
            raise TableError(f"--unlabelled: the student can take none of the molecules of {self.name}; give others")
        rejected = self.rejected + [Rejection(self.rows[key], key, stage, reason) for key, reason in refused.items()]
        counts = self.counts | {"rejected": len(rejected), "used": len(keys)}
        return self._replace(keys=keys, rejected=sorted(rejected), counts=counts)

    @property
    def digest(self) -> str:
        """Of everything that a training depends on."""
        content = hashlib.sha256("\n".join(self.keys).encode())
        for key, geometry in self.geometries.items():
            content.update(key.encode() + geometry.coordinates.tobytes())
        return content.hexdigest()[:16]

    def __str__(self) -> str:
        """In words, with the number of those that the test part has, too."""
        counts, fate = self.counts, "kept, as --transductive asks" if self.transductive else "left out"
        return (
            f"{self.name}: {plural(counts['read'], 'row')} without labels read, {counts['rejected']:,} rejected; "
            f"{plural(counts['used'], 'molecule')} learn along. {counts['in_training']:,} stand in the training part "
            f"already; {counts['in_test']:,} also in the test part and {counts['in_validation']:,} in the validation "
            f"part: {fate}."
        )


def read_unlabelled(
    source: Any, keys: list[str], split: Split, *, smiles: str | None, transductive: bool
) -> Unlabelled:
    """Molecules that are not learned from already.

    Args:
        source: a table or a list of SMILES, see ``read_table``.
        keys: canonical SMILES of the labelled table.
        split: its parts.
        smiles: column of the molecules in the labelled table, which counts here, too, if there is one of that name.
        transductive: molecules of its validation and test part are kept.

    Raises:
        TableError: nothing can be read, or nothing is left.
    """
    table = _read(source, smiles)
    parts = {part: {keys[row] for row in rows} for part, rows in split._asdict().items()}
    different = list(dict.fromkeys(table.keys))
    known = parts["train"] if transductive else set().union(*parts.values())
    fresh = [key for key in different if key not in known]
    if not fresh:
        raise TableError(
            f"--unlabelled: all {plural(len(different), 'molecule')} of {table.name} stand in the labelled table "
            "already; give others, or leave it out"
        )
    counts = {
        "read": table.read,
        "rejected": len(table.rejected),
        **{
            name: sum(key in parts[part] for key in different)
            for name, part in (("in_training", "train"), ("in_validation", "valid"), ("in_test", "test"))
        },
        "used": len(fresh),
    }
    used = set(fresh)
    geometries = {key: geometry for key, geometry in table.geometries.items() if key in used}
    rows = {key: int(row) for key, row in reversed(list(zip(table.keys, table.rows, strict=True)))}
    return Unlabelled(table.name, fresh, rows, geometries, table.rejected, counts, transductive)


def _read(source: Any, smiles: str | None) -> Table:
    try:
        return read_table(source, smiles=smiles, require_targets=False)
    except TableError as error:
        if smiles is not None:
            return _read(source, None)
        raise TableError(f"--unlabelled: {error}") from error
