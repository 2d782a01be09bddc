"""The verb ``iem fit``: a table of molecules in, a trained graph model with honest numbers out."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

from iem.errors import ConfigError
from iem.workflows.distillation.recipe import (
    PICTURELESS,
    PRESETS,
    STUDENTS,
    ClassWeights,
    Guidance,
    Joining,
    Norms,
    Scale,
    Schedule,
    Space,
    View,
)
from iem.workflows.settings import check_choice, check_jobs, check_positive

MAY_BE_ZERO = ("hidden", "ke", "te", "ramp", "average", "patience")
WHOLE = ("seeds", "epochs", "patience", "batch_size", "hidden")
"""Which of the settings that are numbers may be 0, and which have no fraction."""

CHOICES = {
    "ke_scale": get_args(Scale),
    "space": get_args(Space),
    "class_weights": get_args(ClassWeights),
    "schedule": get_args(Schedule),
    "norms": get_args(Norms),
    "precision": ("auto", "bf16", "float32"),
}
"""Of the settings that are words."""


def fit(
    table: Any,  # str, Path or pandas.DataFrame, which is not imported for a signature's sake
    *,
    out: Path,
    smiles: str | None = None,
    target: tuple[str, ...] = (),
    task: Literal["classification", "regression"] | None = None,
    student: Any = None,  # str, or a factory in Python
    start: str | None = None,
    teacher: str = "default",
    teacher_view: View | None = None,
    image_fraction: float = 1.0,
    unlabelled: Any = None,  # str, Path or pandas.DataFrame
    transductive: bool = False,
    preset: Literal["default", "paper"] = "default",
    split: str = "scaffold",
    seeds: int = 1,
    compare: bool | None = None,
    trees: Joining | None = None,
    epochs: int | None = None,
    patience: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    hidden: int | None = None,
    norms: Norms | None = None,
    ke: float | Literal["auto"] | None = None,
    te: float | Literal["auto"] | None = None,
    space: Space | None = None,
    ke_scale: Scale | None = None,
    ramp: float | None = None,
    class_weights: ClassWeights | None = None,
    average: float | None = None,
    schedule: Schedule | None = None,
    precision: Literal["auto", "bf16", "float32"] | None = None,
    jobs: int = -1,
) -> dict[str, Any]:
    """Train a graph network on a table of molecules, with a teacher that looks at their pictures.

    Molecules of the training part are drawn and shown to a frozen image teacher, whose knowledge is distilled into
    the graph network. The weights with the best validation score are kept, and the test part is scored once. Predicting
    needs neither pictures nor the teacher. Interrupted, the same command goes on where it was.

    OUT receives the model, metrics.json, predictions.csv (test part), splits.json, rejected.csv and report.html.

    Args:
        table: CSV, TSV, Parquet (each also .gz), SDF, the name of a benchmark table ("iem datasets" lists them), or -
            for standard input. In Python also a pandas DataFrame.
        out: Folder for the model and the report.
        smiles: Column with the SMILES; found by its content if not given.
        target: Column to predict; repeat the option for several. All numeric columns if not given.
        task: Recognised from the values if not given.
        student: Graph network that learns: gin, gcn, gat or sage, with options behind a colon
            (gin:width=300,layers=5,readout=mean,jumping=last; read-outs: mean, sum, norm, which is the sum over 100,
            max, attention, and several of them joined by +; jumping knowledge: last, sum, max, cat); chemprop, where
            that is installed. In Python also a function that makes one of your own [gin:readout=mean+norm; paper: gin].
        start: Where the student begins: "default" (what it learned from many molecules without labels, which comes with
            iem for the students named above, in any read-out but attention), "none" (fresh weights), or a folder that
            "iem teach" wrote [default, where there is one; paper: none].
        teacher: "default" (comes with iem), a folder that "iem pretrain" wrote, "none", or "priors": no picture at all,
            but the prior questions as further tasks of weight --ke, answered from the molecule itself.
        teacher_view: What the teacher sees (Table 4): the "2d" depiction, "3d" views of a conformer, or the "flat"
            layout in ball-and-stick style [2d, if the teacher has an encoder for it, or else 3d; paper: 3d].
        image_fraction: Share of the molecules to learn from that have pictures, above 0 to 1, drawn by seed (Table 5).
        unlabelled: Table or list of molecules without labels that learn along from their pictures, one for each
            labelled one in a step; those of the validation and test part are left out.
        transductive: Keep those molecules of --unlabelled; the test score is then one for molecules whose pictures
            were seen.
        preset: "default" is what measured best, "paper" follows the formulas and settings of the paper.
        split: "scaffold" (Hu et al., 8:1:1), "random" (8:1:1), or a column whose values are train, valid and test.
        seeds: Trainings with different seeds: numbers become mean ± s, predictions an ensemble.
        compare: Train the same student with the same seeds without the teacher, too: did the pictures help? The one of
            the two that is better on the validation part is the model [yes, where something teaches; paper: no].
        trees: Gradient boosting on fingerprints and descriptors, trained in seconds with the same molecules: "auto"
            lets the model predict the mean of network and trees, unless that is clearly behind the network on the
            validation part; "beside" only tells how they do, the number to beat; "none" trains no trees [auto; paper:
            beside]. Left out beyond 100,000 molecules or 300,000 labels.
        epochs: At most so many passes over the training part [100].
        patience: Epochs without a better validation score after which training stops; 0 is never [30; paper: 0].
        batch_size: Molecules per step [32].
        lr: Learning rate [0.001; 0.0003 for a student that has learned before].
        hidden: Width of the hidden layer between the student's features and its predictions; 0 for none, as in the
            paper [300; paper: 0].
        norms: What the student's batch normalisations go by: "batch", the molecules of each step, with dropout; or
            "kept", the statistics it begins with, without dropout [kept if it has learned before; else batch].
        ke: Weight of the knowledge enhancer, λ_KE [0.1]; 0 switches it off, "auto" chooses by the validation part
            among 0, 0.001, 0.01, 0.1, 1 and 5, in twelve further trainings at most.
        te: Weight of the task enhancer, λ_TE [0.1]; likewise. One of the two at 0 leaves the other alone (Table 6).
        space: Where student and teacher meet: at square "roots" of the teacher's features in standard units, where a
            student with a head start begins at the best linear guess; or at its features "raw", as in the paper
            [roots with a head start, otherwise raw].
        ke_scale: "unit" divides the knowledge enhancer's distance of each prior by the mean absolute deviation of the
            teacher's answers, so that all priors count alike ["none", as eq. 5].
        ramp: Epochs over which both weights grow from 0 [0].
        class_weights: "balanced" weighs the positives of each target by negatives/positives of the training part;
            predictions are then chances in a table with as many of both ["none"].
        average: Training steps over which weights are averaged, as an exponential moving average: what is validated,
            kept and predicts has less of the last batches' noise; 0 keeps the weights as they are [10; paper: 0].
        schedule: Of the learning rate: "constant", "one-cycle" or "cosine"; the latter two end with the last of
            --epochs [constant].
        precision: Of the arithmetic in training [auto: bf16 where the device computes with it; paper: float32].
        jobs: Processes for conformers, pictures and trainings; -1 is one per core.
    """
    guidance = Guidance(
        teacher=teacher,
        view=teacher_view or ("3d" if preset == "paper" and teacher not in PICTURELESS else None),
        fraction=image_fraction,
        unlabelled=unlabelled,
        transductive=transductive,
    )
    given = {
        "epochs": epochs,
        "patience": patience,
        "batch_size": batch_size,
        "lr": lr,
        "hidden": hidden,
        "norms": norms,
        "ke": ke,
        "te": te,
        "space": space,
        "ke_scale": ke_scale,
        "ramp": ramp,
        "class_weights": class_weights,
        "average": average,
        "schedule": schedule,
        "precision": precision,
    }
    check_choice("--preset", preset, tuple(PRESETS))
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    for name, value in {"seeds": seeds, **chosen}.items():
        option = f"--{name.replace('_', '-')}"
        if name in CHOICES:
            check_choice(option, value, CHOICES[name])
        elif value != "auto":
            check_positive(option, value, zero=name in MAY_BE_ZERO, whole=name in WHOLE)
    check_jobs(jobs)
    if trees is not None:
        check_choice("--trees", trees, get_args(Joining))
    if patience == 0:
        chosen["patience"] = None
    if chosen.get("batch_size") == 1:
        raise ConfigError("--batch-size", 1, "batch normalisation needs at least two molecules per step")
    if teacher in PICTURELESS:
        rule = f"--teacher {teacher} shows no pictures; leave out one of the two"
        if chosen.get("ke_scale", "none") != "none":
            raise ConfigError("--ke-scale", ke_scale, rule)
        if space is not None:
            raise ConfigError("--space", space, rule)
    if teacher == "priors":
        if te:
            raise ConfigError(
                "--te", te, "--teacher priors shows no pictures to judge; the weight of its tasks is --ke"
            )
        chosen["te"] = 0.0
    recipe = replace(PRESETS[preset], **chosen)
    taught = teacher != "none" and (recipe.ke, recipe.te) != (0, 0)
    from iem.workflows.fitting.steps import fit_table

    return fit_table(
        table,
        out=Path(out),
        smiles=smiles,
        targets=(target,) if isinstance(target, str) else tuple(target),
        asked=task,
        student=student or STUDENTS[preset],
        start=start,
        guidance=guidance,
        recipe=recipe,
        preset=preset,
        split=split,
        seeds=seeds,
        compare=preset != "paper" and taught if compare is None else compare,
        trees=trees or ("beside" if preset == "paper" else "auto"),
        jobs=jobs,
    )
