"""One training of the study of priors: from scratch, judged by the validation part, asked about the test part."""

import os
from collections.abc import Callable
from contextlib import nullcontext
from copy import deepcopy
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from iem.data.datasets import Rounds
from iem.losses.terms import masked_mean
from iem.nn.heads import PriorHead
from iem.workflows.prior_study.models import KINDS, Exhibition, PriorNetwork, together
from iem.workflows.prior_study.molecules import Answers, Hall
from iem.workflows.prior_study.recipe import StudyRecipe
from iem.workflows.running.trainer import one_thread


class Trained(NamedTuple):
    """What is left of a training."""

    answers: Answers
    """Of the test part, in the priors' own units; NaN if no epoch came to its end."""
    best_epoch: int | None
    """By the loss of the validation part, from 1."""
    diverged_in: int | None
    """The epoch in which the loss stopped being a number, and training with it."""
    curve: list[float]
    """Loss of the validation part behind every epoch."""


def device() -> torch.device:
    """The GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def new_network(name: str, hall: Hall, recipe: StudyRecipe, seed: int) -> PriorNetwork:
    """Fresh weights that follow from the seed; the heads know the scale of the priors."""
    torch.manual_seed(seed)
    network = PriorNetwork(KINDS[name].body(recipe))
    for prior, (mean, unit) in hall.statistics.items():
        head = network.heads[prior]
        assert isinstance(head, PriorHead)
        head.mean.copy_(torch.from_numpy(mean))
        head.std.copy_(torch.from_numpy(unit))
    return network.to(device())


class Teaching(NamedTuple):
    """Truths on the device, to compare answers with."""

    truths: dict[str, Tensor]
    """In standard units."""
    known: dict[str, Tensor]

    @classmethod
    def of(cls, hall: Hall, network: PriorNetwork) -> "Teaching":
        """Of all molecules."""
        where = device()
        truths = {}
        for name, values in hall.truths.items():
            head = network.heads[name]
            assert isinstance(head, PriorHead)
            truths[name] = head.standardise(torch.from_numpy(values).to(where))
        return cls(truths, {name: torch.from_numpy(values).to(where) for name, values in hall.known.items()})

    def loss(self, answers: dict[str, Tensor], places: Tensor) -> Tensor:
        """Mean squared error in standard units over what is known, the mean over the priors."""
        errors = [
            masked_mean((answer - self.truths[name][places]).square(), self.known[name][places])
            for name, answer in answers.items()
        ]
        return torch.stack(errors).mean()


def loaders(name: str, hall: Hall, recipe: StudyRecipe, seed: int) -> tuple[DataLoader, DataLoader, DataLoader]:
    """Batches to learn from, shuffled anew every epoch, and those to choose by and to test on."""
    form = KINDS[name].form
    drawn = form in ("depiction", "views")
    workers = (os.cpu_count() or 1) if drawn and device().type == "cuda" else 0  # who computes here also draws
    common: dict[str, Any] = {"collate_fn": together, "num_workers": workers, "batch_size": recipe.batch_size}
    walk = Rounds(hall.split.train, length=len(hall.split.train), seed=seed)
    moving, still = (Exhibition(hall.exhibits, form, recipe, shown) for shown in (seed, None))
    train = DataLoader(moving, sampler=walk, drop_last=True, **common)
    valid, test = (
        DataLoader(still, sampler=[(0, int(place)) for place in rows], **common)
        for rows in (hall.split.valid, hall.split.test)
    )
    return train, valid, test


def train_model(name: str, hall: Hall, recipe: StudyRecipe, seed: int, tick: Callable[[int, float], None]) -> Trained:
    """Train from scratch with Adam; the weights of the best epoch by validation answer for the test part.

    Args:
        name: of the model.
        hall: molecules.
        recipe: settings.
        seed: of weights, order and views.
        tick: told the epoch that is finished, from 1, and its validation loss.
    """
    with nullcontext() if KINDS[name].form in ("depiction", "views") else one_thread():
        network = new_network(name, hall, recipe, seed)
        teaching = Teaching.of(hall, network)
        train, valid, test = loaders(name, hall, recipe, seed)
        optimizer = torch.optim.Adam(network.parameters(), lr=recipe.lr, fused=True)
        best, curve = deepcopy(network.state_dict()), list[float]()
        best_epoch: int | None = None
        diverged_in: int | None = None
        for epoch in range(1, recipe.epochs + 1):
            assert isinstance(train.sampler, Rounds)
            train.sampler.set_epoch(epoch - 1)
            if not all(learn(network, optimizer, teaching, batch) for batch in train):
                diverged_in = epoch
                break
            loss = validation_loss(network, teaching, valid)
            if not np.isfinite(loss):
                diverged_in = epoch
                break
            if not curve or loss < min(curve):
                best, best_epoch = deepcopy(network.state_dict()), epoch
            curve.append(loss)
            tick(epoch, loss)
        network.load_state_dict(best)
        answers = answers_of(network, test)
    if best_epoch is None:
        answers = {prior: np.full_like(values, np.nan) for prior, values in answers.items()}
    return Trained(answers, best_epoch, diverged_in, [round(loss, 6) for loss in curve])


def learn(
    network: PriorNetwork, optimizer: torch.optim.Optimizer, teaching: Teaching, batch: tuple[Tensor, Any]
) -> bool:
    """One step; False, and no step, where the loss is not a number any more."""
    network.train()
    places, seen = batch[0].to(device()), batch[1].to(device())
    loss = teaching.loss(network(seen), places)
    if not torch.isfinite(loss):
        return False
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return True


@torch.inference_mode()
def validation_loss(network: PriorNetwork, teaching: Teaching, batches: DataLoader) -> float:
    """Mean over molecules."""
    network.eval()
    total = count = 0.0
    for places, seen in batches:
        total += float(teaching.loss(network(seen.to(device())), places.to(device()))) * len(places)
        count += len(places)
    return total / count


@torch.inference_mode()
def answers_of(network: PriorNetwork, batches: DataLoader) -> Answers:
    """What the heads say, in the priors' own units."""
    network.eval()
    found: dict[str, list[Tensor]] = {name: [] for name in network.heads}
    for _, seen in batches:
        for name, answer in network(seen.to(device())).items():
            head = network.heads[name]
            assert isinstance(head, PriorHead)
            found[name].append((answer * head.std + head.mean).cpu())
    return {name: torch.cat(parts).numpy() for name, parts in found.items()}


def seconds_of(name: str, hall: Hall, recipe: StudyRecipe, seed: int) -> float:
    """Seconds that a training will take, from one step behind a first that warms up.

    A molecule that is only looked at, in the part to choose by, counts a third.
    """
    with nullcontext() if KINDS[name].form in ("depiction", "views") else one_thread():
        network = new_network(name, hall, recipe, seed)
        teaching, optimizer = Teaching.of(hall, network), torch.optim.Adam(network.parameters(), lr=recipe.lr)
        exhibition = Exhibition(hall.exhibits, KINDS[name].form, recipe, seed)
        places = hall.split.train[: recipe.batch_size]
        taken = 0.0
        for _ in range(2):
            start = perf_counter()
            learn(network, optimizer, teaching, together([exhibition[0, int(place)] for place in places]))
            taken = perf_counter() - start
    return taken / len(places) * recipe.epochs * (len(hall.split.train) + len(hall.split.valid) / 3)
