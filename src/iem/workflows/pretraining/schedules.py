"""Learning rates over a teacher's training, and trainings that become longer or shorter than they were meant to be."""

import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import torch

from iem.errors import ConfigError
from iem.files import whole
from iem.workflows.pretraining.recipe import Recipe
from iem.workflows.running.checkpoint import go_back, rounds_in
from iem.workflows.running.console import say
from iem.workflows.running.folders import Claim
from iem.workflows.running.trainer import one_cycle

WARM_UP = 5_000
"""Visits over which the learning rate rises; a fixed number, so that it does not depend on how many there will be."""
DECAY = 0.2
"""Share of the rounds, the last ones, over which it falls to zero."""


def rounds_of(recipe: Recipe) -> int:
    """Rounds of a training; the last one is whole, too."""
    return -(-recipe.visits // recipe.round)


def leaves_open(recipe: Recipe) -> bool:
    """Whether a training may become longer or shorter than it was planned to be."""
    return recipe.schedule != "one-cycle"


def open_rounds(recipe: Recipe) -> int:
    """Rounds, from the first one, that are the same however many visits are planned."""
    if not leaves_open(recipe):
        return 0
    return rounds_of(recipe) if recipe.schedule == "constant" else _before_decay(recipe)


def _before_decay(recipe: Recipe) -> int:
    """Rounds until the learning rate begins to fall."""
    return rounds_of(recipe) - math.ceil(DECAY * rounds_of(recipe))


def schedule_of(recipe: Recipe, optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler | None:
    """What sets the learning rate of each step; None where it stays as it is."""
    steps = recipe.round // recipe.batch_size
    total = steps * rounds_of(recipe)
    if recipe.schedule == "constant":
        return None
    if recipe.schedule == "one-cycle":
        return one_cycle(optimizer, recipe.lr, total)
    factor = stable(-(-WARM_UP // recipe.batch_size), steps * _before_decay(recipe), total)
    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def stable(warm_up: int, decay: int, total: int) -> Callable[[int], float]:
    """Share of the highest learning rate at a step: it rises, stays, and falls as 1 − √ of the way to the end.

    Hägele et al., 2024 (doi 10.48550/arXiv.2405.18392): as good as a cosine over as many steps, and the plateau does
    not depend on how many there will be.

    Args:
        warm_up: steps until it is at its highest.
        decay: the last step at which it still is.
        total: the step after the last one.
    """

    def factor(step: int) -> float:
        fallen = min(max((step - decay) / (total - decay), 0.0), 1.0)
        return min(1.0, (step + 1) / warm_up) * (1.0 - math.sqrt(fallen))

    return factor


def replan(claim: Claim, recipe: Recipe, *, checkpoint: Path, plateau: Path) -> None:
    """Make the training in a folder one of as many visits as a recipe wants, from where the two are still the same.

    It goes on from its checkpoint, or from the state before its learning rate began to fall. The teacher in the folder
    stays the best there was until it is surpassed.

    Args:
        claim: the folder.
        recipe: that of now; it differs in the number of visits at most.
        checkpoint: state of the last round.
        plateau: state of the last of the ``open_rounds``, once that is reached.

    Raises:
        ConfigError: nothing of what has been learned can be used.
    """
    before, out = replace(recipe, visits=claim.settings["visits"]), checkpoint.parent
    if before == recipe:
        return
    done = {path: rounds_in(path) for path in (checkpoint, plateau) if path.exists()}
    usable = {path: rounds for path, rounds in done.items() if rounds <= open_rounds(before)}
    start = next((path for path, rounds in usable.items() if rounds <= open_rounds(recipe)), None)
    if start is not None:
        if start == checkpoint and done[start] == open_rounds(recipe):  # its learning rate falls from here
            with whole(plateau) as path:
                shutil.copyfile(checkpoint, path)
        go_back(checkpoint, start)
        say(f"{recipe.visits:,} visits in place of {before.visits:,}: {done[start] * recipe.round:,} of them are done")
    elif usable:
        least = _least(recipe, min(usable.values()))
        rule = f"the run in {out} has come so far that {least} is the least; give that, or name another --out"
        raise ConfigError("--visits", recipe.visits, rule)
    elif done:
        rule = f"the run in {out} was planned for {before.visits} and is ending; give that, or name another --out"
        raise ConfigError("--visits", recipe.visits, rule)
    claim.settle(claim.settings | {"visits": recipe.visits})


def _least(recipe: Recipe, done: int) -> int:
    """Visits of the shortest training whose learning rate does not fall before so many rounds are done."""
    plans = (replace(recipe, visits=rounds * recipe.round) for rounds in count(done))
    return next(plan.visits for plan in plans if open_rounds(plan) >= done)
