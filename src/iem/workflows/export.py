"""The verb ``iem export``: a model as another program's."""

from pathlib import Path
from typing import Literal


def export(model: Path, *, to: Literal["chemprop"], out: Path, force: bool = False) -> list[Path]:
    """Write a model as a checkpoint that another program predicts with.

    A model of the student chemprop becomes a checkpoint of chemprop 2: "chemprop predict --model-paths OUT" gives the
    predictions of "iem predict", or those of its networks alone where trees join in. Of several seeds
    each has a file of its own, OUT with the number of the seed before its ending; name all of them and chemprop, too,
    predicts the mean.

    Args:
        model: Folder that "iem fit --student chemprop" wrote.
        to: The other program.
        out: Checkpoint to write; its name ends in .pt.
        force: Overwrite files that exist.

    Returns:
        The files written, one for each seed.
    """
    from iem.workflows.inference.exporting import export_model

    return export_model(Path(model), to=to, out=Path(out), force=force)
