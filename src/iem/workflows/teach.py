"""The verb ``iem teach``: a corpus in, a student that has learned from a teacher before it sees a label out."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from iem.errors import ConfigError
from iem.workflows.distillation.recipe import TeachRecipe
from iem.workflows.settings import check_choice, check_positive, check_seed, listed, workers


def teach(
    corpus: Path,
    *,
    out: Path,
    student: str = "gin",
    start: str = "none",
    teacher: str = "default",
    visits: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    features: float | None = None,
    ke: float | None = None,
    priors: float | None = None,
    questions: tuple[str, ...] = (),
    precision: Literal["auto", "bf16", "float32"] | None = None,
    seed: int = 0,
    jobs: int | None = None,
) -> None:
    """Give a graph network a head start: it learns from the teacher on many molecules, before it sees a label.

    The molecules of a corpus are shown to the frozen teacher once. Then the student learns to see in their graphs what
    the teacher saw in their pictures, and to answer the questions that the teacher was asked. "iem fit --start OUT"
    trains from there. Interrupted, the same command goes on where it was.

    Args:
        corpus: Folder that "iem prepare" wrote; exclude the tables on which the student will be tested.
        out: Folder for the student.
        student: Graph network, with options behind a colon: gin, gcn, gat, sage.
        start: "none" (fresh weights), "default" (the head start that comes with iem, to go on from with molecules
            like your own), or a folder that this verb wrote.
        teacher: "default" (comes with iem), a folder that "iem pretrain" wrote, or "none": no picture is looked at,
            and the student learns the questions alone.
        visits: Molecules to see in all, counted with repetition [1,000,000].
        batch_size: Molecules per step [128].
        lr: Highest learning rate [0.001; 0.0003 for a student that has learned before].
        features: Weight of the distance to the teacher's features [1].
        ke: Weight of the knowledge enhancer, the teacher's own heads (eq. 5) [0].
        priors: Weight of the questions as the molecules answer them [1].
        questions: Only these: atom, bond, geometry, property, shape, substructure, descriptor; repeat the option or
            put commas between [atom, bond, shape, property, substructure].
        precision: Of the arithmetic [auto: bf16 where the device computes with it].
        seed: Of weights and order.
        jobs: Processes that draw pictures and make graphs [one per core; 0 does all in one process].
    """
    given = {
        "visits": visits,
        "batch_size": batch_size,
        "lr": lr,
        "features": features,
        "ke": ke,
        "priors": priors,
        "precision": precision,
    }
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    for name, value in chosen.items():
        if not isinstance(value, str):
            weight = name in ("features", "ke", "priors")
            check_positive(f"--{name.replace('_', '-')}", value, zero=weight, whole=name in ("visits", "batch_size"))
    check_seed(seed)
    jobs = workers(jobs)
    recipe = replace(TeachRecipe(), **chosen)
    if names := listed(questions):
        from iem.chem.priors import PRIORS

        for name in names:
            check_choice("--questions", name, tuple(PRIORS))
        recipe = replace(recipe, questions=names)
    if teacher == "none":
        recipe = replace(recipe, features=0.0, ke=0.0)
    if not recipe.features and not recipe.ke and not recipe.priors:
        raise ConfigError("--priors", 0, "without a teacher or questions there is nothing to learn")
    from iem.workflows.distillation.teaching import teach_student

    teach_student(
        Path(corpus),
        out=Path(out),
        student=student,
        start=start,
        teacher=teacher,
        recipe=recipe,
        seed=seed,
        jobs=jobs,
    )
