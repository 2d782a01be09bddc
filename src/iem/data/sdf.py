"""SDF files: structures with properties, and with coordinates that are either in space or flat."""

import re
from collections.abc import Iterable, Iterator
from itertools import islice

import pandas as pd
from rdkit import Chem, rdBase
from rdkit.Chem import Mol

from iem.chem.molecules import canonical

_FIELD = re.compile(r">.*?<(.*)>")
"""The line that opens a property: ``>  <NAME>``, sometimes with a number behind."""


def read_sdf(lines: Iterable[str], rows: int) -> Iterator[tuple[pd.DataFrame, dict[int, Mol], dict[int, str]]]:
    """Records in pieces: a column ``smiles``, the properties as written, and ``title`` where records have one.

    Args:
        lines: of the file.
        rows: records in a piece.

    Yields:
        Frame; molecules with coordinates in space, by position; reasons of unreadable structures, by position.
    """
    records = _records(lines)
    while texts := list(islice(records, rows)):
        cells, mols, problems = [], {}, {}
        for position, text in enumerate(texts):
            block, properties = _divide(text)
            mol, reason = _structure(block)
            title = block.split("\n", 1)[0].strip()
            cells.append(({"title": title} if title else {}) | properties | {"smiles": canonical(mol) if mol else ""})
            if mol is None:
                problems[position] = reason
            elif in_space(mol):
                mols[position] = mol
        frame = pd.DataFrame(cells, dtype=object).fillna("")
        yield frame[["smiles", *frame.columns.drop("smiles")]], mols, problems


def in_space(mol: Mol) -> bool:
    """Whether the molecule has coordinates of which some leave the plane of the paper."""
    return mol.GetNumConformers() > 0 and abs(mol.GetConformer().GetPositions()[:, 2]).max(initial=0) > 1e-3


def _records(lines: Iterable[str]) -> Iterator[str]:
    """Text of each record, without its closing ``$$$$``."""
    record: list[str] = []
    for line in lines:
        line = line.rstrip("\r\n")
        if line.startswith("$$$$"):
            yield "\n".join(record)
            record = []
        else:
            record.append(line)
    if any(line.strip() for line in record):  # the last one was not closed
        yield "\n".join(record)


def _divide(record: str) -> tuple[str, dict[str, str]]:
    """Structure and properties of a record."""
    block, end, rest = record.partition("M  END")
    properties: dict[str, str] = {}
    name = None
    for line in rest.split("\n"):
        if opening := _FIELD.match(line):
            name = opening[1]
            properties[name] = ""
        elif name is not None and line.strip():
            properties[name] = f"{properties[name]}\n{line}" if properties[name] else line
        else:
            name = None
    return block + end, {name: value.strip() for name, value in properties.items()}


def _structure(block: str) -> tuple[Mol | None, str]:
    """The molecule without explicit hydrogens, or None and RDKit's reason."""
    with rdBase.BlockLogs():
        mol = Chem.MolFromMolBlock(block)
        if mol is not None:
            return (mol, "") if mol.GetNumAtoms() else (None, "the record has no atoms")
        loose = Chem.MolFromMolBlock(block, sanitize=False, strictParsing=False)
        if loose is None:
            return None, "the record is not a readable mol block"
        try:
            Chem.SanitizeMol(loose)
        except Chem.MolSanitizeException as error:
            return None, str(error)
    return None, "the record is not a readable mol block"
