"""Tables in every form that users have them in, good and bad."""

import gzip
import io
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import datamol
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iem.data.columns import is_molecule
from iem.data.tables import read_table, stream_smiles
from iem.errors import ConfigError, TableError

DATAMOL = Path(datamol.__file__).parent / "data"
MOLECULES = [
    "CCO",
    "c1ccccc1",
    "CC(=O)Oc1ccccc1C(=O)O",
    "CC(C)Cc1ccc(cc1)C(C)C(=O)O",
    "CN1CCC[C@H]1c1cccnc1",
    "OCC(O)CO",
]
LOGP = [-0.31, 2.13, 1.19, 3.97, 1.17, -1.76]

Write = Callable[[str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to(content: str | bytes, name: str = "table.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return to


def text(*columns: tuple[str, Sequence[object]], separator: str = ",", end: str = "\n") -> str:
    rows = [[name for name, _ in columns], *zip(*(cells for _, cells in columns), strict=True)]
    return "".join(separator.join(str(cell) for cell in row) + end for row in rows)


PLAIN = text(("smiles", MOLECULES), ("logP", LOGP))


def assert_plain(path: Path | str, **options: object) -> None:
    table = read_table(path, **options)
    assert table.keys == [datamol.to_smiles(datamol.to_mol(smiles)) for smiles in MOLECULES]
    assert table.targets == ["logP"]
    assert table.task == "regression"
    np.testing.assert_array_equal(table.labels[:, 0], LOGP)
    assert table.rows.tolist() == list(range(6))
    assert table.read == 6
    assert not table.rejected


SPELLINGS = ["plain", "crlf", "cr", "semicolon", "tab", "bar", "decimal comma", "blank lines", "no last line end"]
SPELLINGS += ["trailing separators", "quoted", "bom", "utf-16"]

# Forms


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", "|"),
        PLAIN.replace(",", ";").replace(".", ","),
        "\n\n" + PLAIN.replace("\n", "\n\n"),
        PLAIN.rstrip(),
        PLAIN.replace("\n", ",,\n"),
        "".join(f'"{line.replace(",", chr(34) + "," + chr(34))}"\n' for line in PLAIN.split()),
        b"\xef\xbb\xbf" + PLAIN.encode(),
        PLAIN.encode("utf-16"),
    ],
    ids=SPELLINGS,
)
def test_one_table_in_many_spellings(write: Write, content: str | bytes) -> None:
    assert_plain(write(content))
    assert_plain(write(gzip.compress(content if isinstance(content, bytes) else content.encode())))


def test_columns_of_lists_and_records_are_no_molecules_and_no_labels() -> None:
    lists, records = ([[1, 2]] * len(MOLECULES), [{"a": 1}] * len(MOLECULES))
    frame = pd.DataFrame({"fingerprint": lists, "record": records, "smiles": MOLECULES, "logP": LOGP})
    table = read_table(frame)
    assert table.targets == ["logP"]
    assert len(table.keys) == len(MOLECULES)


@pytest.mark.parametrize("name", ["table.parquet", "table.parquet.gz"])
def test_parquet(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    pd.DataFrame({"smiles": MOLECULES, "logP": LOGP}).set_index("smiles", drop=False).to_parquet(path)
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(path.read_bytes()))
    assert_plain(path)


def test_data_frame_of_any_types() -> None:
    assert_plain(pd.DataFrame({"smiles": MOLECULES, "logP": LOGP}, index=range(7, 13)))
    frame = pd.DataFrame(
        {
            "drug": pd.Categorical(MOLECULES),
            "toxic": pd.array([True, False, None, True, False, True], "boolean"),
            "n": pd.array([1, 0, None, 1, 1, 0], "Int64"),
            7: np.array([1, 0, 1, 0, 1, np.nan], np.float32),
        }
    )
    table = read_table(frame)
    assert table.targets == ["toxic", "n", "7"]
    assert table.task == "classification"
    np.testing.assert_array_equal(table.labels[2], [np.nan, np.nan, 1])


def test_standard_input() -> None:
    code = "from iem.data.tables import read_table; print(read_table('-').labels[:, 0].tolist())"
    run = subprocess.run([sys.executable, "-c", code], input=PLAIN, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == str(LOGP)


@pytest.mark.parametrize("name", ["list.smi", "list.csv"])
@pytest.mark.parametrize("header", ["", "smiles\n"])
def test_list_of_smiles(write: Write, name: str, header: str) -> None:
    path = write(header + "\n".join(MOLECULES) + "\n", name)
    table = read_table(path, require_targets=False)
    assert table.smiles == MOLECULES
    assert table.task is None
    assert table.labels.shape == (6, 0)
    with pytest.raises(TableError, match="no column of labels"):
        read_table(path)


def test_list_of_smiles_with_names(write: Write) -> None:
    table = read_table(
        write("CCO ethanol\nC[NH3+].[Cl-]\tmethyl ammonium chloride\nC\n", "x.smi"), require_targets=False
    )
    assert table.smiles == ["CCO", "C[NH3+].[Cl-]", "C"]
    assert table.columns["name"].tolist() == ["ethanol", "methyl ammonium chloride", ""]


def test_flat_sdf_has_properties_and_no_geometry() -> None:
    table = read_table(DATAMOL / "solubility.train.sdf", targets=["SOL"])
    assert (table.read, len(table.rows), len(table.geometries)) == (1025, 1025, 0)
    assert (table.labels[0, 0], table.columns["NAME"][0], table.keys[0]) == (-3.18, "n-pentane", "CCCCC")
    assert table.columns["SOL_classification"][0] == "(A) low"


def test_sdf_in_space_gives_its_coordinates(tmp_path: Path) -> None:
    path = tmp_path / "cdk2.sdf.gz"
    path.write_bytes(gzip.compress((DATAMOL / "cdk2.sdf").read_bytes()))
    table = read_table(path, targets=["r_mmffld_Potential_Energy-OPLS_2005"])
    assert set(table.geometries) == set(table.keys)
    geometry = table.geometries[table.keys[0]]
    assert geometry.status == "given"
    assert np.ptp(geometry.coordinates[:, 2]) > 1
    assert len(geometry.numbers) == datamol.to_mol(table.keys[0]).GetNumHeavyAtoms()


def test_sdf_with_broken_records(write: Write) -> None:
    block = datamol.to_molblock(datamol.to_mol("CCO"))
    pentavalent = datamol.to_molblock(datamol.to_mol("CN(C)C")).replace("  1  2  1  0", "  1  2  3  0")
    records = [f"{block}>  <y (µM)>  (1)\n1.5\n\n$$$$\n", "rubbish\n$$$$\n", f"{pentavalent}> <y (µM)>\n2\n\n$$$$\n"]
    table = read_table(write("".join([*records, f"{block}> <y (µM)>\n2.5\n"]), "x.sdf"))
    assert table.rows.tolist() == [0, 3]
    assert table.labels[:, 0].tolist() == [1.5, 2.5]
    assert [(reject.row, reject.stage) for reject in table.rejected] == [(1, "parse"), (2, "parse")]
    assert "valence" in table.rejected[1].reason


def test_the_title_of_an_sdf_record_is_no_target(write: Write) -> None:
    """PubChem's records are called by their number, which is no property of a molecule."""
    records = [
        f"{number}{datamol.to_molblock(datamol.to_mol(smiles))}> <PUBCHEM_COMPOUND_CID>\n{number}\n\n"
        f"> <pIC50>\n{value}\n\n$$$$\n"
        for number, smiles, value in [(1024, "CCO", 4.5), (1031, "CCN", 5.5), (1119, "CCCl", 6.0)]
    ]
    path = write("".join(records), "x.sdf")
    table = read_table(path)
    assert table.targets == ["pIC50"]
    assert table.columns["title"].tolist() == ["1024", "1031", "1119"]
    assert read_table(path, targets=["title"]).labels[:, 0].tolist() == [1024, 1031, 1119]


# Columns


def test_a_decimal_comma_between_bars(write: Write) -> None:
    table = read_table(write("smiles|logS\nCCO|-0,77\nCCN|1,5\nCCCl|2,25\n"))
    assert table.labels[:, 0].tolist() == [-0.77, 1.5, 2.25]


def test_blank_lines_before_the_header_are_no_rows(write: Write) -> None:
    table = read_table(write("  \n\nsmiles,logS\nCCO,1\nCCN,2.5\n"))
    assert (table.rows.tolist(), table.rejected) == ([0, 1], [])


def test_names_with_blanks_units_and_brackets(write: Write) -> None:
    names = ["Molecule SMILES (std.)", "log S [mol/L], 25 °C", "IC50 / µM"]
    rows = [f'"{names[0]}","{names[1]}",{names[2]}'] + [
        f"{m},{v},{v + 1}" for m, v in zip(MOLECULES, LOGP, strict=True)
    ]
    table = read_table(write("\n".join(rows)))
    assert table.targets == names[1:]
    assert read_table(write("\n".join(rows)), targets=[names[2]]).columns.columns.tolist() == [names[1]]


def test_latin_1(write: Write) -> None:
    path = write(text(("smiles", MOLECULES), ("IC50 (µM) – Größe", LOGP)).encode("cp1252"))
    assert read_table(path).targets == ["IC50 (µM) – Größe"]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"compound": MOLECULES, "y": LOGP}, "compound"),
        ({"element": list("CNOPSF"), "word": ["CO", "NO", "IN", "ON", "SO", "COIN"], "x": MOLECULES, "y": LOGP}, "x"),
        ({"scaffold": MOLECULES, "canonical_smiles": MOLECULES[::-1], "y": LOGP}, "canonical_smiles"),
        ({"name": ["a", "b", "c", "d", "e", "f"], "SMILES": ["C", "N", "O", "CC", "CO", "CN"], "y": LOGP}, "SMILES"),
        ({"smiles": ["see note"] * 6, "standardised": MOLECULES, "y": LOGP}, "standardised"),
        ({"id": range(6), "structure": ["CCO", "oops", "", "CCN", "nope(", "CCCl"], "y": LOGP}, "structure"),
    ],
    ids=["by-content", "words-are-not-molecules", "by-name", "small-molecules", "name-without-content", "half-broken"],
)
def test_column_of_molecules_is_found(columns: dict[str, Sequence], expected: str) -> None:
    table = read_table(pd.DataFrame(columns))
    assert f"molecules: column {expected!r}" in table.notes


def test_words_are_no_structures() -> None:
    assert is_molecule("CO")
    assert not is_molecule("CO", strict=True)
    assert is_molecule("C=O", strict=True)
    assert not is_molecule("ethanol")


def test_row_numbers_and_constants_are_no_targets() -> None:
    frame = pd.DataFrame(
        {"Unnamed: 0": range(6), "mol_id": [7, 3, 4, 9, 11, 5], "plate": [2] * 6, "counted": range(3, 9)}
        | {"Probe-Nr.": [9, 4, 2, 7, 1, 3]}
    )
    table = read_table(frame.assign(smiles=MOLECULES, logP=LOGP, note="x"))
    assert table.targets == ["logP"]
    notes = " ".join(table.notes)
    assert "row numbers or identifiers): Unnamed: 0, mol_id, counted, Probe-Nr." in notes
    assert "same in every row): plate" in notes
    assert table.columns.columns.tolist() == ["Unnamed: 0", "mol_id", "plate", "counted", "Probe-Nr.", "note"]
    assert read_table(frame.assign(smiles=MOLECULES), targets=["mol_id"]).labels[:, 0].tolist() == [7, 3, 4, 9, 11, 5]


@pytest.mark.parametrize("words", ["True False", "yes NO", "Active inactive", "positive negative", "1 0", "1.0 0.0"])
def test_binary_labels(words: str) -> None:
    yes, no = words.split()
    table = read_table(pd.DataFrame({"smiles": MOLECULES, "y": [yes, no, "", "NaN", no, yes]}))
    assert table.task == "classification"
    np.testing.assert_array_equal(table.labels[:, 0], [1, 0, np.nan, np.nan, 0, 1])


def test_words_among_numbers_are_no_labels() -> None:
    """An ``inactive`` in a column of IC50 values is not a zero."""
    table = read_table(pd.DataFrame({"smiles": MOLECULES, "IC50": ["1.5", "inactive", "12", "7", "3", ">10"]}))
    assert [reject.reason for reject in table.rejected] == [
        "target 'IC50': 'inactive' is not a number",
        "target 'IC50': '>10' is not a number",
    ]


def test_task_overrules_and_chooses() -> None:
    frame = pd.DataFrame({"smiles": MOLECULES, "toxic": [1, 0, 1, 1, 0, 0], "logP": LOGP})
    assert read_table(frame, task="classification").targets == ["toxic"]
    assert read_table(frame, task="regression").targets == ["logP"]
    assert read_table(frame, targets=["toxic"], task="regression").task == "regression"
    both = read_table(frame, targets=["toxic", "logP"], task="regression")
    assert both.labels.shape == (6, 2)
    assert read_table(frame, exclude=["toxic", "not there"]).targets == ["logP"]


def test_wrong_labels_are_left_out_with_row_column_and_reason(write: Write) -> None:
    content = text(
        ("smiles", ["oops(", *MOLECULES]), ("a", ["9", "inf", "n/a", "1", "2", "3", "4,5"]), ("b", range(7, 0, -1))
    )
    table = read_table(write(content.replace("4,5", '"4,5"')), targets=["a", "b"])
    assert [reject[:1] + reject[2:] for reject in table.rejected] == [
        (0, "parse", table.rejected[0].reason),
        (1, "label", "target 'a': 'inf' is not finite"),
        (6, "label", "target 'a': '4,5' is not a number"),
    ]
    np.testing.assert_array_equal(table.labels[:, 0], [np.nan, np.nan, 1, 2, 3, np.nan])
    np.testing.assert_array_equal(table.labels[:, 1], [6, 5, 4, 3, 2, 1])


def test_a_comma_may_be_thousands(write: Write) -> None:
    content = text(("smiles", MOLECULES), ("y", ["1,500", "2,000", "3", "4", "5", "8"]), separator="\t")
    assert [reject.row for reject in read_table(write(content)).rejected] == [0, 1]


def test_decimal_commas_are_read_beside_words_with_points(write: Write) -> None:
    content = text(("smiles", MOLECULES), ("y", ["1,5", "n.d.", "-3,25", "4,0", "5,5", "8,1"]), separator=";")
    table = read_table(write(content))
    assert [(reject.row, reject.reason) for reject in table.rejected] == [(1, "target 'y': 'n.d.' is not a number")]
    np.testing.assert_array_equal(table.labels[:, 0], [1.5, np.nan, -3.25, 4.0, 5.5, 8.1])


def test_identical_molecules_are_kept_and_conflicts_told() -> None:
    frame = pd.DataFrame({"smiles": ["CCO", "OCC", "C(C)O", "CCN", "NCC", "x("], "y": [1.0, 2.0, 1.0, 5.0, 5.0, 0.0]})
    table = read_table(frame)
    assert len(table.rows) == 5
    assert table.duplicates == (2, 5, 1, ["CCO: 1 in row 0, 2 in row 1, 1 in row 2"])
    told = (
        "molecules that come more than once: 2 (5 rows; all stay, and scaffold and random splits keep them together); "
        "with conflicting labels: 1"
    )
    assert table.notes[-1] == told


def test_salts_ions_isotopes_wildcards_radicals_and_giants() -> None:
    odd = [
        "[Na+].[Cl-]",
        "[Fe]",
        "[2H]O[2H]",
        "*CC",
        "[CH3]",
        "C" * 300,
        "[H][H]",
        "N" + "CC(=O)N" * 80,
        "C1CC",
        "C[C](C)(C)(C)C",
    ]
    table = read_table(pd.DataFrame({"smiles": odd, "y": np.linspace(0, 1, 10)}))
    assert table.rows.tolist() == list(range(8))
    assert [reject.row for reject in table.rejected] == [8, 9]


# Bad input


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("", {}, "table.csv is empty; it needs a header line"),
        ("\n \n\n", {}, "nothing but blank lines"),
        ("smiles,y\n", {}, "has a header but no rows"),
        ("name,y\nethanol,1\nbenzene,2\n", {}, "no column whose cells are SMILES; its columns: name, y; .* --smiles"),
        ("y\n1\n2\n", {}, "no column whose cells are SMILES"),
        (PLAIN, {"smiles": "Smiles"}, "no SMILES column 'Smiles'. Did you mean 'smiles'"),
        (PLAIN, {"targets": ["logp"]}, "no target column 'logp'. Did you mean 'logP'"),
        (PLAIN, {"targets": ["xyz"]}, "no target column 'xyz'. Its columns: logP"),
        (PLAIN, {"targets": ["smiles"]}, "no target column 'smiles'"),
        (text(("smiles", ["x(", "y("]), ("z", [1, 2])), {}, "none of the 2 molecules .* the first, 'x\\('"),
        (text(("smiles", MOLECULES), ("y", [""] * 6)), {"targets": ["y"]}, "target 'y' has no labels"),
        (text(("smiles", MOLECULES), ("y", ["nan"] * 6)), {}, "no column of labels"),
        (
            text(("smiles", MOLECULES), ("y", [1] * 5 + [""])),
            {"targets": ["y"]},
            "'y' has one class only \\(1 in every",
        ),
        (text(("smiles", MOLECULES), ("y", [7] * 6)), {"targets": ["y"]}, "'y' has one value only \\(7 in every"),
        (
            text(("smiles", MOLECULES), ("y", ["a", "b", "c", "d", 1, 2])),
            {"targets": ["y"]},
            "not numeric: 4 of 6 .*'a'",
        ),
        (text(("smiles", MOLECULES), ("y", ["inf"] * 4 + [1, 2])), {"targets": ["y"]}, "not numeric: 4 of 6"),
        (
            text(("smiles", MOLECULES), ("y", [1, 2, 3, 4, 5, 7])),
            {"task": "classification", "targets": ["y"]},
            "0 and 1",
        ),
        (text(("smiles", MOLECULES), ("y", [1, 2, 3, 4, 5, 7])), {"task": "classification"}, "no column of labels"),
        (
            text(("smiles", MOLECULES), ("a", [0, 1] * 3), ("b", LOGP)),
            {},
            "binary targets \\(a\\) and continuous .* \\(b\\)",
        ),
        (text(("smiles", MOLECULES), ("y", LOGP), ("y", LOGP)), {}, "more than one column called 'y'"),
        ("CCO,1\nCCC(=O)O,2\n", {}, "first line of .* is a molecule and not a header"),
        ("CCC(=O)O,1\nCCO,2\n", {}, "first line of .* is a molecule and not a header"),
        (PLAIN + "CCO,1,2\n", {}, "row 6 of .* has 3 cells, the header 2"),
        (PLAIN + '"CCO,1\n', {}, "not a well-formed table"),
        (b"PK\x03\x04 and so on", {}, "Excel or zip file"),
        (b"\x7fELF\x00\x00\x01", {}, "not a text table"),
        (gzip.compress(PLAIN.encode(), mtime=0)[:-20], {}, "is damaged"),
        (b"PAR1" + PLAIN.encode(), {}, "damaged Parquet file"),
    ],
)
def test_bad_input(write: Write, content: str | bytes, options: dict, message: str) -> None:
    with pytest.raises(TableError, match=message):
        read_table(write(content), **options)


def test_bad_sources(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"no file 'nowhere.csv' and no benchmark table of that name \(bbbp, "):
        read_table("nowhere.csv")
    with pytest.raises(TableError, match="Is a directory"):
        read_table(tmp_path)
    with pytest.raises(ConfigError, match="--task is 'ranking', but it must be"):
        read_table(pd.DataFrame({"smiles": MOLECULES, "y": LOGP}), task="ranking")
    with pytest.raises(TableError, match="more than one column called '1'"):
        read_table(pd.DataFrame([["C", 1, 2]], columns=["smiles", 1, "1"]))


# Streams


def test_stream_gives_every_row_in_order(write: Write) -> None:
    smiles = [*MOLECULES, "", "oops("] * 5
    path = write(text(("id", range(40)), ("smiles", smiles)))
    chunks = list(stream_smiles(path, chunk=7))
    assert [len(chunk.smiles) for chunk in chunks] == [7, 7, 7, 7, 7, 5]
    assert [cell for chunk in chunks for cell in chunk.smiles] == smiles
    assert [cell for chunk in chunks for cell in chunk.columns["id"]] == [str(number) for number in range(40)]


@pytest.mark.parametrize("form", ["csv", "parquet", "sdf", "smi"])
def test_stream_reads_every_form(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"table.{form}"
    frame = pd.DataFrame({"smiles": MOLECULES, "logP": LOGP})
    if form == "csv":
        frame.to_csv(path, index=False)
    elif form == "parquet":
        frame.to_parquet(path)
    elif form == "smi":
        path.write_text("\n".join(MOLECULES))
    else:
        datamol.to_sdf([datamol.to_mol(smiles) for smiles in MOLECULES], path)
    chunks = list(stream_smiles(path, chunk=4))
    assert [len(chunk.smiles) for chunk in chunks] == [4, 2]
    keys = [datamol.to_smiles(datamol.to_mol(cell)) for chunk in chunks for cell in chunk.smiles]
    assert keys == [datamol.to_smiles(datamol.to_mol(smiles)) for smiles in MOLECULES]


def test_stream_memory_does_not_grow(tmp_path: Path) -> None:
    path = tmp_path / "long.csv.gz"
    with gzip.open(path, "wt", compresslevel=1) as file:
        file.write("smiles,note\n")
        for _ in range(300):
            file.write((MOLECULES[2] + "," + "x" * 100 + "\n") * 1_000)
    code = (
        "import resource, sys\nfrom iem.data.tables import stream_smiles\nrows = 0\n"
        "for number, chunk in enumerate(stream_smiles(sys.argv[1])):\n"
        "    rows += len(chunk.smiles)\n"
        "    if number == 20: early = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "scale = 1 if sys.platform == 'darwin' else 1024\n"
        "print(rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - early) * scale)"
    )
    rows, growth = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
    ).stdout.split()
    assert int(rows) == 300_000
    assert int(growth) < 10e6  # the file holds 40 MB of text


def test_stream_says_what_is_wrong(write: Write) -> None:
    with pytest.raises(TableError, match="has a header but no rows"):
        list(stream_smiles(write("smiles,y\n")))
    with pytest.raises(TableError, match=r"row 2 of .* has 3 cells"):
        list(stream_smiles(write("smiles,y\nC,1\nCC,2\nCCC,3,4\n"), chunk=2))
    chunk = next(stream_smiles(write(f"rubbish\n$$$$\n{datamol.to_molblock(datamol.to_mol('CCO'))}", "x.sdf")))
    assert chunk.smiles == ["", "CCO"]
    assert "mol block" in chunk.problems[0]


def test_prediction_needs_no_conformers(write: Write) -> None:
    code = (
        "import sys; from iem.data.tables import stream_smiles; list(stream_smiles(sys.argv[1]));"
        "sys.exit('iem.chem.conformers' in sys.modules or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, write(PLAIN)]).returncode == 0


# Round trip

NAMES = st.text("abcXYZ µ°()[]/%", min_size=1, max_size=8).filter(lambda name: name == name.strip())


@given(
    labels=st.lists(
        st.lists(st.none() | st.floats(-1e6, 1e6, allow_nan=False), min_size=2, max_size=2), min_size=3, max_size=8
    ),
    names=st.lists(NAMES.map(lambda name: f"t {name}"), min_size=2, max_size=2, unique=True),
    separator=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
    bom=st.booleans(),
    packed=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    labels: list,
    names: list,
    separator: str,
    end: str,
    bom: bool,
    packed: bool,
) -> None:
    frame = pd.DataFrame(labels, columns=names, dtype=float)
    frame = pd.concat([frame, pd.DataFrame([[0.25, 1.5], [0.75, -2.5]], columns=names)], ignore_index=True)
    frame.insert(1, "smiles", [MOLECULES[row % 6] for row in range(len(frame))])
    written = io.StringIO()
    frame.to_csv(written, sep=separator, index=False, lineterminator=end)
    content = written.getvalue().encode("utf-8-sig" if bom else "utf-8")
    path = tmp_path_factory.mktemp("trip") / ("table.csv.gz" if packed else "table.csv")
    path.write_bytes(gzip.compress(content) if packed else content)
    table = read_table(path, targets=names)
    np.testing.assert_array_equal(table.labels, frame[names].to_numpy())
    assert table.smiles == frame["smiles"].tolist()
    assert not table.rejected
