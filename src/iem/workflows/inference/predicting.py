"""Tables of any length through a model, in constant memory."""

import gzip
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO

import pandas as pd
from joblib import effective_n_jobs

from iem.data.moleculenet import DATASETS
from iem.data.tables import Chunk, stream_smiles
from iem.errors import OutputError, TableError
from iem.files import whole
from iem.report.text import plural
from iem.workflows.inference.graphs import Inputs, make_inputs
from iem.workflows.inference.model import Model
from iem.workflows.running.console import progress, say
from iem.workflows.running.engines import in_order, open_engine

CHUNK = 2_000
TABLES = (".csv", ".tsv", ".txt", ".smi", ".parquet", ".sdf", ".sd", ".gz")
WRITTEN = (".csv", ".txt", ".gz", "")


def predict_tables(
    folder: Path,
    inputs: Sequence[str],
    *,
    out: Path | None,
    smiles: str | None,
    batch_size: int,
    bf16: bool,
    jobs: int,
) -> None:
    """See ``iem.workflows.predict``."""
    model = Model(folder, bf16=bf16)
    rows = failed = 0
    columns: list[str] = []
    molecules = ""
    lost: set[str] = set()
    with progress() as bars, open_output(out) as file:
        bar = bars.add_task("predicting", total=None)
        for chunk, made in featurized(model, chunks_of(inputs, smiles), jobs):
            predicted = model.infer(made, batch_size)
            if not rows:
                columns, molecules = list(chunk.columns.columns), chunk.molecules
            lost |= set(chunk.columns.columns) - {*columns, chunk.molecules}
            frame = chunk.columns.reindex(columns=columns, fill_value="")
            if chunk.molecules != molecules:
                frame[molecules] = chunk.smiles
            written = {name: _written(values) for name, values in model.columns(predicted, columns).items()}
            pd.concat([frame, pd.DataFrame(written)], axis=1).to_csv(file, index=False, header=not rows)
            rows += len(frame)
            failed += sum(map(bool, predicted.errors))
            bars.advance(bar, len(frame))
    if lost:
        say(f"the result has the columns of the first input; left out of the others: {', '.join(sorted(lost))}")
    say(f"{plural(rows, 'row')} read; {failed:,} without a prediction" + " (why: last column)" * bool(failed))


def _written(values: Any) -> list[str]:
    """Predictions to six digits, blank where there is none; reasons as they are."""
    return [value if isinstance(value, str) else "" if value != value else f"{value:.6g}" for value in values]


def chunks_of(inputs: Sequence[str], smiles: str | None) -> Iterator[Chunk]:
    """Rows of all inputs, in order; SMILES of the command line are a table of their own.

    Raises:
        TableError: an input is neither a file nor, by its look, a SMILES.
    """
    typed: list[str] = []
    for name in inputs:
        if name in DATASETS or name == "-" or os.path.exists(name):  # which takes names of any length
            yield from as_chunk(typed)
            typed = []
            yield from stream_smiles(name, smiles, chunk=CHUNK)
        elif name.lower().endswith(TABLES):
            raise TableError(f"there is no file {name}; check the path")
        else:
            typed.append(name.encode(errors="replace").decode())  # a shell passes on what is no text
    yield from as_chunk(typed)


def as_chunk(texts: Sequence[str]) -> Iterator[Chunk]:
    """SMILES as one chunk of a table without other columns; nothing for none."""
    if texts:
        yield Chunk(list(texts), pd.DataFrame({"smiles": texts}, dtype=object), {}, "smiles")


def featurized(model: Model, chunks: Iterator[Chunk], jobs: int) -> Iterator[tuple[Chunk, Inputs]]:
    """Chunks with what the model takes of their molecules, made by worker processes while the networks are busy.

    Few chunks per process are under way at a time, so memory does not grow with the table.
    """
    featurize = model.predictors[0].student.featurize
    begin = list(islice(chunks, effective_n_jobs(jobs)))  # no more processes than chunks
    with open_engine("cores", jobs=max(len(begin), 1), address=None) as engine:
        yield from in_order(
            engine,
            make_inputs,
            chain(begin, chunks),
            lambda chunk: (featurize, model.trees, chunk.smiles, chunk.problems),
        )


@contextmanager
def open_output(out: Path | None) -> Iterator[TextIO]:
    """A text file that appears whole when the block ends; standard output for None.

    Raises:
        OutputError: it cannot be written; nothing is left behind.
    """
    if out is None:
        if sys.stdout is None:
            raise OutputError("standard output is closed; name a file with --out")
        try:
            yield sys.stdout
            sys.stdout.flush()
        except BrokenPipeError:  # the reader has seen enough
            raise
        except OSError as error:
            raise OutputError(f"cannot write to standard output: {error.strerror}; name a file with --out") from error
        return
    if out.is_dir():
        raise OutputError(f"--out {out} is a folder; name a file")
    if out.suffix.lower() not in WRITTEN:
        raise OutputError(f"--out {out} does not end in .csv or .csv.gz, and iem predict writes CSV; name it so")
    with whole(out) as partial:
        opened = gzip.open if out.suffix == ".gz" else open
        with opened(partial, "wt", encoding="utf-8", newline="") as file:
            yield file
