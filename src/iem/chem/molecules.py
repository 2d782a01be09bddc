"""Text to molecule and back: what RDKit accepts, why it refuses, and the names that a molecule goes by."""

import re

from rdkit import Chem, rdBase
from rdkit.Chem import Mol

from iem.errors import MoleculeError

LONGEST_TEXT = 20_000
"""Characters. Insulin has about 900; canonical order takes RDKit seconds here and minutes not far beyond."""

_ECHO = re.compile(r"( for input: .*| while parsing: .*)$")


def parse(text: str) -> Mol:
    """Read one SMILES (or CXSMILES) into a sanitised molecule without explicit hydrogens.

    Blanks around it are ignored. Atom-map numbers and coordinates of a CXSMILES are dropped: they are no part of the
    molecule. A molecule without heavy atoms (``[H][H]``), a wildcard, a radical, a metal or a salt is a molecule;
    a name behind the SMILES is not read.

    Raises:
        MoleculeError: stage ``parse``, with RDKit's own reason, for example
            ``Explicit valence for atom # 1 N, 5, is greater than permitted``.

    Example:
        >>> canonical(parse(" OCC "))
        'CCO'
    """
    if not isinstance(text, str):  # a hole in a list or a column of somebody's Python
        is_hole = str(text) in ("None", "nan", "<NA>", "NaT")
        reason = "it is empty" if is_hole else f"it is no text but of type {type(text).__name__}"
        raise MoleculeError("" if is_hole else str(text), "parse", reason)
    smiles = text.strip()
    if not smiles:
        raise MoleculeError(text, "parse", "it is empty")
    if len(smiles) > LONGEST_TEXT:
        reason = f"it has {len(smiles):,} characters, and a SMILES may have {LONGEST_TEXT:,}"
        raise MoleculeError(f"{smiles[:60]}…", "parse", reason)
    if _is_number(smiles):
        raise MoleculeError(smiles, "parse", "it is a number, not a SMILES")
    if (extra := smiles.split(maxsplit=1)[1:]) and not extra[0].startswith("|"):
        raise MoleculeError(smiles, "parse", f"something follows the SMILES: {extra[0][:40]!r}")
    options = Chem.SmilesParserParams()
    options.parseName = False
    try:
        with rdBase.BlockLogs(), rdBase.CaptureErrorLog() as log:
            mol = Chem.MolFromSmiles(smiles, options)
    except UnicodeEncodeError as error:
        raise MoleculeError(ascii(smiles), "parse", "it has characters that are no text") from error
    if mol is None:
        raise MoleculeError(smiles, "parse", _reason(log.messages))
    mol.RemoveAllConformers()
    if ":" in smiles:
        for atom in mol.GetAtoms():
            atom.SetAtomMapNum(0)
    return mol


def canonical(mol: Mol) -> str:
    """Canonical isomeric SMILES: the key of a molecule everywhere in iem."""
    return Chem.MolToSmiles(mol)


def skeleton(mol: Mol) -> str:
    """Canonical SMILES of what is left without stereo, isotopes and explicit hydrogens: for leaving molecules out.

    Example:
        >>> skeleton(parse("C[C@H](N)C(=O)O")) == skeleton(parse("[2H]OC(=O)[C@H](C)N"))
        True
    """
    plain = Mol(mol)
    Chem.RemoveStereochemistry(plain)
    if any(atom.GetAtomicNum() > 1 for atom in plain.GetAtoms()):
        with rdBase.BlockLogs():
            plain = Chem.RemoveAllHs(plain)
    return Chem.MolToSmiles(plain, isomericSmiles=False)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _reason(messages: str) -> str:
    """The first complaint of RDKit's log, and the position where it gives one; without time stamps and echoes."""
    lines = [re.sub(r"^\[[\d:]+\] (SMILES Parse Error: )?", "", line).strip() for line in messages.splitlines()]
    if not lines:
        return "RDKit gives no reason"
    position = next((found[1] for line in lines if (found := re.search(r"around position (\d+)", line))), None)
    return _ECHO.sub("", lines[0]) + (f" around position {position}" if position else "")
