"""Open what a user hands in, whatever its form, and pass its rows on in pieces of constant size."""

import codecs
import csv
import gzip
import io
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pandas as pd

from iem.data.columns import is_molecule, is_number, is_smiles_name
from iem.data.sdf import read_sdf, records
from iem.errors import TableError

SEPARATORS = ",;\t|"
HEAD = 100
"""Lines that decide on separator and header."""

FORMS = "CSV, TSV, SMILES lists (.smi), Parquet and SDF, each also gzip-compressed"


class Piece(NamedTuple):
    """Some consecutive rows of a table."""

    frame: pd.DataFrame
    """All columns; cells of text files as they are written, blank where nothing is."""
    mols: dict[int, Any]
    """RDKit molecules with the 3D coordinates that an SDF gives, by position in the piece."""
    problems: dict[int, str]
    """Why the structure at a position could not be read, where its form (SDF) lets that be seen here."""


class Source(NamedTuple):
    """An open table."""

    name: str
    """For messages."""
    form: str
    """``text``, ``list``, ``SDF``, ``Parquet`` or ``frame``."""
    notes: list[str]
    """What was recognised."""
    smiles: str | None
    """The column of SMILES where the form says which it is (SDF, SMILES list)."""
    separator: str
    """Of a text table; empty for other forms."""
    pieces: Iterator[Piece]


@contextmanager
def open_source(source: "str | Path | pd.DataFrame", rows: int) -> Iterator[Source]:
    """Open a table: a file of any form, ``-`` for standard input, or a data frame.

    Args:
        source: the form is recognised by content and, between kinds of text, by suffix; compression by content.
        rows: how many make a piece.

    Raises:
        TableError: missing, empty, damaged, not a table, or with two columns of one name; also while reading on.
    """
    if isinstance(source, pd.DataFrame):
        _check_columns("the data frame", [str(column) for column in source.columns])
        yield _open_frame(source, rows)
        return
    name = "standard input" if str(source) == "-" else str(source)
    with ExitStack() as stack:
        with _own_words(name):
            opened = _open_file(source, name, rows, stack)
        yield opened._replace(pieces=_guarded(opened.pieces, name))


def is_sdf(source: str | Path) -> bool:
    """Whether a file is read as an SDF."""
    return Path(str(source).lower().removesuffix(".gz")).suffix in (".sdf", ".sd")


def sdf_records(source: str | Path) -> Iterator[str]:
    """The records of an SDF as text, one after the other, for those who want to read structures elsewhere.

    Raises:
        TableError: missing, empty or damaged; also while reading on.
    """
    with ExitStack() as stack, _own_words(str(source)):
        stream, head = _open_stream(source, str(source), stack)
        yield from records(_text(stream, head, stack))


def _open_stream(source: str | Path, name: str, stack: ExitStack) -> tuple[Any, bytes]:
    """The content of a file, unpacked where it is packed, and the first bytes of it."""
    stream: Any = sys.stdin.buffer
    if str(source) != "-":
        stream = stack.enter_context(Path(source).open("rb"))  # noqa: SIM115 the stack closes it
    if stream.peek(2)[:2] == b"\x1f\x8b":
        stream = stack.enter_context(gzip.GzipFile(fileobj=stream))
    head = stream.peek(4)[:4]
    if not head:
        raise TableError(f"{name} is empty; it needs a header line and one row per molecule")
    if head.startswith(b"PK\x03\x04"):
        raise TableError(f"{name} is an Excel or zip file; save the sheet as CSV (iem reads {FORMS})")
    return stream, head


def _open_file(source: str | Path, name: str, rows: int, stack: ExitStack) -> Source:
    stream, head = _open_stream(source, name, stack)
    if head == b"PAR1":
        return _open_parquet(stream, name, rows, stack)
    if is_sdf(name):
        return Source(
            name, "SDF", [], "smiles", "", (Piece(*piece) for piece in read_sdf(_text(stream, head, stack), rows))
        )
    suffix = Path(name.lower().removesuffix(".gz")).suffix
    return _open_text(_text(stream, head, stack), name, rows, is_list=suffix in (".smi", ".smiles", ".ism"))


@contextmanager
def _own_words(name: str) -> Iterator[None]:
    """What can go wrong while a file is read, said so that it can be mended."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise TableError(f"{name} is damaged ({error}); copy or download it again") from error
    except csv.Error as error:
        raise TableError(f"{name} is not a well-formed table ({error}); check its quotes") from error
    except OSError as error:
        raise TableError(f"cannot read {name}: {error.strerror or error}; check the path and the file") from error


def _guarded(pieces: Iterator[Piece], name: str) -> Iterator[Piece]:
    with _own_words(name):
        yield from pieces


def _check_columns(name: str, columns: Sequence[str]) -> None:
    if doubled := sorted({column for column in columns if columns.count(column) > 1}):
        raise TableError(
            f"{name} has more than one column called {', '.join(map(repr, doubled))}; rename or remove all but one"
        )


# Text


def _mend(error: UnicodeError) -> tuple[str, int]:
    """Bytes that are not UTF-8 are taken for Windows Latin-1, one by one: works on streams, needs no second pass."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    wrong = error.object[error.start : error.end]
    return "".join(_latin(byte) for byte in wrong), error.end


def _latin(byte: int) -> str:
    try:
        return bytes([byte]).decode("cp1252")
    except UnicodeDecodeError:
        return chr(byte)


codecs.register_error("iem-latin-1", _mend)


def _text(stream: BinaryIO, head: bytes, stack: ExitStack) -> io.TextIOWrapper:
    wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    lines = io.TextIOWrapper(stream, "utf-16" if wide else "utf-8-sig", errors="iem-latin-1", newline="")
    stack.callback(lines.detach)  # whoever opened the stream closes it: standard input stays open
    return lines


def _open_text(lines: io.TextIOWrapper, name: str, rows: int, *, is_list: bool) -> Source:
    notes = []
    first = list(islice(lines, HEAD))
    full = [line for line in first if line.strip()]
    if not full:
        raise TableError(f"{name} holds nothing but blank lines; it needs a header line and one row per molecule")
    if any("\0" in line for line in full):
        raise TableError(f"{name} is not a text table; iem reads {FORMS}")
    separator = _separator(full)
    header = [cell.strip() for cell in next(csv.reader(full, delimiter=separator))]
    if is_list or (len(header) == 1 and header[0] and is_molecule(header[0].split()[0])):
        notes.append("read as a list of SMILES without header")
        return Source(name, "list", notes, "smiles", "", _list_pieces(chain(first, lines), full, rows))
    numeric = any(is_number(cell) for cell in header)
    if any(is_molecule(cell, strict=not numeric) for cell in header):  # data, then, and all the more beside a number
        raise TableError(f"the first line of {name} is a molecule and not a header; add one, such as: smiles,target")
    columns = [cell or f"Unnamed: {number}" for number, cell in enumerate(header)]
    _check_columns(name, columns)
    if len(columns) > 1 and separator != ",":
        notes.append(f"separator: {'tab' if separator == chr(9) else separator}")
    records = csv.reader(chain(first, lines), delimiter=separator, strict=True)
    return Source(name, "text", notes, None, separator, _text_pieces(records, columns, name, rows))


def _separator(lines: Sequence[str]) -> str:
    """The one that cuts most lines into as many cells as the first, and into most cells."""

    def fit(separator: str) -> tuple[float, int]:
        counts = [len(row) for row in csv.reader(lines, delimiter=separator) if row]
        agreeing = sum(count == counts[0] for count in counts) / len(counts)
        return (round(agreeing, 1), counts[0]) if counts[0] > 1 else (0.0, 0)

    return max(SEPARATORS, key=fit)


def _text_pieces(records: Iterator[list[str]], columns: list[str], name: str, rows: int) -> Iterator[Piece]:
    for row in records:  # the header, after blank lines
        if any(cell.strip() for cell in row):
            break
    width, number = len(columns), 0
    piece: list[list[str]] = []
    for row in records:
        if not row:
            continue
        if len(row) > width and any(row[width:]):
            raise TableError(
                f"row {number} of {name} has {len(row)} cells, the header {width}; put quotes around cells that "
                f"contain the separator"
            )
        piece.append(row[:width] + [""] * (width - len(row)))
        number += 1
        if len(piece) == rows:
            yield _piece(piece, columns)
            piece = []
    if piece:
        yield _piece(piece, columns)


def _list_pieces(lines: Iterable[str], head: Sequence[str], rows: int) -> Iterator[Piece]:
    """SMILES and, after a blank, a name; a header line is passed over."""
    named = any(len(line.split(maxsplit=1)) > 1 for line in head)
    cells = (line.strip().split(maxsplit=1) for line in lines if line.strip())
    first = next(cells)
    records = cells if is_smiles_name(first[0]) else chain([first], cells)
    while piece := list(islice(records, rows)):
        yield _piece([[*row, ""][: 1 + named] for row in piece], ["smiles", "name"][: 1 + named])


def _piece(cells: list[list[str]], columns: list[str]) -> Piece:
    return Piece(pd.DataFrame(cells, columns=columns, dtype=object), {}, {})


# Frames


def _open_frame(frame: pd.DataFrame, rows: int) -> Source:
    frame = frame.set_axis([str(column) for column in frame.columns], axis="columns").reset_index(drop=True)
    cuts = range(0, len(frame), rows)
    pieces = (Piece(frame.iloc[cut : cut + rows].reset_index(drop=True), {}, {}) for cut in cuts)
    return Source("the data frame", "frame", [], None, "", pieces)


def _open_parquet(stream: Any, name: str, rows: int, stack: ExitStack) -> Source:
    import pyarrow
    from pyarrow import parquet

    if isinstance(stream, gzip.GzipFile) or not stream.seekable():  # Parquet is read from its end
        whole = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 likewise
        shutil.copyfileobj(stream, whole)
        stream = whole
    try:
        file = parquet.ParquetFile(stream)
    except pyarrow.ArrowException as error:
        raise TableError(f"{name} is a damaged Parquet file ({error}); copy or download it again") from error
    columns = [column for column in file.schema_arrow.names if not column.startswith("__index_level_")]
    _check_columns(name, columns)

    def pieces() -> Iterator[Piece]:
        try:
            for batch in file.iter_batches(batch_size=rows, columns=columns):
                yield Piece(batch.to_pandas(ignore_metadata=True), {}, {})
        except pyarrow.ArrowException as error:
            raise TableError(f"{name} is a damaged Parquet file ({error}); copy or download it again") from error

    return Source(name, "Parquet", [], None, "", pieces())
