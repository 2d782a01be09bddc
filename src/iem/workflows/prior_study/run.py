"""The study of priors: seven trainings from scratch, each kept when it is finished, and their tables."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from joblib import effective_n_jobs

from iem.artifact import versions
from iem.files import whole, write_json
from iem.render.ballstick import BallStick
from iem.render.depiction import Depiction
from iem.report.text import plural
from iem.workflows.fitting.estimate import words
from iem.workflows.prior_study.models import KINDS
from iem.workflows.prior_study.molecules import Hall, open_hall
from iem.workflows.prior_study.recipe import StudyRecipe
from iem.workflows.prior_study.results import write_results
from iem.workflows.prior_study.training import device, seconds_of, train_model
from iem.workflows.running.console import progress, say
from iem.workflows.running.engines import in_order, open_engine
from iem.workflows.running.folders import open_run

VERSION = 2
"""Counts changes of the code that may change a result."""


def run_study(
    corpus: Path, *, out: Path, preset: str, recipe: StudyRecipe, models: Sequence[str], seed: int, jobs: int
) -> None:
    """Train what is not trained yet, and write the tables; see ``iem.workflows.priors``."""
    corpus = corpus.resolve()
    hall = open_hall(corpus, recipe.molecules, seed)
    with open_run(out, {"preset": preset, **asdict(recipe), "seed": seed, "corpus": hall.digest}, kind="study"):
        settings = {name: settings_of(name, hall.digest, recipe, seed) for name in KINDS}
        remaining = [name for name in models if finished(out, name, settings[name]) is None]
        train, valid, test = (len(rows) for rows in hall.split)
        say(
            f"{plural(recipe.molecules, 'molecule')}: {train:,} to learn from, {valid:,} to choose by, {test:,} to "
            "test on"
        )
        say(
            f"{plural(len(models), 'model')}, {len(models) - len(remaining)} done, {len(remaining)} to do; results "
            f"in {out}"
        )
        if remaining:
            seconds = {name: seconds_of(name, hall, recipe, seed) for name in remaining}
            processes = min(effective_n_jobs(jobs), len(remaining))
            each = ", ".join(f"{KINDS[name].title} {words(taken)}" for name, taken in seconds.items())
            say(f"about {words(max(sum(seconds.values()) / processes, *seconds.values(), 0))}: {each}")
            longest_first = sorted(remaining, key=lambda name: -seconds[name])
            with open_engine("cores", jobs=processes, address=None) as tasks, progress("note") as bars:
                bar = bars.add_task("models", total=len(remaining), note="")
                inner = bars.add_task("epochs", total=recipe.epochs, note="", visible=processes == 1)

                def show(epoch: int, loss: float) -> None:
                    bars.update(inner, completed=epoch, note=f"held-out loss {loss:.3f}")

                shared = (corpus, recipe, seed, out.resolve(), show if processes == 1 else quiet)
                done = in_order(tasks, do_model, longest_first, lambda name: (name, settings[name], *shared))
                for name, result in done:
                    bars.update(bar, advance=1)
                    epoch = result["best_epoch"]
                    end = "diverged in its first epoch" if epoch is None else f"best epoch {epoch} of {recipe.epochs}"
                    say(f"{KINDS[name].title} done in {words(result['seconds'])}: {end}")
                    _write(out, hall, settings)
        _write(out, hall, settings)
        say(f"tables: {out / 'results.md'}")


def _write(out: Path, hall: Hall, settings: dict[str, dict[str, Any]]) -> None:
    """The tables of all models that are finished under the settings of today."""
    about = {name: result for name in KINDS if (result := finished(out, name, settings[name])) is not None}
    test = hall.split.test
    write_results(
        out,
        about,
        truths={name: values[test] for name, values in hall.truths.items()},
        known={name: values[test] for name, values in hall.known.items()},
        means={name: mean for name, (mean, _) in hall.statistics.items()},
    )


def quiet(epoch: int, loss: float) -> None:
    """Says nothing of an epoch; for workers, which have no terminal."""


def settings_of(name: str, molecules: str, recipe: StudyRecipe, seed: int) -> dict[str, Any]:
    """Everything that the result of a model depends on, as JSON has it; ``molecules`` is the digest of the hall."""
    found: dict[str, Any] = {"model": name, **asdict(recipe), "seed": seed, "molecules_digest": molecules}
    form = KINDS[name].form
    if form == "depiction":
        found["pictures"] = Depiction(recipe.size).signature
    if form == "views":
        found["pictures"] = BallStick(recipe.size).signature
    return json.loads(json.dumps(found | {"version": VERSION, "versions": versions()}))


def finished(out: Path, name: str, settings: dict[str, Any]) -> dict[str, Any] | None:
    """The result of a model that was trained under these very settings and is whole; None otherwise."""
    path = out / "models" / f"{name}.json"
    if not path.is_file() or not path.with_suffix(".npz").is_file():
        return None
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:  # not ours any more: made again
        return None
    return result if isinstance(result, dict) and result.get("settings") == settings else None


def do_model(
    name: str,
    settings: dict[str, Any],
    corpus: Path,
    recipe: StudyRecipe,
    seed: int,
    out: Path,
    tick: Callable[[int, float], None],
) -> dict[str, Any]:
    """Train one model and keep its answers for the test part, and then, as the last thing, the JSON about it."""
    hall = open_hall(corpus, recipe.molecules, seed)
    started = perf_counter()
    trained = train_model(name, hall, recipe, seed, tick)
    path = out / "models" / f"{name}.json"
    path.unlink(missing_ok=True)  # of other versions: it must not vouch for what comes now
    arrays: dict[str, Any] = trained.answers
    with whole(path.with_suffix(".npz"), parents=True) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)
    result = {
        "settings": settings,
        "title": KINDS[name].title,
        "best_epoch": trained.best_epoch,
        "diverged_in": trained.diverged_in,
        "curve": trained.curve,
        "device": device().type,
        "seconds": round(perf_counter() - started, 1),
    }
    write_json(path, result)
    return result
