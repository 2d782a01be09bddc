"""Conformers: the same for every spelling, in time, never overlapping, and honest about how they came to be."""

import subprocess
import sys
import time
from itertools import combinations

import numpy as np
import pytest
from conftest import ASPIRIN
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdMolTransforms

from iem.chem import conformers as module
from iem.chem.conformers import (
    MOST_DRAWN,
    ConformerSettings,
    conformer,
    conformers,
    flat_geometry,
    given_geometry,
    is_3d,
)
from iem.chem.molecules import canonical, parse
from iem.errors import ConfigError, MoleculeError
from iem.records import BOND_ORDERS, STATUSES

STRAINED = "C1CC23C1C1C2CCN31"  # GDB cage, too strained for any embedding
HARD = {
    "cyclosporin": (
        r"CC[C@H]1C(=O)N(CC(=O)N([C@H](C(=O)N[C@H](C(=O)N([C@H](C(=O)N[C@H](C(=O)N[C@@H](C(=O)N([C@H](C(=O)N([C@H]"
        r"(C(=O)N([C@H](C(=O)N([C@H](C(=O)N1)[C@@H]([C@H](C)C/C=C/C)O)C)C(C)C)C)CC(C)C)C)CC(C)C)C)C)C)CC(C)C)C)"
        r"C(C)C)CC(C)C)C)C"
    ),
    "azithromycin": (
        "CC[C@@H]1[C@@]([C@@H]([C@H](N(C[C@@H](C[C@@]([C@@H]([C@H]([C@@H]([C@H](C(=O)O1)C)O[C@H]2C[C@@]([C@H]"
        "([C@@H](O2)C)O)(C)OC)C)O[C@H]3[C@@H]([C@H](C[C@H](O3)C)N(C)C)O)(C)O)C)C)C)O)(C)O"
    ),
}
NASTY = [
    *("[H][H]", "[H+]", "[Na+].[Cl-]", "*", "*CC", "[CH3]", "[235U]", "N[Pt](N)(Cl)Cl", "C[Hg]C", "C$C", "[He]"),
    *("[Cl-].[Cl-].N->[Pt+2](<-N)", "[O-][Cl+3]([O-])([O-])[O-]", "F[Si-2](F)(F)(F)(F)F.[NH4+].[NH4+]", "[2H]OC"),
    *(
        "CCO.CCN.c1ccccc1",
        "[Li]CCCC",
        "B1C2CCCC1CCC2",
        "[C-]#[O+]",
        "[Fe+2].c1cc[cH-]c1.c1cc[cH-]c1",
        "S(F)(F)(F)(F)(F)F",
    ),
    STRAINED,
]
respelt = st.tuples(st.sampled_from([ASPIRIN, *NASTY]), st.integers(0, 2**31 - 1))


def same(one, other):
    return one.status == other.status and all(np.array_equal(a, b) for a, b in zip(one[:3], other[:3], strict=True))


@settings(deadline=None, max_examples=60)
@given(case=respelt)
def test_every_spelling_gives_the_identical_geometry(case):
    smiles, seed = case
    [other] = Chem.MolToRandomSmilesVect(Chem.MolFromSmiles(smiles), 1, randomSeed=seed)
    assert same(conformer(parse(other)), conformer(parse(smiles)))


@pytest.mark.parametrize("smiles", NASTY)
def test_whatever_can_be_read_gets_a_well_formed_geometry(smiles, capfd):
    mol = parse(smiles)
    for geometry in (conformer(mol), flat_geometry(mol)):
        count = len(geometry.numbers)
        assert geometry.status in STATUSES
        assert (geometry.numbers.dtype, geometry.bonds.dtype) == (np.uint8, np.uint16)
        assert geometry.coordinates.dtype == np.float32
        assert geometry.coordinates.shape == (count, 3)
        assert geometry.bonds.shape[1] == 3
        assert geometry.bonds[:, :2].max(initial=0) < count
        assert geometry.bonds[:, 2].max(initial=0) < len(BOND_ORDERS)
        assert np.isfinite(geometry.coordinates).all()
        assert np.allclose(geometry.coordinates.mean(axis=0), 0, atol=1e-4)
    assert capfd.readouterr().out == ""


def test_atoms_and_bonds_are_those_of_the_canonical_smiles_without_hydrogens():
    mol = parse(canonical(parse("[2H]C(=O)/C=C/c1ccc(C#N)cc1")))
    heavy = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetAtomicNum() != 1]
    geometry = conformer(mol)
    assert geometry.numbers.tolist() == [mol.GetAtomWithIdx(index).GetAtomicNum() for index in heavy]
    drawn = {(heavy[begin], heavy[end]): BOND_ORDERS[order].upper() for begin, end, order in geometry.bonds.astype(int)}
    bonds = [bond for bond in mol.GetBonds() if {bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()} <= set(heavy)]
    assert drawn == {(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()): bond.GetBondType().name for bond in bonds}


def test_hydrogen_is_kept_where_the_molecule_is_nothing_else():
    assert conformer(parse("[H][H]")).numbers.tolist() == [1, 1]
    assert conformer(parse("[H+]")).numbers.tolist() == [1]
    assert conformer(parse("[H+].[Cl-]")).numbers.tolist() == [17]


def test_a_dative_bond_is_drawn_as_single():
    assert set(conformer(parse("N->[Pt+2](<-N)")).bonds[:, 2]) == {BOND_ORDERS.index("single")}


def test_coordinates_are_those_of_rdkit_relaxed():
    """The oracle: the same recipe, straight from RDKit's manual."""
    smiles = Chem.CanonSmiles("CN1C=NC2=C1C(=O)N(C(=O)N2C)C")
    full = Chem.AddHs(Chem.MolFromSmiles(smiles))
    parameters = rdDistGeom.ETKDGv3()
    parameters.randomSeed = 8  # ours counts from 0
    rdDistGeom.EmbedMolecule(full, parameters)
    Chem.rdForceFieldHelpers.MMFFOptimizeMolecule(full, maxIters=100)
    ours = conformer(parse(smiles), ConformerSettings(seed=7, relax=100))
    wanted = Chem.RemoveHs(full).GetConformer().GetPositions()
    np.testing.assert_allclose(ours.coordinates, wanted - wanted.mean(axis=0), atol=1e-4)


def test_stereo_survives():
    for smiles in ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"):
        mol = parse(smiles)
        geometry = conformer(mol)
        named = parse(canonical(mol))
        built = Chem.Conformer(len(geometry.numbers))
        for atom, point in enumerate(geometry.coordinates.tolist()):
            built.SetAtomPosition(atom, point)
        named.AddConformer(built)
        Chem.AssignStereochemistryFrom3D(named)
        assert canonical(named) == canonical(mol)


@pytest.mark.parametrize("smiles", ["CC(=O)Oc1ccccc1C(=O)[O-].[Na+]", "CCO.CCN.c1ccccc1", "O.O.O.O.[Ca+2].[Cl-].[Cl-]"])
def test_fragments_stand_apart(smiles):
    geometry = conformer(parse(smiles))
    fragments = Chem.GetMolFrags(parse(canonical(parse(smiles))))
    for one, other in combinations(fragments, 2):
        gaps = geometry.coordinates[list(one), None] - geometry.coordinates[None, list(other)]
        assert np.linalg.norm(gaps, axis=-1).min() > 2.9


def test_the_ladder_ends_at_a_flat_drawing():
    geometry = conformer(parse(STRAINED))
    assert geometry.status == "flat"
    assert not geometry.coordinates[:, 2].any()
    lengths = np.linalg.norm(np.diff(geometry.coordinates[geometry.bonds[:, :2].astype(int)], axis=1), axis=-1)
    assert lengths.min() > 0.3


def test_random_coordinates_are_the_second_rung():
    assert conformer(parse(HARD["azithromycin"])).status in ("etkdg", "etkdg-random-coords")
    peptide = parse("NCC(=O)N[C@@H](CO)C(=O)" + "N[C@@H](C)C(=O)" * 12 + "O")
    assert conformer(peptide, ConformerSettings(timeout=30)).status == "etkdg-random-coords"


@pytest.mark.parametrize("name", sorted(HARD))
def test_the_time_limit_stops_rdkit(name):
    started = time.monotonic()
    geometry = conformer(parse(HARD[name]), ConformerSettings(timeout=1))
    assert geometry.status in STATUSES
    assert time.monotonic() - started < 4, "one step of RDKit may outlast the limit, no more"


def test_no_time_at_all_means_a_flat_drawing(monkeypatch):
    clock = iter(np.arange(0, 1000, 5.0))
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(clock)))
    assert conformer(parse(ASPIRIN), ConformerSettings(timeout=2)).status == "flat"


def test_polymers_are_drawn_flat_or_refused_in_seconds():
    started = time.monotonic()
    assert conformer(parse("C(=O)NCC" * 60)).status == "flat"
    for smiles in ("C" * (MOST_DRAWN + 1), "C" * 5000):
        with pytest.raises(MoleculeError, match="pictures end at 1,000 atoms") as caught:
            conformer(parse(smiles))
        assert caught.value.stage == "conformer"
    assert time.monotonic() - started < 10


def test_another_process_finds_the_same_coordinates():
    code = (
        "import sys; from iem.chem.conformers import conformer; from iem.chem.molecules import parse;"
        "sys.stdout.buffer.write(conformer(parse(sys.argv[1])).coordinates.tobytes())"
    )
    done = subprocess.run([sys.executable, "-c", code, ASPIRIN], capture_output=True, check=True)
    assert done.stdout == conformer(parse(ASPIRIN)).coordinates.tobytes()


def test_many_come_in_order_and_failures_come_as_errors():
    asked = ["CCO", "C1CC", parse(ASPIRIN), "C" * (MOST_DRAWN + 1), "[Na+].[Cl-]"]
    alone = list(conformers(asked, jobs=1))
    together = list(conformers(asked, jobs=2))
    assert [type(found).__name__ for found in alone] == [
        *("Geometry", "MoleculeError", "Geometry", "MoleculeError", "Geometry")
    ]
    assert str(alone[1]) == str(together[1])
    assert all(same(alone[place], together[place]) for place in (0, 2, 4))
    assert same(alone[2], conformer(parse(ASPIRIN)))


def test_given_coordinates_are_taken_as_they_are():
    full = Chem.AddHs(Chem.MolFromSmiles("OC(=O)c1ccccc1OC(C)=O"))
    rdDistGeom.EmbedMolecule(full, randomSeed=3)
    given_by_user = Chem.MolFromMolBlock(Chem.MolToMolBlock(full), removeHs=False)
    geometry = given_geometry(given_by_user)
    calculated = conformer(parse(ASPIRIN))
    assert geometry.status == "given"
    assert geometry.numbers.tolist() == calculated.numbers.tolist()
    assert {tuple(bond) for bond in geometry.bonds.tolist()} >= set()
    carbonyl = Chem.MolFromSmarts("[CX3](=[OX1])[OX2][c]")
    carbon, oxygen = given_by_user.GetSubstructMatch(carbonyl)[:2]
    wanted = rdMolTransforms.GetBondLength(given_by_user.GetConformer(), carbon, oxygen)
    [begin, end] = next(bond[:2] for bond in calculated.bonds.astype(int) if BOND_ORDERS[bond[2]] == "double")
    assert np.linalg.norm(geometry.coordinates[begin] - geometry.coordinates[end]) == pytest.approx(wanted, abs=1e-3)


def test_a_drawing_is_recognised_as_flat_whatever_its_header_says():
    drawn = parse(ASPIRIN)
    assert not is_3d(drawn)
    Chem.rdDepictor.Compute2DCoords(drawn)
    drawn.GetConformer().Set3D(True)
    assert not is_3d(drawn)
    with pytest.raises(MoleculeError, match="without 3D coordinates"):
        given_geometry(drawn)
    rdDistGeom.EmbedMolecule(drawn, randomSeed=1)
    assert is_3d(drawn)


def test_settings_are_checked_and_signed():
    with pytest.raises(ConfigError, match="timeout"):
        ConformerSettings(timeout=0)
    with pytest.raises(ConfigError, match="relax"):
        ConformerSettings(relax=-1)
    signatures = [
        ConformerSettings(),
        ConformerSettings(seed=1),
        ConformerSettings(timeout=3),
        ConformerSettings(relax=0),
    ]
    assert len({each.signature for each in signatures}) == 4
    assert not same(conformer(parse(ASPIRIN)), conformer(parse(ASPIRIN), ConformerSettings(seed=1)))
