"""How a teacher is trained: what it is shown, and the run from the first round to the last."""

import os
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, final

import lightning
import numpy as np
import torch
from timm.layers import convert_sync_batchnorm
from torch.utils.data import DataLoader

from iem import artifact
from iem.cache import address
from iem.chem.priors import PRIORS
from iem.data.album import Album
from iem.data.corpus import Corpus
from iem.data.datasets import STILL, Augmentation, PictureDataset, Rounds, prior_statistics
from iem.errors import ConfigError, IEMError
from iem.files import write_json
from iem.nn.heads import set_scales
from iem.render.ballstick import BallStick
from iem.render.depiction import Depiction
from iem.render.views import rotations
from iem.workflows.pretraining.five_tasks import FiveTasks, Pretraining
from iem.workflows.pretraining.page import write_teacher_report
from iem.workflows.pretraining.questions import ask
from iem.workflows.pretraining.recipe import Recipe
from iem.workflows.pretraining.schedules import leaves_open, open_rounds, replan, rounds_of
from iem.workflows.running.checkpoint import Checkpoints
from iem.workflows.running.console import progress, say
from iem.workflows.running.curves import CurveFiles
from iem.workflows.running.folders import open_run
from iem.workflows.running.rounds import Watch
from iem.workflows.running.trainer import precision_of, quiet_trainer, run_to_end

VALID_SHARE, VALID_MOST = 0.02, 1_000
"""Held-out part of the corpus: a share of it, but never more molecules than this."""
ALBUM = ".album"
"""Ending of the file with the depictions of a training that has not ended."""


def school_corpus(folder: Path, batch_size: int, *, pictures: bool) -> Corpus:
    """The molecules that a teacher or a student is to learn from.

    Raises:
        ArtifactError: there is no whole corpus.
        ConfigError: too few molecules for the batches, or none in space where pictures are to be drawn of them.
    """
    molecules = Corpus(folder)
    if len(molecules) < 2 * batch_size:
        raise ConfigError(
            "--batch-size",
            batch_size,
            f"{folder} holds only {len(molecules)} molecules, and a batch of them is held out: say "
            f"{len(molecules) // 2} or less, or prepare more",
        )
    if pictures and molecules.is_flat:
        raise ConfigError("CORPUS", str(folder), "its molecules are all flat; prepare it without --flat")
    return molecules


def held_out_part(count: int, batch_size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Which molecules of a corpus are learned from and which are held out; at least one batch of these."""
    order = np.random.default_rng((seed, count)).permutation(count)
    held_out = min(VALID_MOST, max(batch_size, int(VALID_SHARE * count)))
    return np.sort(order[held_out:]), order[:held_out]


def new_model(recipe: Recipe, molecules: Corpus, train: np.ndarray, seed: int) -> FiveTasks:
    """Fresh networks that follow from the seed; the heads know the scale of the priors over the training part."""
    torch.manual_seed(seed)
    model = networks(recipe)
    if recipe.standardise:
        set_scales(model.heads, prior_statistics(molecules, train, recipe.priors, seed=seed))
    return model


def networks(recipe: Recipe) -> FiveTasks:
    """Fresh networks, but for weights that they are to begin with."""
    return FiveTasks(
        recipe.encoder,
        priors=recipe.priors,
        temperature=recipe.temperature,
        smooth=recipe.smooth,
        bf16=recipe.precision == "bf16",
        pretrained=recipe.pretrained,
    )


def loaders(
    recipe: Recipe,
    molecules: Corpus,
    train: np.ndarray,
    valid: np.ndarray,
    *,
    seed: int,
    jobs: int | None,
    rank: int = 0,
    ranks: int = 1,
    album: Album | None = None,
) -> tuple[DataLoader, DataLoader]:
    """Batches to learn from, drawn when they are visited but for what an album keeps, and batches to choose by.

    The latter are always the same. Each of several processes gets its part of every batch; held-out molecules that
    cannot be shared out evenly, fewer than there are processes, are left out.
    """
    workers = (os.cpu_count() or 1) if jobs is None or jobs < 0 else jobs
    loading: dict[str, Any] = {
        "batch_size": recipe.batch_size // recipe.accumulate // ranks,
        "num_workers": workers,
        "persistent_workers": workers > 0,
        "pin_memory": torch.cuda.is_available(),
    }
    walk = Rounds(train, length=recipe.round, seed=seed, multiple=recipe.batch_size, rank=rank, ranks=ranks)
    still = [(0, int(index)) for index in valid[: len(valid) - len(valid) % ranks][rank::ranks]]
    return (
        DataLoader(pictures_of(recipe, molecules, seed, moving=True, album=album), sampler=walk, **loading),
        DataLoader(pictures_of(recipe, molecules, seed), sampler=still, **loading),
    )


def album_of(recipe: Recipe, molecules: Corpus, seed: int, folder: Path) -> Album | None:
    """Where the depictions of a training are kept that come round again; None without any, or without room for them."""
    name = address(molecules.digest, str(seed), str(recipe.depictions), Depiction(recipe.size).signature)
    path, count = folder / f"depictions-{name[:8]}{ALBUM}", recipe.depictions * len(molecules)
    return Album(path, recipe.size) if count and Album.fits(path, recipe.size, count) else None


def pictures_of(
    recipe: Recipe, molecules: Corpus, seed: int, *, moving: bool = False, album: Album | None = None
) -> PictureDataset:
    """Pictures as a recipe wants them and the questions that come along; ``moving`` varies them from visit to visit."""
    varied = Augmentation(
        views=recipe.views, turn=recipe.turn, flip=recipe.flip, grey=recipe.grey, depictions=recipe.depictions
    )
    return PictureDataset(
        molecules,
        renderer=BallStick(recipe.size),
        depiction=Depiction(recipe.size),
        rotations=rotations(recipe.view_set),
        priors=recipe.priors,
        augmentation=varied if moving else STILL,
        seed=seed,
        album=album,
    )


@final
class Pictures(lightning.LightningDataModule):
    """``loaders``, for as many processes as the trainer has; ``draw`` wants to be told rank and ranks."""

    def __init__(self, draw: Callable[..., tuple[DataLoader, DataLoader]]) -> None:
        super().__init__()
        self.draw = draw

    def setup(self, stage: str) -> None:
        assert self.trainer is not None
        self.train, self.valid = self.draw(rank=self.trainer.global_rank, ranks=self.trainer.world_size)

    def train_dataloader(self) -> DataLoader:
        return self.train

    def val_dataloader(self) -> DataLoader:
        return self.valid


def resolved(recipe: Recipe) -> Recipe:
    """The recipe with every choice made that the device decides."""
    return replace(recipe, precision=precision_of(recipe.precision))


def check_shares(recipe: Recipe, ranks: int) -> None:
    """Raise ConfigError unless a batch can be shared out over processes and accumulated parts."""
    if recipe.round < recipe.batch_size:
        raise ConfigError("--round", recipe.round, f"a round is at least one batch of {recipe.batch_size}")
    share, rest = divmod(recipe.batch_size, recipe.accumulate * ranks)
    if rest or share < 2:
        over = f"{recipe.accumulate} parts" + f" on each of {ranks} devices" * (ranks > 1)
        raise ConfigError(
            "--batch-size", recipe.batch_size, f"it must make {over} of equal size, two molecules or more"
        )


@torch.inference_mode()
def check_encoder(model: FiveTasks, recipe: Recipe) -> None:
    """Raise ConfigError unless pictures of this size can be shown to the encoder; some take one size only."""
    try:
        model.encoder_2d.eval()(torch.zeros(1, recipe.size, recipe.size, 3, dtype=torch.uint8))
    except (AssertionError, RuntimeError, ValueError) as error:
        rule = (
            f"it cannot look at pictures of {recipe.size}×{recipe.size} pixels ({error}); say --size, or name another"
        )
        raise ConfigError("--encoder", recipe.encoder, rule) from error


def train_teacher(
    corpus: Path,
    *,
    out: Path,
    recipe: Recipe,
    seed: int = 0,
    jobs: int | None = None,
    devices: int = 1,
    nodes: int = 1,
) -> None:
    """Train, resuming where an interrupted run of the same settings was; see ``iem.workflows.pretrain``."""
    recipe = resolved(recipe)
    molecules, rounds = school_corpus(corpus, recipe.batch_size, pictures=True), rounds_of(recipe)
    checkpoint, plateau = out / "checkpoint.ckpt", out / "plateau.ckpt"
    watch = Watch(
        "teaching the teacher",
        visits=recipe.visits,
        round=recipe.round,
        batch=recipe.batch_size // recipe.accumulate,
    )

    def keep(module: Pretraining) -> None:
        artifact.save(out, artifact.halved(module.model.state_dict()), card | {"curve": watch.curve}, kind="teacher")

    landmark = (open_rounds(recipe), plateau) if open_rounds(recipe) < rounds else None
    best = Checkpoints(checkpoint, seed=seed, monitor="valid/loss", keep=keep, landmark=landmark)
    trainer = quiet_trainer(
        max_epochs=rounds,
        callbacks=[watch, best, CurveFiles(out, watch.curve)],
        devices=devices,
        nodes=nodes,
        accumulate=recipe.accumulate,
    )
    check_shares(recipe, trainer.world_size)
    check_encoder(networks(recipe), recipe)  # before the folder is claimed: what cannot work leaves nothing behind
    settings = asdict(recipe) | {"seed": seed, "corpus": molecules.digest}
    claim = open_run(out, settings, kind="teacher", free=("visits",) if leaves_open(recipe) else ())
    with claim if trainer.is_global_zero else nullcontext() as mine:
        if mine:
            replan(mine, recipe, checkpoint=checkpoint, plateau=plateau)
        train, valid = held_out_part(len(molecules), recipe.batch_size, seed)
        if jobs is None:
            jobs = max(1, (os.cpu_count() or 1) // trainer.num_devices)
        ask(molecules, recipe.priors, jobs=jobs, shown=trainer.is_global_zero)
        album = album_of(recipe, molecules, seed, out)
        draw = partial(loaders, recipe, molecules, train, valid, seed=seed, jobs=jobs, album=album)
        steps = rounds * (recipe.round // recipe.batch_size)
        model = new_model(recipe, molecules, train, seed)
        if trainer.world_size > 1 and torch.cuda.is_available():  # PyTorch can do this on GPUs only
            model = convert_sync_batchnorm(model)
        module = Pretraining(model, recipe, molecules)
        if trainer.is_global_zero:
            over = f" on {trainer.world_size} devices" * (trainer.world_size > 1)
            say(
                f"{len(train):,} molecules to learn from, {len(valid):,} held out; {rounds * recipe.round:,} visits in "
                f"{steps:,} steps at {recipe.size}×{recipe.size} pixels{over}"
                + (f"; going on from {checkpoint.name}" if checkpoint.exists() else "")
            )
        card = {
            "architecture": recipe.encoder,
            "views": ["2d", "3d"],
            "priors": {name: PRIORS[name].size for name in recipe.priors},
            "size": recipe.size,
            "view_set": recipe.view_set,
            "renderer": BallStick(recipe.size).signature,
            "depiction": Depiction(recipe.size).signature,
            "pretrained": module.model.origin,
            "recipe": asdict(recipe) | {"seed": seed},
            "devices": trainer.world_size,
            "corpus": {"digest": molecules.digest, "molecules": len(molecules), "held_out": len(valid)},
            "licence": "MIT",
        }
        with progress("note", shown=trainer.is_global_zero) as watch.bars:
            try:
                run_to_end(trainer, module, Pictures(draw), checkpoint=checkpoint)
            except IEMError:
                if trainer.is_global_zero:
                    raise
                sys.exit(1)  # the first process says it for all
        if trainer.is_global_zero:
            for old in out.glob(f"*{ALBUM}"):
                old.unlink()
            write_json(out / "curve.json", watch.curve)
            write_teacher_report(out, watch.curve, molecules, pictures_of(recipe, molecules, seed, moving=True), train)
            say(
                f"best held-out loss {-best.best:.3f}; the teacher is in {out}, its curves are in {out / 'report.html'}"
            )
