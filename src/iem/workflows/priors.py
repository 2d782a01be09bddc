"""The verb ``iem benchmark priors``: which basic facts can be seen in a graph and which in a picture."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from iem.errors import ConfigError, UnknownNameError
from iem.workflows.prior_study.recipe import FEWEST, MODELS, PRESETS
from iem.workflows.settings import check_jobs, listed


def priors(
    corpus: Path,
    *,
    out: Path,
    preset: Literal["default", "paper"] = "default",
    models: tuple[str, ...] = (),
    molecules: int | None = None,
    epochs: int | None = None,
    seed: int = 0,
    jobs: int = 1,
) -> None:
    """Which priors can be seen: Table S1 and Figure 1(a) of the paper.

    Seven networks learn from scratch to answer the four priors (atoms, bonds, geometry, properties): gcn and gin see
    the graph, egnn-2d the atoms where the depiction puts them, egnn-3d and schnet where the conformer has them,
    resnet-2d the depiction, resnet-3d the 3D views. Their errors on the test part stand beside the best constant guess
    and the paper's, and the answers of graph and image networks are correlated.

    OUT keeps every model that is finished, so the same command goes on where it was, and with other --models adds
    to it.

    Args:
        corpus: Folder that "iem prepare" wrote.
        out: Folder for the results.
        preset: "default" is made for two cores, and how long it takes is said before it starts; "paper" has the paper's
            settings (pictures of 224², four views), for a GPU.
        models: Only these, by name; repeat the option or put commas between [all seven].
        molecules: So many of the corpus, 8:1:1 to learn from, to choose by and to test on [10,000].
        epochs: Passes over the training part [20; paper: 30].
        seed: Of sample, split, weights and order.
        jobs: Models trained at a time, on one core each; 1 trains one after the other, -1 is one per core.
    """
    names = listed(models) or MODELS
    for name in names:
        if name not in MODELS:
            raise UnknownNameError(f"no model of the study is called {name!r}; known: {', '.join(MODELS)}")
    recipe = PRESETS[preset]
    if molecules is not None:
        recipe = replace(recipe, molecules=molecules)
    if epochs is not None:
        recipe = replace(recipe, epochs=epochs)
    least = max(FEWEST, -(-10 * recipe.batch_size // 8))
    if recipe.molecules < least:
        raise ConfigError("--molecules", recipe.molecules, f"the study takes {least} or more")
    if recipe.epochs < 1:
        raise ConfigError("--epochs", recipe.epochs, "at least one is needed")
    if seed < 0:
        raise ConfigError("--seed", seed, "it must not be negative")
    check_jobs(jobs)
    from iem.workflows.prior_study.run import run_study

    chosen = tuple(name for name in MODELS if name in names)
    run_study(Path(corpus), out=Path(out), preset=preset, recipe=recipe, models=chosen, seed=seed, jobs=jobs)
