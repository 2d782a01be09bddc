"""SDF files: structures with properties, and with coordinates that are either in space or flat."""

import re
from collections.abc import Iterable, Iterator
from itertools import islice

import pandas as pd
from rdkit import Chem, rdBase
from rdkit.Chem import Mol

from iem.chem.molecules import canonical
from iem.chem.space import is_3d

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
    every = records(lines)
    while texts := list(islice(every, rows)):
        cells, mols, problems = [], {}, {}
        for position, text in enumerate(texts):
            mol, reason = structure(text)
            title = {"title": title_of(text)} if title_of(text) else {}
            cells.append(title | _properties(text) | {"smiles": smiles_of(mol) if mol else ""})
            if mol is None:
                problems[position] = reason
            elif is_3d(mol):
                mols[position] = mol
        frame = pd.DataFrame(cells, dtype=object).fillna("")
        yield frame[["smiles", *frame.columns.drop("smiles")]], mols, problems


def records(lines: Iterable[str]) -> Iterator[str]:
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


def _properties(record: str) -> dict[str, str]:
    """What stands behind the structure of a record."""
    properties: dict[str, str] = {}
    name = None
    for line in record.partition("M  END")[2].split("\n"):
        if opening := _FIELD.match(line):
            name = opening[1]
            properties[name] = ""
        elif name is not None and line.strip():
            properties[name] = f"{properties[name]}\n{line}" if properties[name] else line
        else:
            name = None
    return {name: value.strip() for name, value in properties.items()}


def structure(record: str) -> tuple[Mol | None, str]:
    """The molecule as it stands there, hydrogens that are atoms included, or None and RDKit's reason.

    Atom-map numbers are dropped, as ``iem.chem.molecules.parse`` drops them.
    """
    block = "".join(record.partition("M  END")[:2])
    with rdBase.BlockLogs():
        mol = Chem.MolFromMolBlock(block, removeHs=False)
        if mol is not None:
            for atom in mol.GetAtoms():
                atom.SetAtomMapNum(0)
            return (mol, "") if mol.GetNumAtoms() else (None, "the record has no atoms")
        loose = Chem.MolFromMolBlock(block, sanitize=False, strictParsing=False)
        if loose is None:
            return None, "the record is not a readable mol block"
        try:
            Chem.SanitizeMol(loose)
        except Chem.MolSanitizeException as error:
            return None, str(error)
    return None, "the record is not a readable mol block"


def smiles_of(mol: Mol) -> str:
    """Canonical SMILES of a structure, without hydrogens as atoms."""
    with rdBase.BlockLogs():
        return canonical(Chem.RemoveHs(mol))


def title_of(record: str) -> str:
    """First line of a record; may be blank."""
    return record.split("\n", 1)[0].strip()
