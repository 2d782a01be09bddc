"""The study of priors: molecules in every form, seven trainings from scratch, each kept when it is finished."""

import json
import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import torch
from joblib import effective_n_jobs
from torch import Tensor
from torch.utils.data import DataLoader

from iem.artifact import versions
from iem.cache import address
from iem.chem.molecules import parse
from iem.chem.priors import PAPER
from iem.chem.splits import digest, random_split
from iem.data.corpus import Corpus, Record
from iem.data.datasets import Rounds, prior_statistics
from iem.errors import ConfigError
from iem.files import whole, write_json
from iem.losses.terms import masked_mean
from iem.nn.heads import PriorHead
from iem.records import Split
from iem.render.ballstick import BallStick
from iem.render.depiction import Depiction
from iem.report.text import plural
from iem.students.features import featurize
from iem.workflows.console import progress, say
from iem.workflows.engines import in_order, open_engine
from iem.workflows.estimate import words
from iem.workflows.folders import open_run
from iem.workflows.prior_models import KINDS, Exhibit, Exhibition, PriorNetwork, together
from iem.workflows.prior_results import write_results
from iem.workflows.priors import StudyRecipe
from iem.workflows.training import one_thread

VERSION = 2
"""Counts changes of the code that may change a result."""

Answers = dict[str, np.ndarray]
"""By prior, float32 (molecules, size)."""


class Hall(NamedTuple):
    """The molecules of a study, what is true of them, and its three parts."""

    exhibits: list[Exhibit]
    truths: Answers
    known: dict[str, np.ndarray]
    """By prior, bool (molecules, size)."""
    statistics: dict[str, tuple[np.ndarray, np.ndarray]]
    """Mean and unit of each prior over the part to learn from, (size,) each."""
    split: Split
    """Places in ``exhibits``."""
    corpus: str
    """Digest of the whole corpus, for what hangs on more than the SMILES: coordinates, layouts, priors."""

    @property
    def digest(self) -> str:
        """Over the corpus, the molecules in their order, and the split."""
        return address(self.corpus, digest(self.split), *(exhibit.smiles for exhibit in self.exhibits))


def exhibit_of(record: Record) -> Exhibit | None:
    """A molecule in every form; None where it lacks one: no conformer was found, or a hydrogen has only a letter."""
    mol = parse(record.smiles)
    numbers = [atom.GetAtomicNum() for atom in mol.GetAtoms()]
    if record.geometry.status == "flat" or numbers != record.geometry.numbers.tolist():
        return None
    return Exhibit(record.smiles, featurize(mol), record.layout.astype(np.float32), record.geometry)


@lru_cache(maxsize=1)
def open_hall(corpus: Path, count: int, seed: int) -> Hall:
    """A sample of a corpus, 8:1:1; it follows from the seed.

    Raises:
        ArtifactError: it is no finished corpus.
        ConfigError: too few of its molecules have every form.
    """
    molecules = Corpus(corpus)
    chosen: list[int] = []
    exhibits: list[Exhibit] = []
    for index in np.random.default_rng((seed, len(molecules))).permutation(len(molecules)):
        if len(exhibits) == count:
            break
        if (exhibit := exhibit_of(molecules[int(index)])) is not None:
            chosen.append(int(index))
            exhibits.append(exhibit)
    if len(exhibits) < count:
        rule = f"{corpus} has only {plural(len(exhibits), 'molecule')} with 3D coordinates; name fewer or prepare more"
        raise ConfigError("--molecules", count, rule)
    split = random_split([exhibit.smiles for exhibit in exhibits], seed=seed)
    rows = [molecules[index].priors for index in chosen]
    return Hall(
        exhibits,
        {name: np.stack([row[name].values for row in rows]) for name in PAPER},
        {name: np.stack([row[name].known for row in rows]) for name in PAPER},
        dict(prior_statistics(molecules, np.array(chosen)[split.train], PAPER, seed=seed)),
        split,
        molecules.digest,
    )


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
