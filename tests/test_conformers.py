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
from rdkit.Chem import rdDistGeom, rdMolAlign, rdMolTransforms

from iem.chem import conformers as module
from iem.chem.conformers import (
    MOST_DRAWN,
    ConformerSettings,
    EnsembleSettings,
    conformer,
    conformers,
    ensemble,
    flat_geometry,
    given_geometry,
    is_3d,
)
from iem.chem.kept import ConformerBank
from iem.chem.molecules import canonical, parse
from iem.errors import ConfigError, MoleculeError
from iem.nn.encoders import ImageEncoder
from iem.nn.heads import prior_heads
from iem.nn.teacher import Teacher
from iem.records import BOND_ORDERS, STATUSES
from iem.workflows.pictures import artists
from iem.workflows.pictures.embed import ImageTeacher

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
    assert conformer(peptide, ConformerSettings(timeout=300)).status == "etkdg-random-coords"


@pytest.mark.parametrize("name", sorted(HARD))
def test_the_time_limit_stops_rdkit(name):
    mol = parse(HARD[name])
    started = time.monotonic()
    geometry = conformer(mol, ConformerSettings(timeout=2))
    assert geometry.status in STATUSES
    assert time.monotonic() - started < 6, "one step of RDKit may outlast the limit, no more"


def test_rdkit_is_given_the_time_that_is_left(monkeypatch):
    """Whole seconds, for all fragments together."""
    given_to_rdkit = []

    def embed(full, parameters):
        given_to_rdkit.append((parameters.timeout, parameters.useRandomCoords))
        return -1

    monkeypatch.setattr(module.rdDistGeom, "EmbedMolecule", embed)
    conformer(parse(ASPIRIN), ConformerSettings(timeout=2))
    conformer(parse("CCO.CCN.CCC.[Na+].[Cl-]"), ConformerSettings(timeout=10))
    assert given_to_rdkit == [(1, False), (1, True), (3, False), (3, True)]


def test_no_time_at_all_means_a_flat_drawing(monkeypatch):
    clock = iter(np.arange(0, 1000, 5.0))
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(clock)))
    assert conformer(parse(ASPIRIN), ConformerSettings(timeout=2)).status == "flat"


def test_polymers_are_drawn_flat_or_refused_in_seconds():
    started = time.process_time()
    assert conformer(parse("C(=O)NCC" * 60)).status == "flat"
    for smiles in ("C" * (MOST_DRAWN + 1), "C" * 5000):
        with pytest.raises(MoleculeError, match="pictures end at 1,000 atoms") as caught:
            conformer(parse(smiles))
        assert caught.value.stage == "conformer"
    assert time.process_time() - started < 10


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
    one, other = ({(frozenset(b[:2]), b[2]) for b in some.bonds.tolist()} for some in (geometry, calculated))
    assert one == other
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
    for name, values in {"timeout": (0, 1.9, np.nan, np.inf), "relax": (-1,), "seed": (-1, 2**31 - 1)}.items():
        for value in values:
            with pytest.raises(ConfigError, match=name):
                ConformerSettings(**{name: value})
    conformer(parse("CCO"), ConformerSettings(seed=2**31 - 2))
    for name, value in {"count": 0, "rmsd": -0.1}.items():
        with pytest.raises(ConfigError, match=name):
            EnsembleSettings(**{name: value})
    signatures = [
        ConformerSettings(),
        ConformerSettings(seed=1),
        ConformerSettings(timeout=3),
        ConformerSettings(relax=0),
        ConformerSettings(flat=True),
    ]
    assert len({each.signature for each in signatures}) == 5
    assert ConformerSettings(flat=True, seed=1).signature == signatures[-1].signature, "a layout needs no seed"
    assert not same(conformer(parse(ASPIRIN)), conformer(parse(ASPIRIN), ConformerSettings(seed=1)))


def rdkit_of(geometry, smiles):
    """A molecule of RDKit with the heavy atoms of a geometry."""
    mol = parse(canonical(parse(smiles)))
    shape = Chem.Conformer(mol.GetNumAtoms())
    for atom, point in enumerate(geometry.coordinates.tolist()):
        shape.SetAtomPosition(atom, point)
    mol.AddConformer(shape)
    return mol


def test_butane_is_anti_and_gauche_with_the_energies_that_textbooks_give():
    found = ensemble(parse("CCCC"), EnsembleSettings(count=20, rmsd=0.3))
    angles = [
        abs(rdMolTransforms.GetDihedralDeg(rdkit_of(one.geometry, "CCCC").GetConformer(), 0, 1, 2, 3)) for one in found
    ]
    assert angles[0] == pytest.approx(180, abs=1)
    assert angles[1:] == pytest.approx([65] * (len(found) - 1), abs=2)
    assert len(found) == 2 or len(found) == 3, "both gauche forms are 0.5 Å apart"
    assert [one.energy - found[0].energy for one in found[1:]] == pytest.approx([0.78] * (len(found) - 1), abs=0.05)


def test_energies_are_those_of_rdkit():
    full = Chem.AddHs(parse(canonical(parse(ASPIRIN))))
    parameters = rdDistGeom.ETKDGv3()
    parameters.randomSeed = 1
    rdDistGeom.EmbedMolecule(full, parameters)
    [(_, wanted)] = Chem.rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(full, maxIters=200)
    [one] = ensemble(parse(ASPIRIN), EnsembleSettings(count=1))
    assert one.energy == pytest.approx(wanted, abs=1e-3)
    assert same(one.geometry, conformer(parse(ASPIRIN)))


def test_an_ensemble_is_sorted_pruned_seeded_and_the_same_for_every_spelling():
    smiles = "CC(C)Cc1ccc(cc1)[C@@H](C)C(=O)[O-].[Na+]"
    [other] = Chem.MolToRandomSmilesVect(Chem.MolFromSmiles(smiles), 1, randomSeed=5)
    every = ensemble(parse(smiles), EnsembleSettings(count=12, rmsd=0))
    found = ensemble(parse(smiles), EnsembleSettings(count=12, rmsd=0.8))
    assert len(every) == 12
    assert any(same(one.geometry, conformer(parse(smiles))) for one in every)
    assert 1 < len(found) < 12
    assert same(found[0].geometry, every[0].geometry), "the best one is never pruned"
    assert [one.energy for one in found] == sorted(one.energy for one in found)
    drug = [Chem.GetMolFrags(rdkit_of(one.geometry, smiles), asMols=True)[0] for one in found]
    share = np.sqrt(15 / 16)  # of the atoms; the ion is no shape
    assert min(rdMolAlign.GetBestRMS(Chem.Mol(a), b) * share for a, b in combinations(drug, 2)) > 0.8
    again = ensemble(parse(other), EnsembleSettings(count=12, rmsd=0.8))
    assert all(same(a.geometry, b.geometry) for a, b in zip(found, again, strict=True))
    seeded = ensemble(parse(smiles), EnsembleSettings(count=12, rmsd=0.8, conformers=ConformerSettings(seed=1)))
    assert not same(seeded[0].geometry, found[0].geometry)


@pytest.mark.parametrize(("smiles", "status"), [("c1ccccc1", "etkdg"), (STRAINED, "flat"), ("C(=O)NCC" * 60, "flat")])
def test_a_molecule_of_one_shape_has_an_ensemble_of_one(smiles, status):
    [one] = ensemble(parse(smiles))
    assert one.geometry.status == status
    assert np.isnan(one.energy) == (status == "flat")


def test_the_time_limit_is_for_the_whole_ensemble():
    started = time.monotonic()
    found = ensemble(parse(ASPIRIN), EnsembleSettings(count=100_000, conformers=ConformerSettings(timeout=2)))
    assert 1 < len(found) < 100
    assert time.monotonic() - started < 8


def test_ensemble_signatures_tell_settings_apart():
    some = [EnsembleSettings(), EnsembleSettings(count=3), EnsembleSettings(rmsd=1)]
    some += [EnsembleSettings(conformers=ConformerSettings(seed=1))]
    assert len({each.signature for each in some}) == 4


# --- conformers that are kept --------------------------------------------------------------------------------------


def test_kept_conformers_are_those_that_were_made(tmp_path):
    settings = ConformerSettings()
    made = {key: conformer(parse(key), settings) for key in ("CC(=O)Oc1ccccc1C(=O)O", "C", "c1ccccc1O", "[Na+].[Cl-]")}
    ConformerBank(settings, root=tmp_path).put(made)
    ConformerBank(settings, root=tmp_path).put({"CCO": "no conformer found", "CCC": conformer(parse("CCC"), settings)})
    bank = ConformerBank(settings, root=tmp_path)
    for key, geometry in made.items():
        kept = bank.get(key)
        assert kept.status == geometry.status
        for one, other in zip(kept[:3], geometry[:3], strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
    assert bank.get("CCO") == "no conformer found"
    assert bank.get("CCC").status == "etkdg"
    assert bank.get("CCCC") is None
    assert ConformerBank(ConformerSettings(seed=1), root=tmp_path).get("C") is None
    for shard in tmp_path.rglob("*.npz"):
        shard.write_bytes(shard.read_bytes()[:200])
    assert ConformerBank(settings, root=tmp_path).get("C") is None


def test_another_teacher_looks_at_the_same_conformers(tmp_path, monkeypatch):
    keys = ["CC(=O)Oc1ccccc1C(=O)O", "c1ccccc1O", "CCO.CCO", "C" * (MOST_DRAWN + 1)]

    def teacher(size):
        encoder = ImageEncoder("test_resnet")
        card = {"digest": f"untrained {size}", "view": "3d", "size": size, "view_set": "tetrahedral"}
        return ImageTeacher(Teacher(encoder, prior_heads(encoder.dim, {"atom": 19}), card))

    monkeypatch.setenv("IEM_CACHE", str(tmp_path / "one"))
    teacher(32).features(keys, jobs=1)
    second = teacher(48)
    monkeypatch.setattr(artists, "conformer", None)  # nobody makes one
    seen, notes = second.features(keys, jobs=1)
    monkeypatch.undo()
    monkeypatch.setenv("IEM_CACHE", str(tmp_path / "other"))
    fresh, same_notes = ImageTeacher(second.teacher).features(keys, jobs=1)
    np.testing.assert_array_equal(seen, fresh)
    assert notes == same_notes
    assert np.isfinite(seen).all(axis=1).tolist() == [True, True, True, False]
