"""The verb ``iem fit``: a table of molecules in, a trained graph model with honest numbers out."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from iem.errors import ConfigError
from iem.workflows.settings import check_jobs, check_positive


@dataclass(frozen=True, kw_only=True)
class FitRecipe:
    """How a student is trained."""

    epochs: int = 100
    patience: int | None = 30
    """Epochs without a better validation score after which training stops."""
    batch_size: int = 32
    lr: float = 1e-3
    dropout: float = 0.2
    ke: float | Literal["auto"] = 0.1
    """λ_KE of eq. 8; ``auto`` is searched on the validation part."""
    te: float | Literal["auto"] = 0.1
    """λ_TE of eq. 8; ``auto`` is searched on the validation part."""
    te_head: Literal["own", "shared"] = "own"
    precision: Literal["auto", "bf16", "float32"] = "auto"
    """Of the student's matrix products while it trains; ``auto`` is bfloat16 where the device has it."""


TRIALS = 12
"""Trainings of a search for the weights of the pictures, at most."""

PRESETS = {
    "default": FitRecipe(),
    "paper": FitRecipe(patience=None, dropout=0.5, te_head="shared", precision="float32"),
}
"""``paper``: section 4.1 (5-layer GIN of width 300, 100 epochs, batch 32, Adam at 0.001, dropout as in Hu et al.)."""


def fit(
    table: Any,  # str, Path or pandas.DataFrame, which is not imported for a signature's sake
    *,
    out: Path,
    smiles: str | None = None,
    target: tuple[str, ...] = (),
    task: Literal["classification", "regression"] | None = None,
    student: Any = "gin",  # str, or a factory in Python
    teacher: str = "default",
    preset: Literal["default", "paper"] = "default",
    split: str = "scaffold",
    seeds: int = 1,
    compare: bool = False,
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    ke: float | Literal["auto"] | None = None,
    te: float | Literal["auto"] | None = None,
    precision: Literal["auto", "bf16", "float32"] | None = None,
    jobs: int = -1,
) -> dict[str, Any]:
    """Train a graph network on a table of molecules, with a teacher that looks at their pictures.

    Molecules of the training part are embedded in 3D, drawn from four sides and shown to a frozen image teacher,
    whose knowledge is distilled into the graph network. The weights with the best validation score are kept, and the
    test part is scored once. Predicting needs neither pictures nor the teacher. Interrupted, the same command goes on
    where it was.

    OUT receives the model, metrics.json, predictions.csv (test part), splits.json, rejected.csv and report.html.

    Args:
        table: CSV, TSV, Parquet (each also .gz), SDF, the name of a benchmark table ("iem datasets" lists them), or -
            for standard input. In Python also a pandas DataFrame.
        out: Folder for the model and the report.
        smiles: Column with the SMILES; found by its content if not given.
        target: Column to predict; repeat the option for several. All numeric columns if not given.
        task: Recognised from the values if not given.
        student: Graph network that learns: gin, gcn, gat or sage, with options behind a colon
            (gin:width=300,layers=5,readout=mean,jumping=last; read-outs: mean, sum, max, attention; jumping knowledge:
            last, sum, max, cat). In Python also a function that makes one of your own.
        teacher: "default" (comes with iem), "none", or a folder that "iem pretrain" wrote.
        preset: "default" is what measured best, "paper" follows the formulas and settings of the paper.
        split: "scaffold" (Hu et al., 8:1:1), "random" (8:1:1), or a column whose values are train, valid and test.
        seeds: Trainings with different seeds: numbers become mean ± s, predictions an ensemble.
        compare: Also train the same student with the same seeds without the teacher: did the pictures help?
        epochs: At most so many passes over the training part [100].
        batch_size: Molecules per step [32].
        lr: Learning rate [0.001].
        ke: Weight of the knowledge enhancer, λ_KE [0.1]; 0 switches it off, "auto" chooses by the validation part
            among 0, 0.001, 0.01, 0.1, 1 and 5, in twelve further trainings at most.
        te: Weight of the task enhancer, λ_TE [0.1]; likewise.
        precision: Of the arithmetic in training [auto: bf16 where the device computes with it; paper: float32].
        jobs: Processes for conformers and pictures; -1 is one per core.
    """
    given = {"epochs": epochs, "batch_size": batch_size, "lr": lr, "ke": ke, "te": te, "precision": precision}
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    numbers = {name: value for name, value in chosen.items() if name != "precision" and value != "auto"}
    for name, value in {"seeds": seeds, **numbers}.items():
        check_positive(f"--{name.replace('_', '-')}", value, zero=name in ("ke", "te"))
    check_jobs(jobs)
    if chosen.get("batch_size") == 1:
        raise ConfigError("--batch-size", 1, "batch normalisation needs at least two molecules per step")
    from iem.workflows.fitting import fit_table

    return fit_table(
        table,
        out=Path(out),
        smiles=smiles,
        targets=(target,) if isinstance(target, str) else tuple(target),
        asked=task,
        student=student,
        teacher=teacher,
        recipe=replace(PRESETS[preset], **chosen),
        preset=preset,
        split=split,
        seeds=seeds,
        compare=compare,
        jobs=jobs,
    )
