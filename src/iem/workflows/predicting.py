"""Tables of any length through a model, in constant memory."""

import gzip
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO

import pandas as pd
from joblib import cpu_count
from joblib.externals.loky import get_reusable_executor

from iem.data.tables import Chunk, stream_smiles
from iem.errors import OutputError, TableError
from iem.files import whole
from iem.workflows.console import progress, say
from iem.workflows.model import Model, make_graphs

CHUNK = 2_000
SUFFIXES = (".csv", ".tsv", ".txt", ".smi", ".parquet", ".sdf", ".sd", ".gz")


def predict_tables(
    folder: Path, inputs: Sequence[str], *, out: Path | None, smiles: str | None, batch_size: int, jobs: int
) -> None:
    """See ``iem.workflows.predict``."""
    model = Model(folder)
    rows = failed = 0
    header: list[str] | None = None
    with progress() as bars, open_output(out) as file:
        bar = bars.add_task("predicting", total=None)
        for chunk, graphs in featurized(model, chunks_of(inputs, smiles), jobs):
            predicted = model.infer(graphs, batch_size)
            frame = chunk.columns.reset_index(drop=True)
            if "smiles" not in frame.columns:
                frame.insert(0, "smiles", chunk.smiles)
            frame = frame.assign(**model.columns(predicted, chunk.columns.columns))
            if header is None:
                header = list(frame.columns)
            frame.reindex(columns=header).to_csv(file, index=False, header=rows == 0, float_format="%.6g")
            rows += len(frame)
            failed += sum(bool(error) for error in predicted.errors)
            bars.advance(bar, len(frame))
    say(f"{rows:,} rows predicted" + (f", {failed:,} of them without a result (column error)" if failed else ""))


def chunks_of(inputs: Sequence[str], smiles: str | None) -> Iterator[Chunk]:
    """Rows of all inputs, in order; SMILES of the command line are a table of their own.

    Raises:
        TableError: an input is neither a file nor, by its look, a SMILES.
    """
    typed: list[str] = []
    for name in inputs:
        if name == "-" or Path(name).exists():
            yield from as_chunk(typed)
            typed = []
            yield from stream_smiles(name, smiles, chunk=CHUNK)
        elif name.lower().endswith(SUFFIXES):
            raise TableError(f"there is no file {name}; check the path")
        else:
            typed.append(name)
    yield from as_chunk(typed)


def as_chunk(texts: Sequence[str]) -> Iterator[Chunk]:
    """SMILES as one chunk of a table without other columns; nothing for none."""
    if texts:
        yield Chunk(list(texts), pd.DataFrame(index=range(len(texts))), {})


def featurized(model: Model, chunks: Iterator[Chunk], jobs: int) -> Iterator[tuple[Chunk, list[Any]]]:
    """Chunks with the graphs of their molecules, made by worker processes while the networks are busy.

    At most two chunks per process wait, so memory does not grow with the table.
    """
    student = model.predictors[0].student
    workers = cpu_count() if jobs < 0 else jobs
    begin = list(islice(chunks, 2))
    if len(begin) < 2 or workers < 2:
        for chunk in chain(begin, chunks):
            yield chunk, make_graphs(student.featurize, chunk.smiles, chunk.problems)
        return
    executor = get_reusable_executor(max_workers=workers)
    waiting: deque[tuple[Chunk, Future]] = deque()
    for chunk in chain(begin, chunks):
        waiting.append((chunk, executor.submit(make_graphs, student.featurize, chunk.smiles, chunk.problems)))
        if len(waiting) > 2 * workers:
            done, future = waiting.popleft()
            yield done, future.result()
    while waiting:
        done, future = waiting.popleft()
        yield done, future.result()


@contextmanager
def open_output(out: Path | None) -> Iterator[TextIO]:
    """A text file that appears whole when the block ends; standard output for None.

    Raises:
        OutputError: it cannot be written; nothing is left behind.
    """
    if out is None:
        yield sys.stdout
        return
    if out.is_dir():
        raise OutputError(f"--out {out} is a folder; name a file")
    with whole(out) as partial:
        opened = gzip.open if out.suffix == ".gz" else open
        with opened(partial, "wt", encoding="utf-8", newline="") as file:
            yield file
