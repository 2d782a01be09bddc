"""Divide molecules into a part to learn from, a part to choose by and a part to test on."""

import hashlib
from collections.abc import Hashable, Iterable, Sequence

import numpy as np
from joblib import Parallel, delayed
from rdkit.Chem import Mol, rdFingerprintGenerator
from rdkit.Chem.Scaffolds.MurckoScaffold import MurckoScaffoldSmiles
from rdkit.DataStructs import BulkTanimotoSimilarity
from rdkit.SimDivFilters.rdSimDivPickers import LeaderPicker

from iem.chem.molecules import parse
from iem.errors import ConfigError, TableError
from iem.records import Split

PARTS = {"train": "train", "training": "train", "valid": "valid", "validation": "valid", "val": "valid", "test": "test"}
"""What a split column may say, in any case, and which part it means."""

ALIKE = 0.35
"""Tanimoto similarity of ECFP4 from which two molecules are of one cluster."""

CHUNK = 2_000
"""Molecules whose scaffolds one worker finds at a time."""


def scaffold(molecule: str | Mol) -> str:
    """Canonical SMILES of the Bemis-Murcko scaffold with its chirality; empty where a molecule has no ring.

    Raises:
        MoleculeError: the SMILES cannot be parsed.
    """
    return MurckoScaffoldSmiles(mol=parse(molecule) if isinstance(molecule, str) else molecule, includeChirality=True)


def scaffold_split(molecules: Sequence[str | Mol], fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)) -> Split:
    """The deterministic scaffold split of Hu et al. (ICLR 2020, doi:10.48550/arXiv.1905.12265), on which the paper's
    tables rest.

    Molecules that share a scaffold stay together (those without a ring share the empty one). The groups, the largest
    first and among equals the one that starts later in the table first, go to the training part unless that would pass
    its share; else to the validation part unless training and validation together would pass theirs; else to the test
    part. So the test part holds the rare scaffolds.

    Args:
        molecules: SMILES or molecules; canonical SMILES, so that one molecule written in two ways has one scaffold.
        fractions: shares of train, valid and test; they sum to 1.

    Raises:
        ConfigError: the fractions are not shares.
        TableError: a part would be empty.
    """
    _check(fractions)
    return _by_groups(_scaffolds(molecules), fractions, "scaffold")


def cluster_split(keys: Sequence[str], fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)) -> Split:
    """Molecules that look alike stay together; otherwise like the scaffold split, and deterministic.

    Sphere exclusion on ECFP4: the first molecule that is not like any leader (Tanimoto similarity under 0.35) becomes
    one, and every molecule belongs to the leader that it is most like.

    Args:
        keys: canonical SMILES of every row.
        fractions: shares of train, valid and test; they sum to 1.

    Raises:
        ConfigError: the fractions are not shares.
        TableError: a part would be empty.
    """
    _check(fractions)
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    distinct = sorted(set(keys))
    prints = [generator.GetFingerprint(parse(key)) for key in distinct]
    leaders = list(LeaderPicker().LazyBitVectorPick(prints, len(prints), 1 - ALIKE))
    most, nearest = np.full(len(prints), -1.0), np.zeros(len(prints), dtype=np.int64)
    for number, leader in enumerate(leaders):
        likes = np.array(BulkTanimotoSimilarity(prints[leader], prints))
        nearer = likes > most
        most[nearer], nearest[nearer] = likes[nearer], number
    names = dict(zip(distinct, nearest.tolist(), strict=True))
    return _by_groups([names[key] for key in keys], fractions, "cluster")


def fold_split(keys: Sequence[str], *, repeat: int, fold: int) -> Split:
    """One of five folds of a cross-validation: 70 % to learn from, 10 % to choose by, 20 % to test on.

    Args:
        keys: canonical SMILES of every row; all rows of one key are in one part.
        repeat: which shuffling, from 0.
        fold: which fifth is the test part, 0 to 4.

    Raises:
        ConfigError: no such fold.
        TableError: a part would be empty.
    """
    if not 0 <= fold < 5:
        raise ConfigError("fold", fold, "it must be 0 to 4")
    _, molecule = np.unique(np.asarray(keys, dtype=object), return_inverse=True)
    tenth = np.random.default_rng(repeat).permutation(molecule.max() + 1)[molecule] % 10
    part = np.zeros(len(keys), dtype=np.int64)
    part[tenth == (2 * fold + 2) % 10] = 1
    part[tenth // 2 == fold] = 2
    return _split([np.flatnonzero(part == number) for number in range(3)], f"split of {len(keys)} rows into five")


def _by_groups(names: Sequence[Hashable], fractions: tuple[float, float, float], kind: str) -> Split:
    """Whole groups, the largest first, to the first part that has room for them; see ``scaffold_split``."""
    groups: dict[Hashable, list[int]] = {}
    for row, name in enumerate(names):
        groups.setdefault(name, []).append(row)
    most_train, most_valid = fractions[0] * len(names), (fractions[0] + fractions[1]) * len(names)
    train: list[int] = []
    valid: list[int] = []
    test: list[int] = []
    for rows in sorted(groups.values(), key=lambda rows: (len(rows), rows[0]), reverse=True):
        if len(train) + len(rows) <= most_train:
            train += rows
        elif len(train) + len(valid) + len(rows) <= most_valid:
            valid += rows
        else:
            test += rows
    return _split((train, valid, test), f"{kind} split of {len(names)} molecules with {len(groups)} {kind}s")


def random_split(keys: Sequence[str], seed: int, fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)) -> Split:
    """Molecules at random, all rows of one key in one part.

    Args:
        keys: canonical SMILES of every row.
        seed: decides alone; the same keys and seed give the same split.
        fractions: shares of train, valid and test; they sum to 1.

    Raises:
        ConfigError: the fractions are not shares.
        TableError: a part would be empty.
    """
    _check(fractions)
    _, molecule, rows = np.unique(np.asarray(keys, dtype=object), return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(rows))
    before = np.empty(len(rows), dtype=np.int64)
    before[order] = np.cumsum(rows[order]) - rows[order]
    part = np.searchsorted(np.round(np.cumsum(fractions[:2]) * len(keys)), before, side="right")[molecule]
    return _split([np.flatnonzero(part == number) for number in range(3)], f"random split of {len(keys)} rows")


def split_by_column(values: Iterable[object], rows: Sequence[int] | None = None) -> Split:
    """The split that a column of the table spells out: ``train``, ``valid`` (or ``val``, ``validation``), ``test``.

    Args:
        values: of the column.
        rows: where each value stands, for messages, if not at its own position.

    Raises:
        TableError: another value, with where it stands; or a part that nobody is in.
    """
    parts: dict[str, list[int]] = {"train": [], "valid": [], "test": []}
    for row, value in enumerate(values):
        where = row if rows is None else rows[row]
        name = PARTS.get(str(value).strip().lower())
        if name is None:
            raise TableError(f"the split column says {value!r} in its row {where}; it must say train, valid or test")
        parts[name].append(row)
    return _split(list(parts.values()), "split column")


def digest(split: Split) -> str:
    """Name of a split: 16 hex digits over its row positions. Scores under different names cannot be compared."""
    content = hashlib.sha256()
    for rows in split:
        content.update(len(rows).to_bytes(8, "little") + np.asarray(rows, dtype="<i8").tobytes())
    return content.hexdigest()[:16]


def _scaffolds(molecules: Sequence[str | Mol]) -> list[str]:
    distinct = list(dict.fromkeys(molecules))
    chunks = [distinct[start : start + CHUNK] for start in range(0, len(distinct), CHUNK)]
    parallel = Parallel(n_jobs=1 if len(chunks) < 3 else -1)
    found = [name for names in parallel(delayed(_some)(chunk) for chunk in chunks) for name in names]
    names = dict(zip(distinct, found, strict=True))
    return [names[molecule] for molecule in molecules]


def _some(molecules: Sequence[str | Mol]) -> list[str]:
    return [scaffold(molecule) for molecule in molecules]


def _check(fractions: tuple[float, float, float]) -> None:
    if len(fractions) != 3 or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-9:
        raise ConfigError("fractions", tuple(fractions), "train, valid and test need positive shares that sum to 1")


def _split(parts: Sequence[Sequence[int] | np.ndarray], what: str) -> Split:
    split = Split(*(np.sort(np.asarray(rows, dtype=np.int64)) for rows in parts))
    if empty := [name for name, rows in split._asdict().items() if not len(rows)]:
        raise TableError(
            f"the {what} leaves nothing for {' and '.join(empty)}; use another way to split or more molecules"
        )
    return split
