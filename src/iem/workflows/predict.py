"""The verb ``iem predict``: molecules in, properties out, by graphs alone."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from iem.workflows.settings import check_jobs, check_positive

if TYPE_CHECKING:
    from collections.abc import Callable

    from iem.students.base import Student
    from iem.workflows.inference.model import Model


def predict(
    model: Path,
    *inputs: str,
    out: Path | None = None,
    smiles: str | None = None,
    batch_size: int = 1000,
    precision: Literal["float32", "bf16"] = "float32",
    jobs: int = -1,
) -> None:
    """Predict the properties of molecules with a model that "iem fit" made.

    Needs the graph alone: no conformer, no picture, no teacher. One line comes out for every row that goes in, in
    order: its columns, the prediction for each target (a probability, or a value in the original unit), with several
    seeds also their spread, and why there is no prediction where there is none.

    Args:
        model: Folder that "iem fit" wrote.
        inputs: Tables (CSV, TSV, Parquet, SDF, .smi; each also .gz), names of benchmark tables, SMILES, or - for
            standard input, which is also read when nothing is named. A name that is a file is taken for a table. The
            result has the columns of the first input.
        out: CSV to write, gzip-compressed if it ends in .gz; standard output if not given.
        smiles: Column with the SMILES; found by its content if not given.
        batch_size: Molecules per step.
        precision: Of the graph network. "bf16" screens large libraries faster on processors that multiply in bfloat16;
            predictions then differ in the third digit.
        jobs: Processes that make graphs; -1 is one per core.
    """
    check_positive("--batch-size", batch_size, whole=True)
    check_jobs(jobs)
    from iem.workflows.inference.predicting import predict_tables

    predict_tables(
        Path(model),
        inputs or ("-",),
        out=Path(out) if out else None,
        smiles=smiles,
        batch_size=batch_size,
        bf16=precision == "bf16",
        jobs=jobs,
    )


def load(
    folder: str | Path,
    *,
    student: "Callable[..., Student] | None" = None,
    precision: Literal["float32", "bf16"] = "float32",
) -> "Model":
    """A model from its folder: ``iem.load("model").predict(["CCO"])``.

    Args:
        folder: that "iem fit" wrote.
        student: the factory of the student, where it was trained with one of your own.
        precision: of the graph network; ``bf16`` is faster on processors that multiply in bfloat16, and less exact.

    Raises:
        ArtifactError: missing, damaged, or of another program, kind or version.
    """
    from iem.workflows.inference.model import Model

    return Model(Path(folder), student, bf16=precision == "bf16")
