"""The priors, with RDKit as referee."""

from collections import Counter

import numpy as np
import pytest
from conftest import ASPIRIN
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem
from rdkit.Chem import Descriptors, Lipinski

from iem.chem.conformers import conformer, flat_geometry
from iem.chem.molecules import parse
from iem.chem.priors import (
    ELEMENTS,
    PAPER,
    PRIORS,
    geometry_prior,
    posed,
    priors,
    shape_prior,
    substructure_prior,
)
from iem.records import Geometry

MOLECULES = [
    ASPIRIN,
    "CN1C=NC2=C1C(=O)N(C(=O)N2C)C",
    "CC(C)c1nc(N(C)S(C)(=O)=O)nc(-c2ccc(F)cc2)c1/C=C/[C@@H](O)C[C@@H](O)CC(=O)O",
    "O=[As]c1ccc(C#N)cc1",
    "C[Si](C)(C)C#CBr",
    "C[Se]CCP(=O)(O)OB(O)O",
    "Clc1ccc(I)cc1",
    "C",
    "*CC",
]


def asked(smiles):
    mol = parse(smiles)
    return priors(mol, conformer(mol))


def test_sizes_and_order_are_those_of_the_paper():
    assert {name: PRIORS[name].size for name in PAPER} == {
        "atom": 19,
        "bond": 4,
        "geometry": 60,
        "property": 8,
    }
    assert PRIORS["atom"].labels[:8] == ("C", "N", "O", "F", "S", "Cl", "Br", "P")
    assert PRIORS["bond"].labels == ("single", "aromatic", "double", "triple")


@pytest.mark.parametrize("smiles", MOLECULES)
def test_counts_and_properties_are_rdkits(smiles):
    mol, answers = Chem.MolFromSmiles(smiles), asked(smiles)
    symbols = Counter(atom.GetSymbol() for atom in mol.GetAtoms())
    kinds = Counter(bond.GetBondType().name.lower() for bond in mol.GetBonds())
    assert answers["atom"].values.tolist() == [symbols[symbol] for symbol in ELEMENTS]
    assert answers["bond"].values.tolist() == [kinds[kind] for kind in PRIORS["bond"].labels]
    wanted = [
        *(Descriptors.MolWt(mol), Descriptors.MolLogP(mol), Descriptors.MolMR(mol), Descriptors.BalabanJ(mol)),
        *(Lipinski.NumHAcceptors(mol), Lipinski.NumHDonors(mol), Descriptors.NumValenceElectrons(mol)),
        Descriptors.TPSA(mol),
    ]
    np.testing.assert_allclose(answers["property"].values, wanted, rtol=1e-5, atol=1e-5)
    for name, target in answers.items():
        assert target.values.dtype == np.float32
        assert target.known.dtype == bool
        assert target.values.shape == target.known.shape == (PRIORS[name].size,)
        assert target.known.all() or name == "geometry"


def test_values_from_the_literature():
    weight, logp, *_, acceptors, donors, electrons, surface = asked(ASPIRIN)["property"].values.tolist()
    assert (weight, logp, acceptors, donors, electrons, surface) == (
        pytest.approx(180.16, abs=0.01),
        pytest.approx(1.31, abs=0.01),
        3,
        1,
        68,
        pytest.approx(63.6),
    )


def test_an_element_outside_the_vocabulary_counts_under_nothing():
    assert asked("I")["atom"].values.sum() == 0
    assert asked("CC[Hg]Cl")["atom"].values.sum() == 3


def test_hydrogen_counts_where_it_is_drawn():
    place = ELEMENTS.index("H")
    assert asked("[H][H]")["atom"].values[place] == 2
    assert asked("[2H]OC")["atom"].values[place] == 0


def test_balabans_index_is_unknown_for_several_fragments():
    known = asked("[Na+].CC(=O)[O-]")["property"].known
    assert dict(zip(PRIORS["property"].labels, known, strict=True))["BalabanJ"] == np.False_
    assert known.sum() == 7


def test_geometry_is_known_up_to_three_numbers_per_atom():
    for smiles, count in ((ASPIRIN, 39), ("[Na+]", 3), (MOLECULES[2], 60)):
        known = asked(smiles)["geometry"].known
        assert known.tolist() == [True] * count + [False] * (60 - count)


def test_a_flat_drawing_has_no_geometry():
    assert not geometry_prior(flat_geometry(parse(ASPIRIN))).known.any()


@settings(max_examples=50)
@given(
    smiles=st.sampled_from(MOLECULES[:5]),
    quaternion=st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: np.linalg.norm(q) > 0.1),
    shift=st.tuples(*[st.floats(-50, 50)] * 3),
    scale=st.floats(0.2, 5),
)
def test_posed_coordinates_depend_on_neither_place_nor_pose_nor_size(smiles, quaternion, shift, scale):
    geometry = conformer(parse(smiles))
    w, x, y, z = np.array(quaternion) / np.linalg.norm(quaternion)
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    points = geometry.coordinates.astype(float)
    np.testing.assert_allclose(posed(scale * points @ turn.T + np.array(shift)), posed(points), atol=1e-6)


def test_posed_coordinates_fill_the_unit_ball_longest_axis_first_and_keeps_the_hand():
    points = conformer(parse("C[C@H](N)C(=O)Oc1ccccc1")).coordinates.astype(float)
    found = posed(points)
    assert np.linalg.norm(found, axis=1).max() == pytest.approx(1)
    assert np.all(np.diff((found**2).sum(axis=0)) < 0)
    distances = np.linalg.norm(found[:, None] - found[None], axis=-1)
    wanted = np.linalg.norm(points[:, None] - points[None], axis=-1)
    ratio = distances.sum() / wanted.sum()
    np.testing.assert_allclose(distances, wanted * ratio, atol=1e-9)

    def hand(atoms):
        return np.sign(np.linalg.det(atoms[1:4] - atoms[0]))

    assert hand(found) == hand(points)
    assert hand(posed(points * [1, 1, -1])) == -hand(points)


def test_a_single_atom_sits_at_the_origin():
    lonely = Geometry(np.array([11], np.uint8), np.empty((0, 3), np.uint16), np.ones((1, 3), np.float32), "etkdg")
    assert geometry_prior(lonely).values[:3].tolist() == [0, 0, 0]


def moments(distances):
    """Mean, standard deviation, and the cube root of the third central moment, which is what USR calls skew."""
    gaps = distances - distances.mean()
    return [
        distances.mean(),
        np.sqrt((gaps**2).mean()),
        np.cbrt((gaps**3).mean() / max((gaps**2).mean(), 1e-12) ** 1.5),
    ]


def test_shape_is_moments_of_distances_to_four_points():
    mol = parse(MOLECULES[2])
    geometry = conformer(mol)
    points = geometry.coordinates.astype(float)

    def away(place):
        return np.linalg.norm(points - place, axis=1)

    centre = points.mean(axis=0)
    closest, farthest = points[away(centre).argmin()], points[away(centre).argmax()]
    opposite = points[away(farthest).argmax()]
    wanted = [moments(away(place)) for place in (centre, closest, farthest, opposite)]
    answer = shape_prior(mol, geometry)
    np.testing.assert_allclose(answer.values[:12].reshape(4, 3), wanted, rtol=1e-3, atol=1e-3)
    assert answer.known.all()


def test_shape_is_known_only_where_there_are_atoms_in_space_to_ask_about():
    def known(smiles):
        mol = parse(smiles)
        return shape_prior(mol, conformer(mol)).known.reshape(5, 12).all(axis=1).tolist()

    assert known("c1ccccc1") == [True, True, True, False, False]  # no acceptor, no donor
    assert known("[2H]OCC") == [True, True, False, True, True]  # the isotope is not drawn
    assert known("CC") == [False] * 5
    assert not shape_prior(parse(ASPIRIN), flat_geometry(parse(ASPIRIN))).known.any()


def test_shape_tells_conformers_apart_where_counts_cannot():
    mol = parse("CCCCCCCC")
    geometry = conformer(mol)
    crouched = geometry._replace(coordinates=geometry.coordinates * np.float32([0.5, 1, 1]))
    assert np.abs(shape_prior(mol, geometry).values - shape_prior(mol, crouched).values).max() > 0.5


def test_substructures_are_logarithms_of_morgan_counts_whatever_the_spelling():
    one, two = substructure_prior(parse(ASPIRIN)), substructure_prior(parse("OC(=O)c1ccccc1OC(C)=O"))
    np.testing.assert_array_equal(one.values, two.values)
    counts = np.expm1(one.values)
    np.testing.assert_allclose(counts, counts.round(), atol=1e-5)
    assert counts.sum() == pytest.approx(35)  # 13 atoms, 13 surroundings, those of two bonds that are not repeats
    assert one.known.all()
