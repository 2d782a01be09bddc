"""What the command line says to everything that can be wrong, with which exit code, and what is left afterwards.

Whatever cannot be done ends with one sentence and an exit code other than 0; whatever can goes on and is counted.
"""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
from rdkit import Chem

from iem import artifact
from iem.chem import conformers
from iem.cli import main
from iem.errors import ArtifactError, ConfigError, OutputError, TableError
from iem.nn import teacher as teachers
from iem.workflows.distillation import loop
from iem.workflows.fitting import finishing, steps
from iem.workflows.inference.model import Model
from iem.workflows.pictures.embed import ImageTeacher
from iem.workflows.running import folders
from iem.workflows.running.folders import open_run

MOLECULES = [
    *("CO", "CCO", "CCCO", "CC(C)O", "CCCCO", "CC(C)CO", "OCCO", "c1ccccc1O", "OCc1ccccc1", "CC(=O)C"),
    *("CC", "CCC", "CCCC", "CC(C)C", "CCCCC", "c1ccccc1", "Cc1ccccc1", "C1CCCCC1", "CN", "CCN", "CCCN", "CC#N"),
]
LOGP = [round(0.13 * len(smiles) - 0.31, 2) for smiles in MOLECULES]
TOXIC = [len(smiles) % 2 for smiles in MOLECULES]
PARTS = ["train"] * (len(MOLECULES) - 4) + ["valid", "valid", "test", "test"]


class Said(NamedTuple):
    """What one command came to."""

    code: int
    out: str
    err: str


Iem = Callable[..., Said]


@pytest.fixture
def iem(capsys: pytest.CaptureFixture[str]) -> Iem:
    """Run one command in this process. An error that was not foreseen would end the test with its traceback."""

    def run(*words: object) -> Said:
        capsys.readouterr()
        code = main([str(word) for word in words])
        return Said(code, *capsys.readouterr())

    return run


def refused(said: Said, message: str, code: int = 1) -> None:
    """One sentence, which is this pattern from beginning to end, and nothing else."""
    assert (said.code, said.out) == (code, "")
    assert re.fullmatch(f"iem: {message}\n", said.err), said.err


def table(*columns: tuple[str, Sequence[object]], separator: str = ",", end: str = "\n") -> str:
    rows = [[name for name, _ in columns], *zip(*(cells for _, cells in columns), strict=True)]
    return "".join(separator.join(str(cell) for cell in row) + end for row in rows)


def written(folder: Path, content: str | bytes, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def fit(source: Path, out: Path, **options: object) -> list[object]:
    """The words of a fit that takes no longer than it must, with other options put in the place of its own."""
    words: list[object] = ["fit", source, "--out", out]
    for name, value in ({"teacher": "none", "split": "random", "epochs": 1, "jobs": 1} | options).items():
        words += [f"--{name.replace('_', '-')}", *([] if value is True else [value])]
    return words


PLAIN = table(("smiles", MOLECULES), ("logP", LOGP))


# A table that nothing can be learned from

UNUSABLE: dict[str, tuple[str | bytes, dict[str, object], str]] = {
    "empty file": ("", {}, r"{table} is empty; it needs a header line and one row per molecule"),
    "blank lines": (
        "\n \n",
        {},
        r"{table} holds nothing but blank lines; it needs a header line and one row per molecule",
    ),
    "header only": ("smiles,logP\n", {}, r"{table} has a header but no rows; it needs one row per molecule"),
    "no header": (
        "CCO,1\nCCCC,2\n",
        {},
        r"the first line of {table} is a molecule and not a header; add one, such as: smiles,target",
    ),
    "no SMILES column": (
        table(("name", ["ethanol", "benzene"]), ("logP", [1, 2])),
        {},
        r"{table} has no column whose cells are SMILES; its columns: name, logP; name the right one with --smiles",
    ),
    "SMILES column misspelt": (
        PLAIN,
        {"smiles": "Smiles"},
        r"{table} has no SMILES column 'Smiles'\. Did you mean 'smiles'\? Its columns: smiles, logP",
    ),
    "SMILES column of numbers": (
        PLAIN,
        {"smiles": "logP", "target": "smiles"},
        r"none of the 22 molecules of {table} can be read; the first, '-0\.05': it is a number, not a SMILES; "
        r"check the column 'logP' or name another with --smiles",
    ),
    "target not in the table": (
        PLAIN,
        {"target": "logp"},
        r"{table} has no target column 'logp'\. Did you mean 'logP'\? Its columns: logP",
    ),
    "all labels missing": (
        table(("smiles", MOLECULES), ("logP", ["", "NaN"] * 11)),
        {"target": "logP"},
        r"target 'logP' has no labels: all its cells are blank; choose another --target",
    ),
    "all labels missing, no target named": (
        table(("smiles", MOLECULES), ("logP", ["", "NaN"] * 11)),
        {},
        r"{table} has no column of labels to learn from; besides the molecules it has: logP; not taken as targets "
        r"\(blank in every row\): logP; add a column of numbers, or name one with --target",
    ),
    "one class only": (
        table(("smiles", MOLECULES), ("toxic", [1] * 22)),
        {"target": "toxic"},
        r"target 'toxic' has one class only \(1 in every row\); there is nothing to learn from it",
    ),
    "one class only, no target named": (
        table(("smiles", MOLECULES), ("toxic", [1] * 22)),
        {},
        r"{table} has no column of labels .*; not taken as targets \(the same in every row\): toxic; add .*",
    ),
    "all SMILES unparsable": (
        table(("smiles", ["C1CC", "CC(", "c1ccc"]), ("logP", [1, 2, 4])),
        {},
        r"none of the 3 molecules of {table} can be read; the first, 'C1CC': unclosed ring; check the column 'smiles' "
        r"or name another with --smiles",
    ),
    "text in a numeric target": (
        table(("smiles", MOLECULES), ("logP", ["high", "low"] * 11)),
        {"target": "logP"},
        r"target 'logP' is not numeric: 22 of 22 labels are no finite numbers \('high' is not a number\); choose "
        r"another --target",
    ),
    "more classes than two": (
        table(("smiles", MOLECULES), ("grade", [0, 1, 2, 3, 4] * 4 + [0, 1])),
        {"target": "grade", "task": "classification"},
        r"target 'grade' has values other than 0 and 1 \(0, 1, 2, 3 \.\.\.\), so it is not for classification; make "
        r"it binary or use --task regression",
    ),
    "targets of both kinds": (
        table(("smiles", MOLECULES), ("toxic", TOXIC), ("logP", LOGP)),
        {},
        r"{table} has binary targets \(toxic\) and continuous ones \(logP\); choose with --target, or with --task "
        r"classification or --task regression",
    ),
    "duplicate column names": (
        table(("smiles", MOLECULES), ("logP", LOGP), ("logP", LOGP)),
        {},
        r"{table} has more than one column called 'logP'; rename or remove all but one",
    ),
    "a row that is too long": (
        PLAIN + "CCO,1,5\n",
        {},
        r"row 22 of {table} has 3 cells, the header 2; put quotes around cells that contain the separator",
    ),
    "an Excel file": (b"PK\x03\x04", {}, r"{table} is an Excel or zip file; save the sheet as CSV \(iem reads .*\)"),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0\0", {}, r"{table} is not a text table; iem reads .*"),
    "too few rows": (
        table(("smiles", MOLECULES[:3]), ("logP", LOGP[:3])),
        {},
        r"the random split of 3 rows leaves nothing for test; use another way to split or more molecules",
    ),
    "a split without a test part": (
        table(("smiles", MOLECULES), ("logP", LOGP), ("part", ["train"] * 18 + ["valid"] * 4)),
        {"split": "part"},
        r"the split column leaves nothing for test; use another way to split or more molecules",
    ),
    "a split that says something else": (
        table(("smiles", ["C1CC", *MOLECULES]), ("logP", [1, *LOGP]), ("part", ["", "train", "hold-out", *PARTS[2:]])),
        {"split": "part"},
        r"the split column says 'hold-out' in its row 2; it must say train, valid or test",
    ),
}


@pytest.mark.parametrize(("content", "options", "message"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_table_that_cannot_be_used(
    iem: Iem, tmp_path: Path, content: str | bytes, options: dict[str, object], message: str
) -> None:
    path = written(tmp_path, content, "my table.csv")
    said = iem(*fit(path, tmp_path / "model", **options))
    refused(said, message.replace("{table}", re.escape(str(path))))
    assert not (tmp_path / "model").exists(), "a command that cannot run claims no folder"


def test_a_table_that_is_not_there(iem: Iem, tmp_path: Path) -> None:
    refused(
        iem(*fit(tmp_path / "x.csv", tmp_path / "model")),
        r"there is no file '.*x\.csv' and no benchmark table of that name \(bbbp, .*\); check the path",
    )
    refused(
        iem(*fit(tmp_path, tmp_path / "model")),
        rf"cannot read {re.escape(str(tmp_path))}: Is a directory; check the path and the file",
    )


# A setting that cannot work

SETTINGS: list[tuple[dict[str, object], str]] = [
    ({"jobs": 0}, r"--jobs is 0, but it must be a number of processes, or -1 for one per core"),
    ({"epochs": 0}, r"--epochs is 0, but it must be a positive whole number"),
    ({"seeds": -1}, r"--seeds is -1, but it must be a positive whole number"),
    ({"lr": "nan"}, r"--lr is nan, but it must be a positive number"),
    ({"ke": "inf"}, r"--ke is inf, but it must be a positive number or 0"),
    ({"batch_size": 1}, r"--batch-size is 1, but batch normalisation needs at least two molecules per step"),
    ({"student": "gin:width=abc"}, r"width is 'abc', but it must be a whole number from 1 to 10,000"),
    ({"student": "gin:layers=2.5"}, r"layers is 2\.5, but it must be a whole number from 1 to 10,000"),
    ({"student": "gin:width=1000000000"}, r"width is 1000000000, but it must be a whole number from 1 to 10,000"),
    ({"student": "gni"}, r"no student is called 'gni'\. Did you mean 'gin'\? Known: .*gin.*"),
    (
        {"student": "gin:width=16", "start": "default"},
        r"--start is 'default', but none comes along for the student gin:width=16; say none, or name a folder of .*",
    ),
    ({"split": "fold"}, r"--split is 'fold', but it must be scaffold, random or a column of the table .*"),
    ({"compare": True}, r"--compare is True, but there is nothing to compare without a teacher; leave out .*"),
    ({"image_fraction": 1.5}, r"--image-fraction is 1\.5, but it must be more than 0 and at most 1"),
    (
        {"image_fraction": 0.5},
        r"--image-fraction is 0\.5, but --teacher none shows no pictures; leave out one of the two",
    ),
    ({"teacher_view": "flat"}, r"--teacher-view is 'flat', but --teacher none shows no pictures; leave out .*"),
    ({"unlabelled": "x.smi"}, r"--unlabelled is 'x\.smi', but there is nothing to learn from them with --teacher none"),
    (
        {"transductive": True},
        r"--transductive is True, but it is about the molecules of --unlabelled, and there are .*",
    ),
    ({"class_weights": "balanced"}, r"--class-weights is 'balanced', but values have no classes; leave it out in .*"),
    ({"ramp": -1}, r"--ramp is -1\.0, but it must be a positive number or 0"),
    (
        {"teacher": "default"},
        r"there is no teacher folder 'default', and the teachers that come with this iem are: none; check the path, "
        r"make a teacher with iem pretrain, or let iem fit do without \(--teacher none\)",
    ),
]


@pytest.mark.parametrize(("options", "message"), SETTINGS, ids=[" ".join(options) for options, _ in SETTINGS])
def test_a_setting_that_cannot_work(
    iem: Iem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, object], message: str
) -> None:
    monkeypatch.setattr(teachers, "BUNDLED", tmp_path / "no teachers")
    refused(iem(*fit(written(tmp_path, PLAIN), tmp_path / "model", **options)), message)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["benchmark", "table2", "--epochs", 0], "--epochs is 0, but it must be a positive whole number"),
        (["benchmark", "table2", "--ke", -1], r"--ke is -1\.0, but it must be a positive number or 0"),
        (["benchmark", "table2", "--te", "nan"], "--te is nan, but it must be a positive number or 0"),
        (["benchmark", "table2", "--jobs", 0, "--list-runs"], "--jobs is 0, but it must be a number of processes.*"),
        (
            ["benchmark", "table2", "--engine", "foo", "--list-runs"],
            "--engine is 'foo', but it must be one of cores, ray",
        ),
        (["benchmark", "table2", "--starts", "nosuch", "--list-runs"], "--starts is 'nosuch', but there is no .*"),
        (["pretrain", "c", "--seed", -1], "--seed is -1, but it must be from 0 to 4294967295"),
        (["pretrain", "c", "--jobs", -5], "--jobs is -5, but it must be a number of processes; 0 draws in .*"),
        (["pretrain", "c", "--lr", "nan"], "--lr is nan, but it must be a positive number"),
        (["teach", "c", "--seed", -1], "--seed is -1, but it must be from 0 to 4294967295"),
        (["teach", "c", "--jobs", -5], "--jobs is -5, but it must be a number of processes; 0 draws in .*"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_a_setting_of_other_verbs_that_cannot_work(iem: Iem, tmp_path: Path, words: list[object], message: str) -> None:
    refused(iem(*words, "--out", tmp_path / "out"), message)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fit"], "--table requires an argument"),
        (["fit", "x.csv"], "--out requires an argument"),
        (["fit", "x.csv", "--out", "model", "--epochs", "many"], 'unable to convert "many" into int'),
        (["fit", "x.csv", "--out", "model", "--task", "ranking"], '"classification"'),
        (["fit", "x.csv", "--out", "model", "--epoch", "3"], "--epochs"),
        (["predikt"], "predict"),
    ],
    ids=" ".join,
)
def test_words_that_are_no_command(iem: Iem, words: list[str], message: str) -> None:
    said = iem(*words)
    assert (said.code, said.out) == (2, "")
    assert message in " ".join(said.err.replace("│", " ").split())


# A table that has some bad rows: the rest goes on, and what was left out is counted and told

PEPTIDE = "N" + "CC(=O)N" * 75
STRAINED = "C1CC23C1C1C2CCN31"
"""No embedding succeeds, so it is drawn flat."""
POLYMER = "CCO" * 400
"""More atoms than a picture can show."""
ODD = ["[Na+].[Cl-]", "[Fe]", "[Cl-]", "[2H]O[2H]", "*CC", "[CH3]", "[H][H]", "N[Pt](N)(Cl)Cl", PEPTIDE, STRAINED]

NAMES = ["Molecule SMILES (std.)", "log S [mol/L], 25 °C", "IC50 / µM"]
GOES_ON: dict[str, tuple[str | bytes, dict[str, object], list[str], list[tuple[int, str, str]]]] = {
    "a few unparsable SMILES": (
        table(("smiles", ["C1CC", *MOLECULES, "CC(", ""]), ("logP", [9, *LOGP, 9, 9])),
        {},
        ["logP"],
        [
            (0, "parse", "unclosed ring"),
            (23, "parse", "syntax error around position 3"),
            (24, "parse", "there is no SMILES"),
        ],
    ),
    "NaN, inf and text among numbers": (
        table(("smiles", [*MOLECULES, *ODD[:5]]), ("logP", [*LOGP, "NaN", "", "inf", ">10", 1e300])),
        {"target": "logP"},
        ["logP"],
        [
            (22, "label", "no label"),
            (23, "label", "no label"),
            (24, "label", "target 'logP': 'inf' is not finite"),
            (25, "label", "target 'logP': '>10' is not a number"),
            (26, "label", "target 'logP': '1e+300' is beyond 1e+15"),
        ],
    ),
    "BOM, CRLF, semicolons and decimal commas": (
        b"\xef\xbb\xbf"
        + table(("smiles", MOLECULES), ("logP", LOGP), separator=";", end="\r\n").replace(".", ",").encode(),
        {},
        ["logP"],
        [],
    ),
    "Latin-1, spaces, units and brackets": (
        table(*zip([f'"{name}"' for name in NAMES], [MOLECULES, LOGP, LOGP[::-1]], strict=True)).encode("latin-1"),
        {},
        NAMES[1:],
        [],
    ),
    "salts, metals, ions, isotopes, wildcards, radicals, giants": (
        table(("smiles", [*MOLECULES, *ODD, POLYMER]), ("toxic", [*TOXIC, *[0, 1] * 5, 1])),
        {},
        ["toxic"],
        [],
    ),
}


@pytest.mark.parametrize(("content", "options", "targets", "rejected"), GOES_ON.values(), ids=GOES_ON)
def test_what_can_be_used_goes_on(
    iem: Iem,
    tmp_path: Path,
    content: str | bytes,
    options: dict[str, object],
    targets: list[str],
    rejected: list[tuple[int, str, str]],
) -> None:
    out = tmp_path / "model"
    said = iem(*fit(written(tmp_path, content), out, **options))
    assert (said.code, said.out) == (0, ""), said.err
    metrics = json.loads((out / "metrics.json").read_text())
    rows = metrics["rows"]
    assert list(metrics["test"]["per_target"]) == targets
    assert (rows["used"], rows["rejected"]) == (rows["read"] - len(rejected), len(rejected))
    assert f"{rows['read']} rows read, {rows['used']} used, {rows['rejected']} rejected" in said.err
    told = pd.read_csv(out / "rejected.csv", keep_default_na=False)
    for (row, stage, reason), found in zip(rejected, told.itertuples(), strict=True):
        assert (found.row, found.stage) == (row, stage)
        assert found.reason.startswith(reason)
        assert found.reason.replace("'", "&#39;").replace(">", "&gt;") in (out / "report.html").read_text()
    if rejected:
        assert "(why: rejected.csv)" in said.err
    again = iem("predict", out, *ODD, "C1CC", "--jobs", "1")
    assert (again.code, len(again.out.splitlines())) == (0, 12)
    assert "12 rows read" not in again.err
    assert "11 rows read; 1 without a prediction" in again.err


def test_molecules_without_a_picture_learn_from_their_labels(iem: Iem, tmp_path: Path, teacher_folder: Path) -> None:
    odd = [*ODD, POLYMER]
    content = table(("smiles", [*odd, *MOLECULES]), ("y", [*range(11), *LOGP]), ("part", ["train"] * 11 + PARTS))
    out = tmp_path / "model"
    said = iem(*fit(written(tmp_path, content), out, teacher=teacher_folder, split="part", target="y"))
    assert said.code == 0, said.err
    assert "1 of 29 molecules have no picture and learn from their labels alone; the first, in row 10: " in said.err
    assert "pictures end at 1,000 atoms" in said.err
    report = (out / "report.html").read_text()
    assert "no 3D conformer was found" in report
    assert "pictures end at 1,000 atoms" in report


@pytest.mark.parametrize("pictured", [0, 1])
def test_a_teacher_that_sees_next_to_nothing(
    iem: Iem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, teacher_folder: Path, pictured: int
) -> None:
    monkeypatch.setattr(conformers, "MOST_DRAWN", 50)  # so that the molecules can be small
    smiles = [*MOLECULES[:pictured], *("CCO" * 20 + "C" * number for number in range(8)), *MOLECULES[-4:]]
    content = table(
        ("smiles", smiles), ("y", range(3, 15 + pictured)), ("part", ["train"] * (8 + pictured) + PARTS[-4:])
    )
    said = iem(*fit(written(tmp_path, content), tmp_path / "model", teacher=teacher_folder, split="part", target="y"))
    assert said.code == 0, said.err
    assert f"8 of {8 + pictured} molecules have no picture" in said.err


# A model that cannot be used


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fit")
    assert main([str(word) for word in fit(written(folder, PLAIN), folder / "model")]) == 0
    return folder / "model"


def card(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / artifact.CARD
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def truncate(folder: Path) -> None:
    os.truncate(folder / artifact.WEIGHTS, 10_000)


MODELS: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (truncate, r"{model}/model\.safetensors is damaged: .*; restore it or train again"),
    "of another version": (
        card(schema=2, versions={"iem": "9.0"}),
        r"{model} has format version 2, and this iem reads version 1; install the iem that wrote it \(9\.0\) or .*",
    ),
    "of another program": (
        card(program="chemprop"),
        r"{model}/card\.json was not written by iem; name a folder that iem wrote",
    ),
    "a teacher": (card(kind="teacher"), r"{model} holds a teacher, but a model is needed here"),
    "with an unknown student": (
        card(student={"name": "egnn", "options": {}}),
        r"{model} needs a student of another package: no student is called 'egnn'.*; install that package, or hand "
        r"the student's factory to iem\.load\(folder, student=\.\.\.\)",
    ),
    "not finished": (
        lambda folder: (folder / artifact.CARD).unlink(),
        r"{model} has no card\.json, so it is not a finished model; repeat the command that began it, or name .*",
    ),
    "with a broken card": (
        lambda folder: (folder / artifact.CARD).write_text('{"program": '),
        r"{model}/card\.json cannot be read \(.*\); restore it or make the model again",
    ),
    "not there": (shutil.rmtree, r"there is no model folder at {model}; check the path"),
}


@pytest.mark.parametrize(("damage", "message"), MODELS.values(), ids=MODELS)
def test_a_model_that_cannot_be_used(
    iem: Iem, tmp_path: Path, model: Path, damage: Callable[[Path], object], message: str
) -> None:
    copy = tmp_path / "model"
    shutil.copytree(model, copy)
    damage(copy)
    refused(iem("predict", copy, "CCO"), message.replace("{model}", re.escape(str(copy))))


def test_a_card_that_lacks_or_twists_anything_is_refused_or_does_no_harm(model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "model"
    shutil.copytree(model, copy)
    whole = json.loads((model / artifact.CARD).read_text())
    refusals = 0
    for name in whole:
        for twisted in ({key: value for key, value in whole.items() if key != name}, whole | {name: None}):
            (copy / artifact.CARD).write_text(json.dumps(twisted))
            try:
                assert Model(copy).predict("CCO").columns.tolist() == ["smiles", "logP", "error"]
            except ArtifactError:
                refusals += 1
    assert refusals >= 12


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (".", r"--out .* is a folder; name a file"),
        ("nowhere/x.csv", r"cannot write .*x\.csv: No such file or directory; choose another place"),
        ("table.csv/x.csv", r"cannot write .*x\.csv: Not a directory; choose another place"),
        ("x.parquet", r"--out .*x\.parquet does not end in \.csv or \.csv\.gz, and iem predict writes CSV; name it so"),
    ],
)
def test_predictions_that_cannot_be_written(iem: Iem, tmp_path: Path, model: Path, out: str, message: str) -> None:
    path = written(tmp_path, PLAIN)
    refused(iem("predict", model, path, "--jobs", 1, "--out", tmp_path / out), message)
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.csv"]


def test_standard_input_is_not_written(iem: Iem, model: Path) -> None:
    said = iem("predict", model, "CCO", "--jobs", 1, "--out", "-")
    refused(said, "cannot write to standard input, which is what - stands for; name a file")


def test_a_hole_in_a_list_of_molecules_is_an_empty_row(model: Path) -> None:
    frame = Model(model).predict(["CCO", None, float("nan"), pd.NA, 5])
    assert frame["error"].tolist() == ["", *3 * ["it is empty"], "it is no text but of type int"]
    assert frame["logP"].notna().tolist() == [True, False, False, False, False]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["CCO", "--batch-size", 0], r"--batch-size is 0, but it must be a positive whole number"),
        (["CCO", "--jobs", -2], r"--jobs is -2, but it must be a number of processes, or -1 for one per core"),
        (["CCO", "nowhere.csv.gz"], r"there is no file nowhere\.csv\.gz; check the path"),
    ],
    ids=["batch size", "jobs", "no table"],
)
def test_predictions_that_cannot_be_made(iem: Iem, model: Path, words: list[object], message: str) -> None:
    said = iem("predict", model, *words)
    refused(Said(said.code, "", said.err), message)


# An output folder that cannot be used


def occupy(folder: Path) -> None:
    folder.mkdir()
    (folder / "thesis.docx").write_text("irreplaceable")


def pretend(content: str) -> Callable[[Path], None]:
    def claim(folder: Path) -> None:
        folder.mkdir()
        (folder / "run.json").write_text(content)

    return claim


FOLDERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "holds something else": (occupy, r"--out {out} exists and is not a model run of iem; name a new folder"),
    "holds another program's run": (
        pretend('["a run"]'),
        r"--out {out} exists and is not a model run of iem; name a new folder",
    ),
    "holds another kind of run": (
        pretend('{"kind": "teacher"}'),
        r"--out {out} exists and is not a model run of iem; name a new folder",
    ),
    "holds a broken run": (
        pretend("{"),
        r"{out}/run\.json cannot be read \(.*\); delete {out} or name another folder",
    ),
    "is a file": (Path.touch, r"--out {out} is a file; name a folder"),
    "is below a file": (
        lambda out: out.parent.touch(),
        r"cannot write {out}/run\.json: Not a directory; choose another place",
    ),
}


@pytest.mark.parametrize(("prepare", "message"), FOLDERS.values(), ids=FOLDERS)
def test_an_output_folder_that_cannot_be_used(
    iem: Iem, tmp_path: Path, prepare: Callable[[Path], object], message: str
) -> None:
    path = written(tmp_path, PLAIN)
    out = tmp_path / "there" / "model"
    if "below" not in message and "Not a directory" not in message:
        out.parent.mkdir()
    prepare(out)
    before = sorted(tmp_path.rglob("*"))
    refused(iem(*fit(path, out)), message.replace("{out}", re.escape(str(out))))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_of_another_run_is_left_alone(iem: Iem, tmp_path: Path, model: Path) -> None:
    path, again = written(tmp_path, PLAIN), "repeat that run's command to go on with it, or name another --out"
    before = {entry.name: entry.stat().st_mtime_ns for entry in model.iterdir()}
    refused(iem(*fit(path, model, lr=0.1)), rf"--lr is 0\.1, but {model} holds a run with 0\.0003; {again}")
    other = written(tmp_path, PLAIN + "CCS,1\n", "other.csv")
    refused(iem(*fit(other, model)), rf"--out {model} holds a run with another table; {again}")
    said = iem(*fit(path, model))
    assert (said.code, said.err) == (0, f"{model} is finished already; delete it to train again\n")
    assert before == {entry.name: entry.stat().st_mtime_ns for entry in model.iterdir()}


HOLD = """
import sys, time
from pathlib import Path
from iem.workflows.running.folders import open_run
with open_run(Path(sys.argv[1]), {"seed": 0}, kind="model"):
    print("mine", flush=True)
    time.sleep(600)
"""


def test_two_processes_do_not_work_in_one_folder(tmp_path: Path) -> None:
    out = tmp_path / "model"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(out)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "mine\n"
        with (
            pytest.raises(OutputError, match=rf"another process is at work in --out {out}; wait until it is done"),
            open_run(out, {"seed": 0}, kind="model"),
        ):
            pass
        other.kill()
    with open_run(out, {"seed": 0}, kind="model") as claim:  # a claim ends with its process, however that ends
        claim.settle({"kind": "model", "seed": 1})
        asked = [sys.executable, "-c", HOLD.replace('"seed": 0', '"seed": 1'), str(out)]
        said = subprocess.run(asked, capture_output=True, text=True, check=False)
        assert "another process is at work" in said.stderr, "other settings, and still claimed"
    with open_run(out, {"seed": 1}, kind="model"):
        pass


def test_of_two_processes_that_begin_at_once_one_has_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "model"
    with open_run(out, {"seed": 0}, kind="model"):
        monkeypatch.setattr(folders.os.path, "isfile", lambda path: False)  # when this one looked, nothing was there
        monkeypatch.setattr(folders, "_listed", lambda folder: [])
        with pytest.raises(OutputError, match="another process is at work"), open_run(out, {"seed": 0}, kind="model"):
            pass
    assert [entry.name for entry in out.iterdir()] == ["run.json"]


def test_a_folder_where_files_have_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    with open_run(tmp_path / "model", {"seed": 0}, kind="model") as claim:
        assert [entry.name for entry in (tmp_path / "model").iterdir()] == ["run.json"]
    assert claim.settings == {"kind": "model", "seed": 0}


def test_a_finished_folder_without_its_scores(iem: Iem, tmp_path: Path, model: Path) -> None:
    copy = tmp_path / "model"
    shutil.copytree(model, copy)
    (copy / "metrics.json").unlink()
    said = iem(*fit(written(tmp_path, PLAIN), copy))
    refused(said, rf"{copy}/metrics\.json cannot be read \(.*\); delete {copy} to train again")


def test_a_finished_folder_that_is_not_whole(iem: Iem, tmp_path: Path, model: Path) -> None:
    copy, path = tmp_path / "model", written(tmp_path, PLAIN)
    shutil.copytree(model, copy)
    (copy / "report.html").unlink()
    said = iem(*fit(path, copy))
    told = f"{copy} is finished already; delete it to train again (its model is whole, but report.html is gone)\n"
    assert (said.code, said.err) == (0, told)
    content = bytearray((copy / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (copy / "model.safetensors").write_bytes(content)
    refused(iem(*fit(path, copy)), rf".*model\.safetensors.*; delete {copy} to train again")
    (copy / "model.safetensors").unlink()
    refused(iem(*fit(path, copy)), rf".*model\.safetensors.*; delete {copy} to train again")


@pytest.mark.parametrize("source", [None, 5, ["CCO"]])
def test_something_that_is_no_table(tmp_path: Path, source: object) -> None:
    import iem

    with pytest.raises(TableError, match=f"a table is a path, a name or a data frame, and no {type(source).__name__}"):
        iem.fit(source, out=tmp_path / "model")


@pytest.mark.parametrize("options", [{"seeds": "3"}, {"ke": "x"}, {"epochs": True}, {"lr": [1]}], ids=str)
def test_a_setting_in_python_that_is_no_number(tmp_path: Path, options: dict[str, object]) -> None:
    import iem

    with pytest.raises(ConfigError, match=f"--{next(iter(options))} is .*, but it must be a number"):
        iem.fit(written(tmp_path, PLAIN), out=tmp_path / "model", **options)


def test_more_views_than_anybody_looks_at(iem: Iem, tmp_path: Path) -> None:
    said = iem("render", "CCO", "--views", "fibonacci:30000", "--out", tmp_path / "x.png")
    refused(said, "views is 'fibonacci:30000', but a molecule has 1,000 views at most")


def test_a_training_that_explodes_is_not_blamed_on_the_student(iem: Iem, tmp_path: Path) -> None:
    said = iem(*fit(written(tmp_path, PLAIN), tmp_path / "model", lr=1e30, student="gin:width=8", epochs=3))
    assert said.code == 1
    assert "the run diverged: lower --lr" in said.err


def test_an_unreadable_record_is_called_by_its_title(tmp_path: Path) -> None:
    from iem.data.tables import read_table

    broken = "my salt\n\n\n  1  0  0  0  0  0  0  0  0  0999 V2000\nnonsense\nM  END\n>  <logP>\n1\n\n$$$$\n"
    good = Chem.MolToMolBlock(Chem.MolFromSmiles("CCO")) + ">  <logP>\n2\n\n$$$$\n"
    found = read_table(written(tmp_path, good + broken + good.replace("\n2\n", "\n3\n"), "some.sdf"))
    assert [(row.row, row.input, row.stage) for row in found.rejected] == [(1, "my salt", "parse")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_must_not_be_written(iem: Iem, tmp_path: Path) -> None:
    path, out = written(tmp_path, PLAIN), tmp_path / "closed" / "model"
    out.parent.mkdir(mode=0o500)
    refused(iem(*fit(path, out)), rf"cannot write {out}/run\.json: Permission denied; choose another place")


# A full disk, Ctrl-C and kill -9: nothing finished is lost, and the same command goes on

FINISHED = {"model.safetensors", "card.json", "metrics.json", "predictions.csv", "splits.json", "rejected.csv"}
FINISHED |= {"report.html", "run.json"}
RESUMED = {"epochs": 6, "teacher": "none"}
"""Long enough for a checkpoint, which is written every five epochs."""
STOPPED = "iem: interrupted; run it again: fit, pretrain, teach, prepare and benchmark go on where they were\n"


def same_result(one: Path, other: Path) -> bool:
    """Whether two folders hold the same model, made in whatever number of runs, and nothing else."""
    assert {entry.name for entry in one.iterdir()} == FINISHED
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in ("metrics.json", "predictions.csv"))


def test_a_disk_that_is_full_at_any_write(iem: Iem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, out = written(tmp_path, PLAIN), tmp_path / "model"
    assert iem(*fit(path, tmp_path / "unbroken", **RESUMED)).code == 0
    full: list[str] = []
    replace = Path.replace

    def fill(self: Path, target: Path) -> Path:
        if target.name not in full:
            full.append(target.name)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace(self, target)

    def fill_link(self: Path, target: Path) -> None:
        fill(target, self)

    monkeypatch.setattr(Path, "replace", fill)
    monkeypatch.setattr(Path, "hardlink_to", fill_link)
    while (said := iem(*fit(path, out, **RESUMED))).code:
        sentence = said.err.splitlines()[-1]
        assert re.fullmatch(
            rf"iem: cannot write {out}/.*{full[-1]}: No space left on device; free some space, then repeat the command",
            sentence,
        )
        assert not list(tmp_path.rglob(".*"))
    assert {*full} == {*FINISHED, "without-teacher-0.ckpt", "without-teacher-0.safetensors"}
    assert same_result(out, tmp_path / "unbroken")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB, which is less than a model."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here, which takes root and Linux")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_small_disk(iem: Iem, tmp_path: Path, small_disk: Path) -> None:
    path, out = written(tmp_path, PLAIN), small_disk / "model"
    said = iem(*fit(path, out, **RESUMED))
    assert said.code == 1
    assert re.search(r"\niem: cannot write .*\.ckpt: No space left on device; free some space, .*\n$", said.err)
    left = sorted(entry.name for entry in small_disk.rglob("*") if entry.is_file())
    assert left == ["run.json", "without-teacher-0.ticks"]  # how far it was; nothing that is half written

    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    assert iem(*fit(path, out, **RESUMED)).code == 0
    assert {entry.name for entry in out.iterdir()} == FINISHED

    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    other = small_disk / "other"
    said = iem(*fit(path, other))
    refused(said, rf"cannot write {other}/run\.json: Read-only file system; choose another place")
    refused(
        iem("predict", out, path, "--jobs", 1, "--out", small_disk / "x.csv"),
        r"cannot write .*/x\.csv: Read-only file system; choose another place",
    )


def test_a_cache_that_is_full(
    iem: Iem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, teacher_folder: Path, small_disk: Path
) -> None:
    (small_disk / "filler").write_bytes(b"x" * shutil.disk_usage(small_disk).free)
    monkeypatch.setenv("IEM_CACHE", str(small_disk))
    said = iem(*fit(written(tmp_path, PLAIN), tmp_path / "model", teacher=teacher_folder))
    assert said.code == 1
    assert re.search(r"\niem: cannot write .*\.npz: No space left on device; .*\$IEM_CACHE.*\n$", said.err)


def test_control_c_at_any_stage(
    iem: Iem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, teacher_folder: Path
) -> None:
    path, options = written(tmp_path, PLAIN), RESUMED | {"teacher": teacher_folder}
    assert iem(*fit(path, tmp_path / "unbroken", **options)).code == 0
    monkeypatch.setenv("IEM_CACHE", str(tmp_path / "cache"))
    stages: list[tuple[Any, str]] = [
        (steps, "read_table"),
        (steps, "graphs_of"),
        (ImageTeacher, "_judge"),
        (loop.Curve, "on_train_epoch_end"),
        (finishing, "write_fit_report"),
    ]
    for owner, name in stages:
        original = getattr(owner, name)

        def press(*words: Any, original: Any = original, **options: Any) -> Any:
            signal.raise_signal(signal.SIGINT)
            return original(*words, **options)

        with monkeypatch.context() as patch:
            patch.setattr(owner, name, press)
            said = iem(*fit(path, tmp_path / "model", **options))
        assert (said.code, said.out) == (130, ""), name
        assert said.err.endswith(STOPPED)
        assert "Traceback" not in said.err
    assert iem(*fit(path, tmp_path / "model", **options)).code == 0
    assert same_result(tmp_path / "model", tmp_path / "unbroken")


KILLED = """
import json, os, signal, sys
from pathlib import Path

import torch
from lightning import Trainer

from iem.cli import main

torch.set_num_threads(1)  # so that a fork is safe
unbroken, *words = sys.argv[1:]
assert main([unbroken if word == words[words.index("--out") + 1] else word for word in words]) == 0
out = Path(words[words.index("--out") + 1])
save, replace, link = Trainer.save_checkpoint, Path.replace, Path.hardlink_to
killed = []


def die(where):
    os.write(end, where.encode())
    os.kill(os.getpid(), signal.SIGKILL)


def half(self, path, *rest, **options):
    save(self, path, *rest, **options)
    if "half" not in killed:
        os.truncate(path, os.path.getsize(path) // 2)
        die("half")


def never(self, target):
    if target.name not in killed:
        die(target.name)
    return replace(self, target)


def unlinked(self, target):
    if self.name not in killed:
        die(self.name)
    return link(self, target)


while True:
    start, end = os.pipe()
    child = os.fork()
    if not child:
        Trainer.save_checkpoint, Path.replace, Path.hardlink_to = half, never, unlinked
        os._exit(main(words))
    os.close(end)
    _, status = os.waitpid(child, 0)
    where = os.read(start, 100).decode()
    if os.WIFEXITED(status):
        break
    assert os.WTERMSIG(status) == signal.SIGKILL and where not in killed, (status, where)
    killed.append(where)
print(json.dumps({"code": os.WEXITSTATUS(status), "killed": killed}))
"""
"""Runs one command again and again, each time until it is killed for the first time within some write."""


@pytest.mark.slow
def test_kill_9_within_any_write(tmp_path: Path) -> None:
    path, out = written(tmp_path, PLAIN), tmp_path / "model"
    words = map(str, fit(path, out, **RESUMED))
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "unbroken"), *words], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["code"] == 0
    assert told["killed"][:4] == ["run.json", "half", "without-teacher-0.ckpt", "without-teacher-0.safetensors"]
    assert {*told["killed"][4:]} == FINISHED - {"run.json"}
    assert same_result(out, tmp_path / "unbroken")


def test_a_training_that_was_damaged_afterwards(iem: Iem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, out = written(tmp_path, PLAIN), tmp_path / "model"
    for owner, name, left in (
        (loop, "Trained", "without-teacher-0.ckpt"),
        (steps, "finish", "without-teacher-0.safetensors"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, lambda *_: signal.raise_signal(signal.SIGINT))
            assert iem(*fit(path, out, **RESUMED)).code == 130
        file = out / "trainings" / left
        os.truncate(file, file.stat().st_size // 2)
        said = iem(*fit(path, out, **RESUMED))
        assert said.code == 1
        assert re.search(
            rf"\niem: {file} is damaged \(.*\); delete it, and the same command trains that part again\n$", said.err
        )
        file.unlink()
    assert iem(*fit(path, out, **RESUMED)).code == 0


@pytest.mark.slow
def test_control_c_in_a_terminal_reaches_the_workers_too(tmp_path: Path, teacher_folder: Path) -> None:
    smiles = ["C" * length + end for length in range(1, 11) for end in ("O", "N", "S", "F", "Cl", "Br", "C#N", "OC")]
    parts = ["train"] * 76 + PARTS[-4:]
    path = written(tmp_path, table(("smiles", smiles), ("y", [number / 7 for number in range(80)]), ("part", parts)))
    options = {"teacher": teacher_folder, "jobs": 2, "epochs": 5000, "split": "part", "target": "y"}
    cache = tmp_path / "cache"
    process = subprocess.Popen(
        [sys.executable, "-m", "iem", *map(str, fit(path, tmp_path / "model", **options))],
        env=os.environ | {"IEM_CACHE": str(cache), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        given = time.monotonic() + 300
        while process.poll() is None and not (tmp_path / "model" / "trainings").exists() and time.monotonic() < given:
            time.sleep(0.05)
        kept = sorted(cache.rglob("*.npz"))
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130
    assert said.endswith(STOPPED)
    assert "Traceback" not in said
    assert len(kept) >= 3
    assert sorted(cache.rglob("*.npz")) == kept
