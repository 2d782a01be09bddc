"""``iem predict``: a row out for every row in, in order, whatever comes in, by graphs alone and in constant memory."""

import csv
import errno
import gzip
import io
import itertools
import os
import pickle
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datamol
import numpy as np
import pandas as pd
import pytest

import iem
from iem.chem.molecules import parse
from iem.cli import main
from iem.data.tables import Chunk
from iem.errors import MoleculeError
from iem.workflows.inference import predicting
from iem.workflows.inference.graphs import make_inputs
from iem.workflows.inference.model import Model

MOLECULES = ["CO", "CCO", "CCCO", "CC(C)O", "c1ccccc1O", "CC(=O)C", "CC", "CCCC", "c1ccccc1", "C1CCCCC1", "CN", "CCN"]
BOILING = [338, 351, 370, 356, 455, 329, 185, 273, 353, 354, 267, 290]
"""Points, in kelvin."""
FLAMMABLE = [int("N" not in smiles) for smiles in MOLECULES]
FEW = ["CCO", "C1CC", "OCC(O)CO", "CCCl"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two small models: ``boiling point [K]`` with two seeds, and ``flammable`` with one."""
    folder = tmp_path_factory.mktemp("models")
    table = folder / "table.csv"
    frame = pd.DataFrame({"smiles": MOLECULES, "boiling point [K]": BOILING, "flammable": FLAMMABLE})
    frame.to_csv(table, index=False)
    models = {}
    for target, seeds in (("boiling point [K]", 2), ("flammable", 1)):
        models[target] = folder / target
        words = ["fit", table, "--out", models[target], "--target", target, "--seeds", seeds]
        words += [
            "--teacher",
            "none",
            "--trees",
            "beside",
            "--split",
            "random",
            "--epochs",
            2,
            "--batch-size",
            4,
            "--jobs",
            1,
        ]
        assert main([str(word) for word in words]) == 0
    return models


@pytest.fixture(scope="module")
def boiling(models: dict[str, Path]) -> Path:
    return models["boiling point [K]"]


Predict = Callable[..., pd.DataFrame]


@pytest.fixture
def predict(capsys: pytest.CaptureFixture[str]) -> Predict:
    """Run ``iem predict`` in this process; its standard output must be a table and nothing else. All cells are text."""

    def run(*words: object) -> pd.DataFrame:
        capsys.readouterr()
        assert main(["predict", *map(str, words), "--jobs", "1"]) == 0
        said = capsys.readouterr()
        assert re.search(r"(^|\n)[\d,]+ rows? read; [\d,]+ without a prediction", said.err)
        return read(said.out)

    return run


def read(text: str) -> pd.DataFrame:
    header, *rows = csv.reader(io.StringIO(text))
    return pd.DataFrame(rows, columns=header, dtype=object)


def type_in(monkeypatch: pytest.MonkeyPatch, content: bytes | io.RawIOBase) -> None:
    """Put something on standard input."""
    raw = io.BytesIO(content) if isinstance(content, bytes) else content
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(raw)))


# Rows


def test_mixed_inputs_come_out_in_order_one_row_for_each(
    predict: Predict, boiling: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, packed = tmp_path / "a.csv", tmp_path / "b.smi.gz"
    table.write_text("SMILES;note\nCN;first\nC1CC;second\n\n;third\n")
    packed.write_bytes(gzip.compress(b"CC\nc1ccccc1\n"))
    type_in(monkeypatch, gzip.compress(b"y\tsmiles\n5\tCCCC\n6\tCCCCC\n"))
    told = predict(boiling, "CCO", table, "OCC(O)CO", "CCCl", packed, "-", "[Na+].[Cl-]")
    assert told["smiles"].tolist() == [
        *("CCO", "CN", "C1CC", "", "OCC(O)CO", "CCCl", "CC", "c1ccccc1", "CCCC", "CCCCC", "[Na+].[Cl-]")
    ]
    assert told["error"].tolist() == ["", "", "unclosed ring", "it is empty", *[""] * 7]
    assert (told["boiling point [K]"] == "").tolist() == [bool(error) for error in told["error"]]
    alone = predict(boiling, "CN")
    assert told.loc[1, alone.columns].tolist() == alone.loc[0].tolist()


def test_a_benchmark_table_goes_by_its_name(predict: Predict, boiling: Path) -> None:
    told = predict(boiling, "CCO", "freesolv")
    assert len(told) == 643
    assert (told["error"] == "").all()


def test_standard_input_is_read_when_nothing_is_named(
    predict: Predict, boiling: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    type_in(monkeypatch, b"smiles\nCCO\nCO\n")
    assert predict(boiling)["smiles"].tolist() == ["CCO", "CO"]


@pytest.mark.parametrize("form", ["csv", "parquet", "sdf"])
def test_rows_keep_their_columns_as_they_were(predict: Predict, boiling: Path, tmp_path: Path, form: str) -> None:
    path = tmp_path / f"table.{form}"
    if form == "sdf":
        block = datamol.to_molblock(datamol.to_mol("CCO"))
        path.write_text(f"{block}>  <IC50 (µM)>\n0.10\n\n$$$$\nrubbish\n$$$$\n{block}>  <IC50 (µM)>\n1e-3\n\n$$$$\n")
        told = predict(boiling, path)
        assert told["smiles"].tolist() == ["CCO", "", "CCO"]
        assert told["IC50 (µM)"].tolist() == ["0.10", "", "1e-3"]
        assert "mol block" in told["error"][1]
        return
    columns = {"IC50 (µM)": ["0.10", "", "1e-3"], "SMILES, as drawn": FEW[:3], "id": ["007", "NA", "1234567.25"]}
    if form == "csv":
        pd.DataFrame(columns).to_csv(path, index=False)
    else:
        columns["id"] = [7.0, 8.5, 1234567.25]
        pd.DataFrame(columns).to_parquet(path)
    told = predict(boiling, path)
    assert told.columns.tolist() == [*columns, "boiling point [K]", "boiling point [K] std", "error"]
    for name, cells in columns.items():
        assert told[name].tolist() == [str(cell) for cell in cells]


def test_a_column_that_is_there_already_is_not_written_over(predict: Predict, boiling: Path, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("boiling point [K],smiles,error,boiling point [K] std\n351,CCO,± 2,0.5\n338,CO,± 1,0.4\n")
    told = predict(boiling, path)
    assert told.iloc[:, :4].to_numpy().tolist() == [["351", "CCO", "± 2", "0.5"], ["338", "CO", "± 1", "0.4"]]
    fresh = ["boiling point [K] predicted", "boiling point [K] predicted std", "error of prediction"]
    assert told.columns.tolist()[4:] == fresh
    path.write_text(told.to_csv(index=False))
    again = predict(boiling, path)
    assert again.columns[: told.shape[1]].tolist() == told.columns.tolist()
    assert again.shape[1] == told.shape[1] + 3
    assert again.iloc[:, -3].tolist() == told.iloc[:, -3].tolist()


def test_labels_of_a_later_table_are_not_taken_for_predictions(
    capsys: pytest.CaptureFixture[str], boiling: Path, tmp_path: Path
) -> None:
    path = tmp_path / "table.csv"
    path.write_text("molecule,boiling point [K],error\nCCO,99999,none\n")
    assert main(["predict", str(boiling), "CO", str(path), "CN", "--jobs", "1"]) == 0
    said = capsys.readouterr()
    told = read(said.out)
    assert told["smiles"].tolist() == ["CO", "CCO", "CN"]
    assert told["error"].tolist() == ["", "", ""]
    assert float(told["boiling point [K]"][1]) < 1000
    assert "left out of the others: boiling point [K], error\n" in said.err


def test_words_that_only_a_shell_can_make(predict: Predict, boiling: Path) -> None:
    told = predict(boiling, "C\udcffC", "N" + "CC(=O)N" * 75, "  CCO ")
    assert told["error"].tolist() == ["syntax error around position 2", "", ""]
    with pytest.raises(MoleculeError, match="it has characters that are no text"):
        parse("C\udcffC")


# Numbers


def test_probabilities_are_probabilities_and_one_seed_has_no_spread(predict: Predict, models: dict[str, Path]) -> None:
    told = predict(models["flammable"], *MOLECULES, *FEW)
    assert told.columns.tolist() == ["smiles", "flammable", "error"]
    numbers = told.loc[told["error"] == "", "flammable"].astype(float)
    assert numbers.between(0, 1).all()
    assert numbers.nunique() > 5


def test_values_are_in_the_unit_of_the_labels_with_their_spread_over_the_seeds(predict: Predict, boiling: Path) -> None:
    told = predict(boiling, *FEW)
    model = Model(boiling)
    assert told.iloc[1].tolist() == ["C1CC", "", "", "unclosed ring"]
    for place in (0, 2, 3):
        outputs = []
        for predictor in model.predictors:
            batch = predictor.student.collate([predictor.student.featurize(parse(FEW[place]))])
            logit = predictor(batch)[1].detach()
            assert predictor.mean.item() == pytest.approx(np.mean(BOILING), rel=0.1)
            outputs.append((logit * predictor.std + predictor.mean).item())
        mean, std = told.iloc[place, 1:3].astype(float)
        assert mean == pytest.approx(np.mean(outputs), rel=1e-4)
        assert std == pytest.approx(abs(outputs[0] - outputs[1]) / np.sqrt(2), rel=1e-2)
        assert 200 < mean < 450


def test_python_gives_the_same_numbers(predict: Predict, boiling: Path) -> None:
    told, found = predict(boiling, *FEW), iem.load(boiling).predict(FEW)
    assert told.columns.tolist() == found.columns.tolist()
    for name in found.columns[1:3]:
        assert told[name].tolist() == ["" if np.isnan(value) else f"{value:.6g}" for value in found[name]]
    assert iem.load(boiling).predict("CCO").shape == (1, 4)


def test_half_precision_is_asked_for(predict: Predict, boiling: Path) -> None:
    exact, quick = predict(boiling, *FEW), predict(boiling, *FEW, "--precision", "bf16")
    name, place = exact.columns[1], [value != "" for value in exact[exact.columns[1]]]
    assert exact[name].tolist() != quick[name].tolist()
    np.testing.assert_allclose(exact[name][place].astype(float), quick[name][place].astype(float), rtol=0.02)
    python = iem.load(boiling, precision="bf16").predict(FEW)[name]
    assert quick[name].tolist() == ["" if np.isnan(value) else f"{value:.6g}" for value in python]


# Streams


@pytest.fixture
def many(tmp_path: Path) -> Path:
    path = tmp_path / "many.csv"
    smiles = itertools.islice(itertools.cycle([*MOLECULES, "oops"]), 101)
    pd.DataFrame({"n": range(101), "smiles": list(smiles)}).to_csv(path, index=False)
    return path


def test_any_number_of_processes_writes_the_same_bytes(
    boiling: Path, many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predicting, "CHUNK", 20)
    for jobs in ("1", "2"):
        out = tmp_path / f"{jobs}.csv"
        assert main(["predict", str(boiling), str(many), "--out", str(out), "--jobs", jobs]) == 0
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()
    assert read((tmp_path / "1.csv").read_text())["n"].tolist() == [str(number) for number in range(101)]


@pytest.mark.parametrize(("jobs", "most"), [(1, 1), (2, 8)])
def test_few_chunks_wait_at_a_time(boiling: Path, jobs: int, most: int) -> None:
    made = 0

    def chunks() -> Iterator[Chunk]:
        nonlocal made
        for made in range(1, 31):
            yield from predicting.as_chunk([MOLECULES[made % 12]])

    for taken, (chunk, (graphs, _)) in enumerate(predicting.featurized(Model(boiling), chunks(), jobs), start=1):
        assert chunk.smiles == [MOLECULES[taken % 12]]
        assert len(graphs[0].atoms) == datamol.to_mol(chunk.smiles[0]).GetNumAtoms()
        assert made - taken < most
    assert taken == 30


class Endless(io.RawIOBase):
    """A table that never ends."""

    taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        row = b"CCO,1\n" if self.taken else b"smiles,x\n"
        self.taken += len(row)
        buffer[: len(row)] = row
        return len(row)


def test_an_endless_table_is_predicted_as_it_comes(boiling: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    endless = Endless()
    type_in(monkeypatch, endless)
    monkeypatch.setattr(predicting, "CHUNK", 50)
    some = itertools.islice(predicting.featurized(Model(boiling), predicting.chunks_of(["-"], None), 1), 20)
    assert sum(len(made.graphs) for _, made in some) == 1000
    assert endless.taken < 3 * 1000 * len(b"CCO,1\n")


# Files


def test_a_packed_file(boiling: Path, many: Path, tmp_path: Path) -> None:
    assert main(["predict", str(boiling), str(many), "--out", str(tmp_path / "x.csv.gz"), "--jobs", "1"]) == 0
    assert len(read(gzip.decompress((tmp_path / "x.csv.gz").read_bytes()).decode())) == 101


def test_a_table_may_be_replaced_by_its_predictions(boiling: Path, many: Path) -> None:
    assert main(["predict", str(boiling), str(many), "--out", str(many), "--jobs", "1"]) == 0
    assert read(many.read_text()).shape == (101, 5)


def test_links_and_devices_stay_what_they_are(boiling: Path, tmp_path: Path) -> None:
    link, file = tmp_path / "link.csv", tmp_path / "file.csv"
    link.symlink_to(file)
    assert main(["predict", str(boiling), "CCO", "--out", str(link)]) == 0
    assert link.is_symlink()
    assert len(read(file.read_text())) == 1
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE, text=True)
    assert main(["predict", str(boiling), "CCO", "--out", str(pipe)]) == 0
    assert reader.communicate(timeout=30)[0] == file.read_text()
    assert pipe.is_fifo()


def test_a_table_that_turns_bad_leaves_no_file(
    boiling: Path, many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(predicting, "CHUNK", 20)
    many.write_text(many.read_text() + "1,C,2\n")
    before = sorted(tmp_path.iterdir())
    assert main(["predict", str(boiling), str(many), "--out", str(tmp_path / "x.csv"), "--jobs", "1"]) == 1
    said = capsys.readouterr().err
    assert re.search(r"iem: row 101 of .*many\.csv has 3 cells, the header 2; put quotes .*\n$", said)
    assert sorted(tmp_path.iterdir()) == before


def test_a_prediction_that_is_interrupted_leaves_the_old_file(
    boiling: Path, many: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = many.with_name("x.csv")
    out.write_text("from yesterday")
    monkeypatch.setattr(predicting, "CHUNK", 20)
    calls = itertools.count()
    infer = Model.infer

    def press(self: Model, *words: Any) -> Any:
        if next(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return infer(self, *words)

    monkeypatch.setattr(Model, "infer", press)
    assert main(["predict", str(boiling), str(many), "--out", str(out), "--jobs", "1"]) == 130
    assert capsys.readouterr().err.startswith("iem: interrupted; ")
    assert out.read_text() == "from yesterday"
    assert sorted(path.name for path in many.parent.iterdir()) == ["many.csv", "x.csv"]


def test_a_prediction_that_is_killed_leaves_the_old_file(boiling: Path, many: Path) -> None:
    out = many.with_name("x.csv")
    out.write_text("from yesterday")
    script = """
import os, signal, sys
from iem.cli import main
from iem.workflows.inference import predicting
from iem.workflows.inference.model import Model

predicting.CHUNK, infer, calls = 20, Model.infer, []


def die(*words):
    calls.append(1)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return infer(*words)


Model.infer = die
sys.exit(main(sys.argv[1:]))
"""
    words = [sys.executable, "-c", script, "predict", boiling, many, "--out", out, "--jobs", "1"]
    assert subprocess.run(words, capture_output=True).returncode == -signal.SIGKILL
    assert out.read_text() == "from yesterday"
    assert {path.name for path in many.parent.glob("[!.]*")} == {"many.csv", "x.csv"}


class Full(io.StringIO):
    """Standard output on a full disk."""

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_standard_output(
    boiling: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", Full())
    assert main(["predict", str(boiling), "CCO"]) == 1
    message = "iem: cannot write to standard output: No space left on device; name a file with --out\n"
    assert capsys.readouterr().err == message


# Modules and processes


def test_no_picture_no_conformer_no_teacher(boiling: Path, many: Path) -> None:
    runs = [["predict", str(boiling), source, "--jobs", "1"] for source in ("CCO", str(many))]
    code = (
        f"import sys; from iem.cli import main; codes = [main(words) for words in {runs}]\n"
        "sys.stderr.write(' '.join(['', *sys.modules])); sys.exit(any(codes))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stderr.splitlines()[-1].split()
    assert "iem.workflows.inference.model" in loaded
    unwanted = re.compile(r"(iem\.(render|nn|losses|chem\.conformers|report\.figures)|timm|lightning|matplotlib)(\.|$)")
    assert [name for name in loaded if unwanted.match(name)] == []


def test_workers_load_no_network(boiling: Path) -> None:
    sent = pickle.dumps((make_inputs, Model(boiling).predictors[0].student.featurize))
    assert len(sent) < 200, "the weights do not travel with every chunk"
    code = f"import pickle, sys; pickle.loads({sent!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "rdkit" in loaded
    assert not {"torch", "pandas", "lightning", "sklearn"} & loaded


def test_a_reader_that_has_seen_enough(boiling: Path, many: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    words = [sys.executable, "-m", "iem", "predict", boiling, many, "--jobs", "1"]
    done = subprocess.run(words, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")
