"""The verb ``iem teacher evaluate``: how much a teacher knows, beside what costs nothing."""

from pathlib import Path
from typing import Any

from iem.errors import ConfigError


def evaluate(
    name: str = "default",
    *,
    corpus: Path | None = None,
    table: tuple[str, ...] = (),
    molecules: int = 1000,
    out: Path | None = None,
    jobs: int = -1,
) -> dict[str, Any]:
    """Measure a teacher on molecules that it never saw: priors, retrieval, and linear probes on tables.

    With a corpus: the error of its prior heads in the priors' own units, beside the best constant guess, and how
    often the 3D views of a molecule are found among those of all others from its 2D depiction. If it is the corpus that
    the teacher was trained on, only its held-out part is used.

    With tables: the answers of the prior heads about their molecules, where the truth needs no coordinates; and a
    linear model on the frozen features under the scaffold split, its strength chosen on the validation part; the
    same on the features of an untrained network of the same shape, on the eight descriptors of the property prior,
    and on ECFP4 counts. This is what the teacher can pass on to a student.

    Args:
        name: "default" (comes with iem) or a folder that "iem pretrain" wrote.
        corpus: Folder that "iem prepare" wrote.
        table: Table to probe, by name or path; repeat for several.
        molecules: At most so many molecules of the corpus.
        out: JSON file for the figures.
        jobs: Processes for conformers and pictures of tables; -1 is one per core.
    """
    if corpus is None and not table:
        raise ConfigError("--corpus", None, "name a --corpus, a --table or both")
    if molecules < 10:
        raise ConfigError("--molecules", molecules, "it takes ten molecules or more to measure anything")
    from iem.workflows.pretraining.evaluating import evaluate_teacher

    return evaluate_teacher(name, corpus=corpus, tables=table, molecules=molecules, out=out, jobs=jobs)
