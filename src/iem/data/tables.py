"""Tables of molecules: whatever the user has, read into rows, labels and reasons."""

import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from iem.chem.molecules import canonical, parse
from iem.data.columns import Targets, check_column, check_task, find_smiles, find_targets, is_missing
from iem.data.moleculenet import DATASETS, fetch
from iem.data.reading import Piece, open_source
from iem.errors import MoleculeError, TableError
from iem.records import Geometry, Rejection

if TYPE_CHECKING:
    from rdkit.Chem import Mol

STANDARD_INPUT = ("-", "/dev/stdin")

HEAD = 1_000
"""Rows that decide which column holds the molecules."""

CHUNK = 2_000
"""Molecules that one worker parses at a time."""

NO_ROWS = "has a header but no rows; it needs one row per molecule"


class Duplicates(NamedTuple):
    """Molecules that a table has more than once. Their rows are kept: a benchmark is scored row by row."""

    molecules: int
    """Molecules on two rows or more."""
    rows: int
    """Rows that they take."""
    conflicting: int
    """Molecules whose labels for some target differ."""
    examples: list[str]
    """Some of the conflicting ones, with their rows and labels."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Table:
    """The usable rows of a table, in their order; ``N`` of them, with ``T`` targets."""

    name: str
    rows: np.ndarray
    """Where each row stands in the input, counted from 0 without the header; int64 ``(N,)``."""
    smiles: list[str]
    """As written."""
    keys: list[str]
    """Canonical SMILES."""
    labels: np.ndarray
    """float64 ``(N, T)``, NaN where missing; 0 and 1 for classification."""
    targets: list[str]
    task: str | None
    """``classification`` or ``regression``; None where no targets were asked for."""
    columns: pd.DataFrame
    """All other columns, as written."""
    geometries: dict[str, Geometry]
    """Coordinates in space that an SDF gives, by key; the first where a molecule comes more than once."""
    rejected: list[Rejection]
    """Rows that were left out (stage ``parse``) and labels that were (stage ``label``; the row stays where it has
    others, or where rows without any were not asked to be left out)."""
    notes: list[str]
    """What was recognised and decided, for people."""
    duplicates: Duplicates
    read: int
    """Rows of the input."""

    def without(self, refused: Mapping[str, str], stage: str) -> "Table":
        """The table less the molecules that a later stage cannot take.

        Args:
            refused: why, by key.
            stage: which stage.

        Raises:
            TableError: nothing is left.
        """
        if not refused:
            return self
        kept = [place for place, key in enumerate(self.keys) if key not in refused]
        gone = [
            Rejection(int(row), text, stage, refused[key])
            for row, text, key in zip(self.rows, self.smiles, self.keys, strict=True)
            if key in refused
        ]
        if not kept:
            raise TableError(
                f"the student can take none of the {len(self.keys):,} molecules of {self.name}; the first, "
                f"{gone[0].input!r}: {gone[0].reason}"
            )
        return replace(
            self,
            rows=self.rows[kept],
            smiles=[self.smiles[place] for place in kept],
            keys=[self.keys[place] for place in kept],
            labels=self.labels[kept],
            columns=self.columns.iloc[kept].reset_index(drop=True),
            rejected=sorted(self.rejected + gone),
            notes=[
                *self.notes,
                f"molecules that the student cannot take: {len(gone):,}; the first, in row {gone[0].row}: "
                f"{gone[0].reason}",
            ],
        )


def read_table(
    source: "str | Path | pd.DataFrame",
    *,
    smiles: str | None = None,
    targets: Sequence[str] = (),
    task: str | None = None,
    require_targets: bool = True,
    require_labels: bool = False,
    exclude: Sequence[str] = (),
) -> Table:
    """Read a table of molecules and their labels.

    Args:
        source: CSV, TSV, Parquet, SDF or a list of SMILES, each also gzip-compressed; a benchmark table by its name;
            ``-`` for standard input; or a data frame.
        smiles: column of the molecules; None: found by its content. An SDF or a list of SMILES needs none.
        targets: columns to learn; empty: those of a benchmark table, else all columns of labels.
        task: ``classification`` or ``regression``; None: recognised.
        require_targets: if false, none are looked for unless named.
        require_labels: if true, rows without a label for any target are left out, too.
        exclude: columns that are never taken for targets, such as one that holds a split.

    Raises:
        TableError: nothing can be read or learned, with what to do about it.
        UnavailableError: a benchmark table that is not at hand.
        ConfigError: an unknown task.
    """
    check_task(task)
    dataset = _benchmark(source)
    if dataset is not None:
        smiles, targets, task = smiles or "smiles", targets or dataset.targets, task or dataset.task
    with open_source(located(source), 10_000) as opened:
        frame, mols, problems = _whole(opened.pieces)
        name = dataset.name if dataset is not None else opened.name
        notes, comma = list(opened.notes), opened.separator not in ("", ",")
        column = opened.smiles
    if not len(frame):
        raise TableError(f"{name} {NO_ROWS}")
    if column is None:
        column = find_smiles(frame.head(HEAD), smiles, name)
        notes.append(f"molecules: column {column!r}")
    for target in targets:
        check_column(frame.drop(columns=column), target, "target", name)

    texts = ["" if is_missing(cell) else str(cell) for cell in frame[column]]
    parsed, reasons = _parse(texts)
    reasons |= problems
    named = frame.get("title", texts) if opened.form == "SDF" else texts  # an unreadable record has no SMILES
    rejected = [Rejection(row, str(named[row]), "parse", reasons[row]) for row in sorted(reasons)]
    used = np.array([row for row in range(len(texts)) if row not in reasons], dtype=np.int64)
    if not len(used):
        raise TableError(
            f"none of the {len(texts):,} molecules of {name} can be read; the first, {texts[0]!r}: {reasons[0]}; "
            f"check the column {column!r} or name another with --smiles"
        )
    geometries = _geometries({parsed[row]: mol for row, mol in reversed(mols.items())})
    if opened.form == "SDF":
        notes.append(f"{len(mols):,} of {len(texts):,} records have coordinates in space, which are used")

    others = frame.iloc[used].drop(columns=column).reset_index(drop=True)
    found = Targets([], None, [], [])
    if targets or require_targets:
        never = [*exclude, "title"] if opened.form == "SDF" else exclude  # the name of a record, and no label
        candidates = others.drop(columns=[] if targets else others.columns.intersection(list(never)))
        found = find_targets(candidates, list(dict.fromkeys(targets)), task, table=name, comma=comma)
        notes += found.notes
        wrong = _wrong_labels(found, used, texts)
        rejected += wrong
        if wrong:
            notes.append(f"labels left out: {len(wrong):,}; the first, in row {wrong[0].row}: {wrong[0].reason}")
    labels = np.array([column.values for column in found.columns]).reshape(-1, len(used)).T
    blank = np.isnan(labels).all(axis=1)
    if found.names and blank.any():
        notes.append(f"rows without any label{', left out' * require_labels}: {blank.sum():,}")
        if require_labels:
            told = {rejection.row for rejection in rejected}
            rejected += [
                Rejection(row, texts[row], "label", "no label") for row in used[blank].tolist() if row not in told
            ]
            used, labels, others = used[~blank], labels[~blank], others[~blank].reset_index(drop=True)
    rejected.sort()
    keys = [parsed[row] for row in used]
    duplicates = _duplicates(keys, labels, used)
    if duplicates.molecules:
        notes.append(
            f"molecules that come more than once: {duplicates.molecules:,} ({duplicates.rows:,} rows; all stay, and "
            f"scaffold and random splits keep them together); with conflicting labels: {duplicates.conflicting:,}"
        )
    return Table(
        name=Path(name).name,
        rows=used,
        smiles=[texts[row] for row in used],
        keys=keys,
        labels=np.ascontiguousarray(labels),
        targets=found.names,
        task=found.task,
        columns=others.drop(columns=found.names),
        geometries=geometries,
        rejected=rejected,
        notes=notes,
        duplicates=duplicates,
        read=len(texts),
    )


class Chunk(NamedTuple):
    """Some consecutive rows of a table, none left out."""

    smiles: list[str]
    """As written; blank where nothing is."""
    columns: pd.DataFrame
    """All columns, as written; for an SDF ``smiles`` comes first."""
    problems: dict[int, str]
    """Why the structure at a position could not be read, where the form of the table (SDF) shows it already."""
    molecules: str
    """The column that ``smiles`` is."""


def stream_smiles(
    source: "str | Path | pd.DataFrame", smiles: str | None = None, *, chunk: int = 1_000
) -> Iterator[Chunk]:
    """Read a table of any length in constant memory, in order, every row once.

    The column of molecules is found in the first chunk as ``read_table`` finds it, and so are the columns that there
    are: an SDF property that no record of the first chunk has is left out.

    Args:
        source: see ``read_table``.
        smiles: column of the molecules; None: found by its content.
        chunk: rows in a chunk.

    Raises:
        TableError: missing, empty, damaged, without molecules; also while reading on.
    """
    dataset = _benchmark(source)
    with open_source(located(source), chunk) as opened:
        column, columns = opened.smiles, None
        for piece in opened.pieces:
            frame = piece.frame
            if column is None:
                column = find_smiles(frame.head(HEAD), smiles or (dataset and "smiles"), opened.name)
            if columns is None:
                columns = list(frame.columns)
            texts = ["" if is_missing(cell) else str(cell) for cell in frame[column]]
            yield Chunk(texts, frame.reindex(columns=columns, fill_value=""), piece.problems, column)
        if columns is None:
            raise TableError(f"{opened.name} {NO_ROWS}")


def _benchmark(source: object) -> Any:
    """The benchmark table that a text names. A file of the same name is meant by its path (``./bbbp``)."""
    return DATASETS.get(source) if isinstance(source, str) else None


def located(source: "str | Path | pd.DataFrame") -> "str | Path | pd.DataFrame":
    """Where a table is: its file, that of a benchmark table, ``-`` for standard input, or the frame itself.

    Raises:
        TableError: there is no such file.
        UnavailableError: a benchmark table that is not at hand.
    """
    if _benchmark(source) is not None:
        return fetch(str(source))
    if isinstance(source, pd.DataFrame):
        return source
    if not isinstance(source, str | os.PathLike):
        raise TableError(f"a table is a path, a name or a data frame, and no {type(source).__name__}")
    if str(source) in STANDARD_INPUT:
        if sys.stdin is None:
            raise TableError("standard input is closed; name a file")
        return "-"
    if os.path.exists(source):  # which takes names of any length
        return source
    raise TableError(
        f"there is no file {str(source)!r} and no benchmark table of that name ({', '.join(DATASETS)}); check the path"
    )


def _whole(pieces: Iterator[Piece]) -> tuple[pd.DataFrame, "dict[int, Mol]", dict[int, str]]:
    """All pieces as one, positions counted through."""
    frames: list[pd.DataFrame] = []
    mols: dict[int, Any] = {}
    problems: dict[int, str] = {}
    start = 0
    for piece in pieces:
        mols |= {start + position: mol for position, mol in piece.mols.items()}
        problems |= {start + position: reason for position, reason in piece.problems.items()}
        frames.append(piece.frame)
        start += len(piece.frame)
    return (pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()), mols, problems


def _parse(texts: Sequence[str]) -> tuple[list[str], dict[int, str]]:
    """Canonical SMILES of every row (blank where there is none), and why some have none, by row."""
    distinct = list(dict.fromkeys(texts))
    chunks = [distinct[start : start + CHUNK] for start in range(0, len(distinct), CHUNK)]
    parallel = Parallel(n_jobs=1 if len(chunks) < 3 else -1)
    parsed = [result for some in parallel(delayed(_parse_some)(chunk) for chunk in chunks) for result in some]
    known = dict(zip(distinct, parsed, strict=True))
    reasons = {row: known[text][1] for row, text in enumerate(texts) if known[text][1]}
    return [known[text][0] for text in texts], reasons


def _parse_some(texts: Sequence[str]) -> list[tuple[str, str]]:
    return [_parse_one(text) for text in texts]


def _parse_one(text: str) -> tuple[str, str]:
    if not text.strip():
        return "", "there is no SMILES in this row"
    try:
        return canonical(parse(text)), ""
    except MoleculeError as error:
        return "", error.reason


def _wrong_labels(found: Targets, used: np.ndarray, texts: Sequence[str]) -> list[Rejection]:
    return sorted(
        Rejection(int(used[place]), texts[used[place]], "label", f"target {name!r}: {reason}")
        for name, column in zip(found.names, found.columns, strict=True)
        for place, reason in column.wrong.items()
    )


def _geometries(mols: "Mapping[str, Mol]") -> dict[str, Geometry]:
    geometries: dict[str, Geometry] = {}
    if mols:
        from iem.chem.conformers import given_geometry  # prediction reads tables, too, and needs no conformers

        for key, mol in mols.items():
            with suppress(MoleculeError):  # whoever needs a picture will meet the same reason and report it
                geometries[key] = given_geometry(mol)
    return geometries


def _duplicates(keys: Sequence[str], labels: np.ndarray, used: np.ndarray) -> Duplicates:
    places = defaultdict(list)
    for place, key in enumerate(keys):
        places[key].append(place)
    repeated = {key: some for key, some in places.items() if len(some) > 1}
    conflicts = []
    for key, some in repeated.items():
        low, high = np.fmin.reduce(labels[some], axis=0), np.fmax.reduce(labels[some], axis=0)
        if (low < high).any():
            target = int(np.flatnonzero(low < high)[0])
            said = ", ".join(f"{labels[place, target]:g} in row {used[place]}" for place in some[:4])
            conflicts.append(f"{key}: {said}")
    return Duplicates(len(repeated), sum(map(len, repeated.values())), len(conflicts), conflicts[:5])
