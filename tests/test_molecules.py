"""Reading molecules: what is accepted, why something is refused, and the names that do not depend on the spelling."""

import pickle

import pytest
from conftest import ASPIRIN
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem

from iem.chem.molecules import LONGEST_TEXT, canonical, parse, skeleton
from iem.errors import MoleculeError

DRUGS = {
    "aspirin": ASPIRIN,
    "artemisinin": "C[C@@H]1CC[C@H]2[C@@H](C)C(=O)O[C@@H]3O[C@@]4(C)CC[C@@H]1[C@@]23OO4",
    "rosuvastatin calcium": (
        "CC(C)c1nc(N(C)S(C)(=O)=O)nc(-c2ccc(F)cc2)c1/C=C/[C@@H](O)C[C@@H](O)CC(=O)[O-].[Ca+2]"
        ".CC(C)c1nc(N(C)S(C)(=O)=O)nc(-c2ccc(F)cc2)c1/C=C/[C@@H](O)C[C@@H](O)CC(=O)[O-]"
    ),
    "tamoxifen": r"CC/C(=C(\c1ccccc1)c1ccc(OCCN(C)C)cc1)c1ccccc1",
    "benzamidine": "[H]/N=C(/N)c1ccccc1",
    "deutetrabenazine": "[2H]C([2H])([2H])Oc1cc2c(cc1OC)[C@@H]1C[C@@H](O)[C@H](CC(C)C)CN1CC2",
}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("CN(C)(C)(C)C", "Explicit valence for atom # 1 N, 5, is greater than permitted"),
        ("C1CC", "unclosed ring"),
        ("c1cccc1", "Can't kekulize mol.  Unkekulized atoms: 0 1 2 3 4"),
        ("CC(C", "extra open parentheses around position 3"),
        ("[Xx]", "syntax error around position 2"),
        ("CC>>CO", "syntax error around position 3"),
        ("aspirin", "syntax error around position 1"),
        ("5.2", "it is a number, not a SMILES"),
        ("nan", "it is a number, not a SMILES"),
        ("", "it is empty"),
        (" \t ", "it is empty"),
        ("CCO ethanol", "something follows the SMILES: 'ethanol'"),
        ("CC |foo|", "RDKit gives no reason"),
    ],
)
def test_a_refusal_gives_the_reason_and_nothing_on_the_console(text, reason, capfd):
    with pytest.raises(MoleculeError) as caught:
        parse(text)
    assert (caught.value.stage, caught.value.reason) == ("parse", reason)
    assert capfd.readouterr() == ("", "")


def test_over_long_text_is_refused_at_once_and_not_repeated_to_the_user():
    with pytest.raises(MoleculeError, match="20,001 characters") as caught:
        parse("C" * (LONGEST_TEXT + 1))
    assert len(str(caught.value)) < 200


def test_a_refusal_crosses_processes_whole():
    with pytest.raises(MoleculeError) as caught:
        parse("C1CC")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize(
    "text", ["[H][H]", "[H+]", "[Na+].[Cl-]", "*CC", "[CH3]", "[235U]", "N[Pt](N)(Cl)Cl", "C[Hg]C", "C$C", "[He]"]
)
def test_what_is_odd_is_still_a_molecule(text, capfd):
    name = canonical(parse(text))
    assert capfd.readouterr() == ("", "")
    assert name == Chem.CanonSmiles(text)


def test_blanks_atom_maps_and_cxsmiles_decorations_are_no_part_of_the_molecule():
    assert canonical(parse("  CCO\n")) == canonical(parse("[CH3:2][CH2:1][OH:7]")) == "CCO"
    mol = parse("CCO |(0,0,;1,0,;2,0,),$;;label$|")
    assert canonical(mol) == "CCO"
    assert mol.GetNumConformers() == 0


@given(name=st.sampled_from(sorted(DRUGS)), seed=st.integers(0, 2**31 - 1))
def test_every_spelling_has_the_same_names(name, seed):
    [other] = Chem.MolToRandomSmilesVect(Chem.MolFromSmiles(DRUGS[name]), 1, randomSeed=seed)
    assert canonical(parse(other)) == canonical(parse(DRUGS[name]))
    assert skeleton(parse(other)) == skeleton(parse(DRUGS[name]))


def test_the_skeleton_forgets_stereo_isotopes_and_explicit_hydrogens_and_no_more():
    assert skeleton(parse(DRUGS["benzamidine"])) == skeleton(parse("NC(=N)c1ccccc1"))
    assert skeleton(parse(DRUGS["deutetrabenazine"])) == skeleton(parse("COc1cc2c(cc1OC)C1CC(O)C(CC(C)C)CN1CC2"))
    assert skeleton(parse(DRUGS["tamoxifen"])) == skeleton(parse(DRUGS["tamoxifen"].replace("\\", "/")))
    assert skeleton(parse("[H][H]")) == "[H][H]"
    assert skeleton(parse("CC(=O)[O-]")) != skeleton(parse("CC(=O)O"))


def test_taking_the_skeleton_leaves_the_molecule_alone():
    mol = parse(DRUGS["deutetrabenazine"])
    skeleton(mol)
    assert canonical(mol) == Chem.CanonSmiles(DRUGS["deutetrabenazine"])
