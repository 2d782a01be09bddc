"""``iem render``: labelled sheets and turning pictures from SMILES and files, and plain words where it cannot."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from conftest import ASPIRIN
from PIL import Image, ImageFont
from rdkit import Chem

from iem.chem.conformers import EnsembleSettings, conformer, ensemble, flat_geometry, given_geometry
from iem.chem.molecules import parse
from iem.cli import main
from iem.render.ballstick import BallStick
from iem.render.depiction import Depiction
from iem.render.views import PAPER
from iem.workflows.pictures import drawing
from iem.workflows.pictures.drawing import FRAMES, elided, labelled

SALT = Path(__file__).parent / "golden" / "salt.sdf"


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "sheet.png"


def test_a_sheet_has_a_row_per_molecule_with_the_depiction_and_the_views(out):
    assert main(["render", "CCO", ASPIRIN, "--size", "64", "--out", str(out)]) == 0
    sheet = pixels(out)
    row = sheet.shape[0] // 2
    assert sheet.shape == (2 * row, 5 * 64, 3)
    for place, smiles in enumerate(("CCO", ASPIRIN)):
        top = place * row
        assert np.array_equal(sheet[top : top + 64, :64], Depiction(64)(parse(smiles)))
        views = np.concatenate(list(BallStick(64)(conformer(parse(smiles)), PAPER)), axis=1)
        assert np.array_equal(sheet[top : top + 64, 64:], views)
        assert (sheet[top + 64 : top + row] != 255).any()  # the label


def test_views_and_renderers_are_chosen(out):
    assert main(["render", "CCO", "--size", "32", "--views", "fibonacci:7", "--out", str(out)]) == 0
    assert pixels(out).shape[1] == 8 * 32
    assert main(["render", ASPIRIN, "--size", "48", "--views", "flat", "--out", str(out)]) == 0
    flat = BallStick(48)(flat_geometry(parse(ASPIRIN)), np.eye(3)[None])[0]
    assert np.array_equal(pixels(out)[:48, 48:], flat)


def test_coordinates_of_an_sdf_are_used_as_they_are(out, tmp_path, capsys):
    packed = tmp_path / "two.sdf.gz"
    flat = Chem.MolFromSmiles("CCO")
    flat.SetProp("_Name", "no coordinates")
    packed.write_bytes(
        gzip.compress(f"{SALT.read_text()}$$$$\n{Chem.MolToMolBlock(flat)}$$$$\nbroken\n$$$$\n".encode())
    )
    assert main(["render", str(packed), "--size", "64", "--out", str(out)]) == 0
    sheet = pixels(out)
    first, second = np.split(sheet, 2)
    salt = given_geometry(Chem.MolFromMolFile(str(SALT)))
    assert np.array_equal(first[:64, 64:], np.concatenate(list(BallStick(64)(salt, PAPER)), axis=1))
    ethanol = conformer(parse("CCO"))
    assert np.array_equal(second[:64, 64:], np.concatenate(list(BallStick(64)(ethanol, PAPER)), axis=1))
    assert "left out: record 'broken'" in capsys.readouterr().err


def test_a_list_of_smiles_is_drawn_line_by_line(out, tmp_path):
    path = tmp_path / "some.smi"
    path.write_text("CCO ethanol\nCCN ethylamine\nC\n")
    assert main(["render", str(path), "c1ccccc1", "--size", "32", "--out", str(out)]) == 0
    assert pixels(out).shape[0] % 4 == 0
    assert pixels(out).shape[0] > 4 * 32


def test_what_cannot_be_drawn_is_named_and_the_rest_is_drawn(out, capsys):
    assert main(["render", "CCO", "no molecule", "C" * 1001, "--size", "32", "--out", str(out)]) == 0
    said = capsys.readouterr().err
    assert "left out: parse failed for 'no molecule'" in said
    assert "pictures end at 1,000 atoms" in said
    assert "1 molecule drawn to" in said
    assert pixels(out).shape[0] < 2 * 32 + 40


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nothing", "works"], "none of the molecules can be drawn"),
        ([], "name at least one molecule"),
        (["C", "--size", "8"], "--size is 8, but it must be between 16 and 2048 pixels"),
        (["C", "--views", "front"], "views is 'front', but it must be paper,"),
        (["C", "--conformers", "0"], "--conformers is 0, but it must be between 1 and 1000"),
        (["C", "--conformers", "2", "--views", "flat"], "--conformers is 2, but the flat layout has none"),
        (["C", "--renderer", "balstick"], "Did you mean 'ballstick'?"),
        (["C", "--out", "a.jpg"], "--out is 'a.jpg', but it must end in .png, .apng or .gif"),
        (["missing.sdf"], "cannot read missing.sdf: No such file or directory"),
        (["table.csv"], "table.csv is not an SDF or a SMILES list"),
        (["C", "--out", "no/such/folder/a.png"], "no/such/folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_gets_one_sentence(words, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "table.csv").write_text("smiles,y\nCCO,1\n")
    assert main(["render", *words]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("iem: ")
    assert sentence in last
    assert not list(tmp_path.glob("*.png"))


def test_conformers_have_a_row_each_with_their_energies(out, monkeypatch, capsys):
    notes = []
    monkeypatch.setattr(drawing, "labelled", lambda strip, title, note: (notes.append((title, note)), strip)[1])
    dipeptide = "C[C@H](N)C(=O)NCC(=O)O"
    assert main(["render", dipeptide, "c1ccccc1", "--conformers", "8", "--size", "48", "--out", str(out)]) == 0
    shapes = ensemble(parse(dipeptide), EnsembleSettings(count=8))
    assert len(shapes) > 2
    rows = [np.concatenate(list(BallStick(48)(shape.geometry, PAPER)), axis=1) for shape in shapes]
    sheet = pixels(out)
    assert len(sheet) == 48 * (len(shapes) + 1)  # benzene has one
    assert np.array_equal(sheet[: 48 * len(shapes), 48:], np.concatenate(rows))
    wanted = [f"+{shape.energy - shapes[0].energy:.2f} kcal/mol" for shape in shapes]
    for number, (energy, (title, note)) in enumerate(zip(wanted, notes[:-1], strict=True), start=1):
        assert title == dipeptide
        assert note == f"conformer {number} of {len(shapes)}, {energy if number > 1 else 'lowest energy'}"
    assert notes[-1] == ("c1ccccc1", "conformer 1 of 1, lowest energy")
    assert f"{len(shapes) + 1} conformers drawn" in capsys.readouterr().err


def test_conformers_are_embedded_whatever_a_file_gives_and_flat_ones_say_so(out, monkeypatch):
    notes = []
    monkeypatch.setattr(drawing, "labelled", lambda strip, title, note: (notes.append(note), strip)[1])
    cage = "C1CC23C1C1C2CCN31"  # no embedding succeeds
    assert main(["render", str(SALT), "[Pt]", cage, "--conformers", "2", "--size", "32", "--out", str(out)]) == 0
    assert all(note.startswith("conformer ") for note in notes[:-1])
    assert notes[-1] == "no 3D conformer found, drawn flat"
    assert "conformer 1 of 1, no force field" in notes


@pytest.mark.parametrize("name", ["turn.gif", "turn.apng", "turn.png"])
def test_molecules_turn_once(name, tmp_path):
    out = tmp_path / name
    assert main(["render", ASPIRIN, "CCO", "C", "--turn", "--size", "32", "--out", str(out)]) == 0
    with Image.open(out) as film:
        assert film.n_frames == FRAMES
        assert film.info["loop"] == 0
        assert film.size[0] == 64  # two columns for three molecules
        frames = []
        for frame in range(FRAMES):
            film.seek(frame)
            frames.append(np.asarray(film.convert("RGB"))[:32, :32].astype(int))
    first = BallStick(32)(conformer(parse(ASPIRIN)), np.eye(3)[None])[0]
    assert np.abs(frames[0] - first).mean() < 4  # a GIF has 256 colours
    steps = [np.abs(one - other).mean() for one, other in zip(frames, [*frames[1:], frames[0]], strict=True)]
    assert min(steps) > 0
    assert steps[-1] < 2 * np.median(steps)  # it ends where it began


def test_a_gif_turns_without_being_told(tmp_path):
    assert main(["render", "CCO", "--size", "16", "--out", str(tmp_path / "a.gif")]) == 0
    with Image.open(tmp_path / "a.gif") as film:
        assert film.n_frames == FRAMES


def test_a_sheet_that_is_full_says_so(out, monkeypatch, capsys):
    monkeypatch.setattr(drawing, "LARGEST", 2 * 32 * 32 * 1.3 * 5 + 1)
    assert main(["render", "C", "CC", "CCC", "CCCC", "--size", "32", "--out", str(out)]) == 0
    said = capsys.readouterr().err
    assert "left out: what comes after 2 molecules" in said
    assert "2 molecules drawn" in said


def test_long_names_are_shortened_to_the_width():
    from matplotlib import font_manager

    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), 12)
    assert elided("CCO", font, 200) == "CCO"
    short = elided("C" * 300, font, 200)
    assert short.endswith("…")
    assert font.getlength(short) <= 200
    assert elided("CCO", font, 0) == "…"
    sheet = labelled(np.full((40, 80, 3), 255, np.uint8), "C" * 300, "note")
    assert sheet.shape[1] == 80
    assert (sheet[:, -2:] == 255).all()
