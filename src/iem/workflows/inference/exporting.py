"""Models on their way to other programs."""

from pathlib import Path

from iem import artifact
from iem.errors import ConfigError, OutputError
from iem.files import whole
from iem.students.base import parse_name
from iem.students.chemprop import as_chemprop, installed
from iem.workflows.inference.model import Model
from iem.workflows.running.console import say


def export_model(folder: Path, *, to: str, out: Path, force: bool) -> list[Path]:
    """See ``iem.workflows.export.export``.

    Raises:
        ArtifactError: the folder holds no whole model.
        ConfigError: another program, or a model of another student.
        OutputError: a file is there already, or cannot be written.
        UnavailableError: chemprop is not installed.
    """
    if to != "chemprop":
        raise ConfigError("--to", to, "chemprop is the only program that models are written for")
    if out.suffix != ".pt":
        raise OutputError(f"--out {out} does not end in .pt, by which chemprop knows its checkpoints; name it so")
    card = artifact.read_card(folder, kind="model")
    student = card["student"]["name"]
    if parse_name(student)[0] != "chemprop":
        raise ConfigError(
            "--to", to, f"{folder} is a model of the student {student}; train one with: iem fit --student chemprop"
        )
    seeds = range(card["seeds"])
    paths = [out.with_stem(f"{out.stem}-{seed}") for seed in seeds] if len(seeds) > 1 else [out]
    for path in paths:
        if path.is_dir():
            raise OutputError(f"{path} is a folder; name a file")
        if path.exists() and not force:
            raise OutputError(f"{path} exists already; choose another name, or --force to overwrite it")
    model = Model(folder)
    if model.trees is not None:
        say(
            "chemprop gets the networks alone, iem predict takes the mean with the trees, so their predictions differ; "
            "those of a model that iem fit --trees beside made are the same"
        )
    for path, predictor in zip(paths, model.predictors, strict=True):
        with whole(path) as partial:
            installed().models.save_model(partial, as_chemprop(predictor), model.targets)
    say(f"chemprop predict --test-path TABLE.csv --model-paths {' '.join(map(str, paths))}")
    return paths
