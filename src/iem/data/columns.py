"""Recognise what the columns of a table hold: molecules, targets, row numbers."""

import math
import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from iem.chem.molecules import parse
from iem.errors import ConfigError, MoleculeError, TableError

SAMPLE = 50
"""Distinct cells of a column that decide whether it holds molecules."""

MISSING = {"", "nan", "-nan", "na", "n/a", "#n/a", "<na>", "null", "none"}
"""How a cell says, in any case, that nothing is there."""

WORDS = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0, "active": 1.0, "inactive": 0.0}
WORDS |= {"positive": 1.0, "negative": 0.0}
"""Binary labels in words, in any case. Only a column without a single number is read so."""

LARGEST = 1e15
"""Of labels, either sign: their squares, and sums of those, stay far inside single precision."""

_ROW_NUMBER = re.compile(r"unnamed: \d+|index|idx|row|(?:[^\W\d]*[ _.-])?(?:[cas]?id|num|number|no\.?|nr\.?)|molid")
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")
_STRUCTURAL = re.compile(r"[\[\]()=#\d/\\@]")


def is_missing(cell: object) -> bool:
    """Whether a cell says that nothing is there."""
    return cell is None or cell is pd.NA or cell != cell or (isinstance(cell, str) and cell.strip().lower() in MISSING)


def is_number(cell: object) -> bool:
    """Whether a cell reads as a number, finite or not."""
    return _number(cell) is not None


def is_smiles_name(column: str) -> bool:
    """Whether a column is called as columns of SMILES are."""
    name = re.sub(r"[^a-z]", "", column.lower())
    return "smiles" in name or name in {"structure", "molecule", "mol", "drug"}


def is_molecule(text: str, *, strict: bool = False) -> bool:
    """Whether a text is a SMILES that RDKit accepts.

    Args:
        text: a cell.
        strict: it must also look like a structure: ``CO``, ``I`` and ``NO`` are words before they are molecules.
    """
    if strict and len(text) < 5 and not _STRUCTURAL.search(text):
        return False
    try:
        return parse(text).GetNumAtoms() > 0
    except MoleculeError:
        return False


def check_column(frame: pd.DataFrame, column: str, role: str, table: str) -> None:
    """Raise TableError, with what may have been meant, unless the table has this column."""
    if column in frame.columns:
        return
    near = get_close_matches(column.lower(), {str(name).lower(): name for name in frame.columns}, n=1)
    meant = [name for name in frame.columns if near and str(name).lower() == near[0]]
    hint = f" Did you mean {meant[0]!r}?" if meant else ""
    raise TableError(f"{table} has no {role} column {column!r}.{hint} Its columns: {listing(frame.columns)}")


def listing(names: Any, most: int = 12) -> str:
    """Some names in one line."""
    names = list(map(str, names))
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) + more) or "none"


def find_smiles(frame: pd.DataFrame, named: str | None, table: str) -> str:
    """The column of molecules: the named one, else the one whose cells are SMILES.

    A column qualifies when more than half of its distinct cells parse, and either it is called like a column of SMILES
    or more than half of them look like structures. A name counts more than the share that parses, and that more than
    the order.

    Raises:
        TableError: no such column.
    """
    if named is not None:
        check_column(frame, named, "SMILES", table)
        return named
    best, most = None, (False, 0.0)
    for column in frame.columns:
        texts = _sample(frame[column])
        called = is_smiles_name(column)
        if not texts:
            continue
        share = sum(map(is_molecule, texts)) / len(texts)
        looks = sum(is_molecule(text, strict=True) for text in texts) / len(texts) if share > 0.5 else 0.0
        if share > 0.5 and (called or looks > 0.5) and (called, share) > most:
            best, most = column, (called, share)
    if best is None:  # molecules that cannot be parsed are reported one by one, so a good name is enough
        best = next((column for column in frame.columns if is_smiles_name(column) and _sample(frame[column])), None)
    if best is None:
        raise TableError(
            f"{table} has no column whose cells are SMILES; its columns: {listing(frame.columns)}; "
            f"name the right one with --smiles"
        )
    return best


def _sample(column: pd.Series) -> list[str]:
    """Distinct texts of a column, evenly spaced; none where its cells are numbers."""
    if column.dtype.kind in "biufM":
        return []
    if column.dtype == object:  # a list, say, is no member of a set
        column = column[[isinstance(cell, str) for cell in column]]
    distinct = column.dropna().unique()
    cells = [cell.strip() for cell in distinct if isinstance(cell, str) and not is_missing(cell)]
    cells = cells[:: max(1, len(cells) // SAMPLE)][:SAMPLE]
    return [] if all(map(is_number, cells)) else cells


class Numbers(NamedTuple):
    """A column read as labels."""

    values: np.ndarray
    """float64 (rows,), NaN where missing or not a number."""
    wrong: dict[int, str]
    """What is not a label, by position: the reason."""

    @property
    def known(self) -> np.ndarray:
        """The labels that are there."""
        return self.values[~np.isnan(self.values)]

    @property
    def is_numeric(self) -> bool:
        """Most cells that are not blank are labels."""
        return len(self.known) > len(self.wrong)

    @property
    def is_binary(self) -> bool:
        """Every label is 0 or 1."""
        return bool(np.isin(self.known, (0, 1)).all())


def numbers(column: pd.Series, *, comma: bool = False) -> Numbers:
    """Read a column as labels.

    Args:
        column: numbers, booleans, or text: numbers, blanks, or words for a binary label.
        comma: the table is not separated by commas, so ``0,5`` may be a half. It is when the column shows so: commas,
            no points, and not always three digits behind the comma (``1,500`` alone could be a thousand and a half).
    """
    if column.dtype == object:
        column = column.map(lambda cell: cell if pd.api.types.is_hashable(cell) else str(cell))
    codes, distinct = pd.factorize(column, use_na_sentinel=True)
    cells = [str(cell).strip() if isinstance(cell, str) else cell for cell in distinct]
    texts = [cell for cell in cells if isinstance(cell, str)]
    if comma and _commas_are_points(texts):
        cells = [cell.replace(",", ".") if isinstance(cell, str) else cell for cell in cells]
    read = [None if is_missing(cell) else _number(cell) for cell in cells]
    if all(value is None for value in read):
        read = [WORDS.get(str(cell).lower()) for cell in cells]
    faults = [_fault(value) for value in read]
    values = np.array([*(math.nan if fault else value for value, fault in zip(read, faults, strict=True)), math.nan])
    values = values.astype(np.float64)[codes]
    wrong = {
        code: f"'{cell}' is {fault}"
        for code, (cell, fault) in enumerate(zip(cells, faults, strict=True))
        if fault and not is_missing(cell)
    }
    places = np.flatnonzero(np.isin(codes, list(wrong))) if wrong else ()
    return Numbers(values, {int(place): wrong[codes[place]] for place in places})


def _fault(value: float | None) -> str:
    """What keeps a value from being a label; empty if nothing does."""
    if value is None:
        return "not a number"
    if not math.isfinite(value):
        return "not finite"
    return f"beyond {LARGEST:g}" if abs(value) > LARGEST else ""


def _number(cell: Any) -> float | None:
    if isinstance(cell, str) and "_" in cell:  # Python would read 1_000
        return None
    try:
        return float(cell)
    except (TypeError, ValueError):
        return None


def _commas_are_points(texts: Sequence[str]) -> bool:
    commas = [text for text in texts if _DECIMAL_COMMA.fullmatch(text)]
    fractions = any(len(text.split(",")[1]) != 3 or text.lstrip("+-").startswith("0,") for text in commas)
    return fractions and not any("." in text and _number(text) is not None for text in texts)


class Targets(NamedTuple):
    """What is to be learned."""

    names: list[str]
    task: str | None
    columns: list[Numbers]
    notes: list[str]


def find_targets(
    frame: pd.DataFrame, named: Sequence[str], task: str | None, *, table: str, comma: bool = False
) -> Targets:
    """The named columns as targets, or all that hold labels.

    Args:
        frame: rows whose molecules are usable; without the column of SMILES.
        named: columns; empty: every column of numbers or binary words that is neither a row number nor constant.
        task: ``classification`` or ``regression``; None: recognised, and then all targets must be of one kind. Where
            targets are found, it also chooses among them.
        table: name, for messages.
        comma: see ``numbers``.

    Raises:
        TableError: a named column that is missing, not numeric, without labels or constant; targets of both kinds;
            nothing to learn from.
    """
    if named:
        found = {name: numbers(frame[name], comma=comma) for name in named}
        for name, column in found.items():
            _check_target(name, column, task)
        notes: list[str] = []
    else:
        found, notes = _numeric_columns(frame, comma)
        if task is not None:
            kind = {name: column for name, column in found.items() if column.is_binary == (task == "classification")}
            chosen = kind or ({} if task == "classification" else found)
            notes += _skipped("not for this task", [name for name in found if name not in chosen])
            found = chosen
        if not found:
            reasons = "".join(f"; {note}" for note in notes)
            raise TableError(
                f"{table} has no column of labels to learn from; besides the molecules it has: "
                f"{listing(frame.columns)}{reasons}; add a column of numbers, or name one with --target"
            )
    binary = [name for name, column in found.items() if column.is_binary]
    if task is None and 0 < len(binary) < len(found):
        rest = [name for name in found if name not in binary]
        raise TableError(
            f"{table} has binary targets ({listing(binary, 5)}) and continuous ones ({listing(rest, 5)}); choose with "
            f"--target, or with --task classification or --task regression"
        )
    task = task or ("classification" if binary else "regression")
    notes.insert(0, f"{task} of {listing(found)}")
    return Targets(list(found), task, list(found.values()), notes)


def _check_target(name: str, column: Numbers, task: str | None) -> None:
    if not len(column.known) and not column.wrong:
        raise TableError(f"target {name!r} has no labels: all its cells are blank; choose another --target")
    if not column.is_numeric:
        reason = next(iter(column.wrong.values()))
        total = len(column.wrong) + len(column.known)
        raise TableError(
            f"target {name!r} is not numeric: {len(column.wrong):,} of {total:,} labels are no finite numbers "
            f"({reason}); choose another --target"
        )
    if len(values := np.unique(column.known)) == 1:
        kind = "one class only" if column.is_binary and task != "regression" else "one value only"
        raise TableError(f"target {name!r} has {kind} ({values[0]:g} in every row); there is nothing to learn from it")
    if task == "classification" and not column.is_binary:
        some = ", ".join(f"{value:g}" for value in values[:4])
        raise TableError(
            f"target {name!r} has values other than 0 and 1 ({some} ...), so it is not for classification; make it "
            f"binary or use --task regression"
        )


def _numeric_columns(frame: pd.DataFrame, comma: bool) -> tuple[dict[str, Numbers], list[str]]:
    found, row_numbers, constant, blank = {}, [], [], []
    for name in frame.columns:
        column = numbers(frame[name], comma=comma)
        if not len(column.known) and not column.wrong:
            blank.append(name)
        elif not column.is_numeric:
            continue
        elif _counts_rows(name, column.values):
            row_numbers.append(name)
        elif (column.known == column.known[0]).all():
            constant.append(name)
        else:
            found[name] = column
    notes = _skipped("row numbers or identifiers", row_numbers) + _skipped("the same in every row", constant)
    return found, notes + _skipped("blank in every row", blank)


def _counts_rows(name: str, values: np.ndarray) -> bool:
    """Whether integers only tell rows apart: they are called so, or go up by one."""
    if np.isnan(values).any() or (values % 1 != 0).any() or np.isin(values, (0, 1)).all():
        return False
    return bool(_ROW_NUMBER.fullmatch(name.strip().lower())) or (len(values) > 2 and bool((np.diff(values) == 1).all()))


def _skipped(why: str, names: Sequence[str]) -> list[str]:
    return [f"not taken as targets ({why}): {listing(names)}"] if names else []


def check_task(task: str | None) -> None:
    """Raise ConfigError unless the task is one of the two, or None."""
    if task not in (None, "classification", "regression"):
        raise ConfigError("--task", task, "it must be classification or regression")
