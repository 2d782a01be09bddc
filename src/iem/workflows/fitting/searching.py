"""How much weight the pictures get: λ_KE and λ_TE from the paper's grid, and zero, by the validation part."""

import logging
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from iem.workflows.distillation.recipe import TRIALS, FitRecipe

GRID = (0.0, 0.001, 0.01, 0.1, 1.0, 5.0)
"""The paper's values (section 4.1) and none."""
FIRST = ((0.0, 0.0), (0.1, 0.1), (1.0, 0.1), (1.0, 0.0))
"""Pairs of λ_KE and λ_TE that are tried before the sampler chooses."""
WARM = 10
"""Epochs that every trial gets before it may be given up."""
DONE = (TrialState.COMPLETE, TrialState.PRUNED)

Train = Callable[[FitRecipe, Path, Callable[[int, float], None]], float]
"""Trains with a recipe, keeping its state in a file and telling the score of every epoch; the best validation score."""


class Found(NamedTuple):
    """What a search came to."""

    recipe: FitRecipe
    """With numbers for the weights."""
    trials: list[dict[str, Any]]
    """Each with ``ke``, ``te``, its best ``valid`` score and the ``epochs`` it was given."""


def search_weights(recipe: FitRecipe, train: Train, folder: Path, *, larger_is_better: bool) -> Found:
    """Try pairs of weights with one seed; a trial that is behind the median of the others is given up.

    The test part is not looked at. Interrupted, the same call goes on where it was.

    Args:
        recipe: a weight that is a number stays.
        train: see ``Train``.
        folder: for the journal of the trials and the state of the one under way.
        larger_is_better: of the validation score.
    """
    folder.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(logging.ERROR)
    choices = {name: GRID if getattr(recipe, name) == "auto" else (getattr(recipe, name),) for name in ("ke", "te")}
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(folder / "trials.journal"))),
        study_name="weights",
        direction="maximize" if larger_is_better else "minimize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=WARM),
        load_if_exists=True,
    )
    for killed in study.get_trials(states=(TrialState.RUNNING, TrialState.WAITING)):
        study.tell(killed.number, state=TrialState.FAIL)
    distributions: dict[str, BaseDistribution] = {
        name: CategoricalDistribution(values) for name, values in choices.items()
    }
    pairs = list(product(*choices.values()))
    while len(done := study.get_trials(states=DONE)) < min(TRIALS, len(pairs)):
        ke, te = _next(study, distributions, pairs, done)
        study.enqueue_trial({"ke": ke, "te": te})
        trial = study.ask(distributions)
        state = folder / f"ke{ke:g}-te{te:g}.ckpt"
        try:
            study.tell(trial, train(replace(recipe, ke=ke, te=te), state, _judged(trial)))
        except optuna.TrialPruned:
            study.tell(trial, state=TrialState.PRUNED)
        state.unlink(missing_ok=True)
    chosen = replace(recipe, ke=study.best_params["ke"], te=study.best_params["te"])
    return Found(chosen, [_told(trial) for trial in study.get_trials(states=DONE)])


def _next(
    study: optuna.Study,
    distributions: dict[str, BaseDistribution],
    pairs: list[tuple[float, float]],
    done: list[FrozenTrial],
) -> tuple[float, float]:
    """The first pairs first; then what a sampler proposes that knows finished trials and their number alone, so that an
    interruption changes nothing; never a pair twice.
    """
    tried = {(trial.params["ke"], trial.params["te"]) for trial in done}
    if waiting := [pair for pair in FIRST if pair in pairs and pair not in tried]:
        return waiting[0]
    study.sampler = optuna.samplers.TPESampler(seed=len(done), n_startup_trials=len(FIRST))
    proposal = study.ask(distributions)
    study.tell(proposal, state=TrialState.FAIL)  # it is asked for again, by name
    pair = proposal.params["ke"], proposal.params["te"]
    left = [other for other in pairs if other not in tried]
    return pair if pair in left else left[int(np.random.default_rng(len(done)).integers(len(left)))]


def _judged(trial: optuna.Trial) -> Callable[[int, float], None]:
    best: list[float] = []

    def tick(epoch: int, score: float) -> None:
        larger = trial.study.direction == optuna.study.StudyDirection.MAXIMIZE
        best.append(score if not best else max(best[-1], score) if larger else min(best[-1], score))
        trial.report(best[-1], epoch)
        if trial.should_prune():
            raise optuna.TrialPruned

    return tick


def _told(trial: FrozenTrial) -> dict[str, Any]:
    reported = trial.intermediate_values
    epochs = max(reported, default=0)
    valid = trial.value if trial.value is not None else reported.get(epochs)
    return {**trial.params, "valid": valid, "epochs": epochs, "given_up": trial.state == TrialState.PRUNED}
