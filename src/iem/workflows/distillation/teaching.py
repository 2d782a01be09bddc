"""How a student learns from a teacher on the molecules of a corpus, without a label (eq. 5 and section 3.3)."""

import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, final

import lightning
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss, smooth_l1_loss
from torch.utils.data import DataLoader, Dataset

from iem import artifact
from iem.chem.molecules import parse
from iem.chem.priors import PRIORS
from iem.data.corpus import Corpus
from iem.data.datasets import GraphBatch, Rounds, answers, prior_statistics
from iem.errors import ConfigError
from iem.files import whole, write_json
from iem.losses.enhancers import knowledge_enhancer
from iem.losses.terms import masked_mean, weigh
from iem.nn.heads import PriorHead, prior_heads, set_scales
from iem.nn.scale import FeatureScale
from iem.students import architectures as architectures  # these two register the students that come with the package
from iem.students import chemprop as chemprop
from iem.students.base import Student, build_student
from iem.students.predictor import Predictor
from iem.students.starts import common_width, find_start
from iem.workflows.distillation.recipe import LR, TeachRecipe
from iem.workflows.distillation.scales import align, scale_of
from iem.workflows.pictures.embed import ImageTeacher, load_teacher
from iem.workflows.pretraining.questions import FLAT, ask
from iem.workflows.pretraining.run import held_out_part, school_corpus
from iem.workflows.running.checkpoint import Checkpoints
from iem.workflows.running.console import progress, say
from iem.workflows.running.curves import CurveFiles
from iem.workflows.running.folders import open_run
from iem.workflows.running.rounds import Watch
from iem.workflows.running.trainer import on_device, one_cycle, one_thread, precision_of, quiet_trainer, run_to_end

PART = 4_096
"""Molecules whose features are kept in one file."""
ALIGNED, EMBEDDED = 4_096, 128
"""Molecules from which the first linear guess is made, and those embedded at a time."""


@final
class Lessons(Dataset[tuple[Any, np.ndarray, dict[str, Any]]]):
    """Molecules of a corpus as a student sees them, with what they teach; made when asked for.

    Args:
        corpus: the molecules.
        student: makes the graphs.
        questions: names of the priors that are asked.
        features: the teacher's, (molecules, dim); width 0 without a teacher, NaN rows where there is no picture.
    """

    def __init__(self, corpus: Corpus, student: Student, questions: Sequence[str], features: np.ndarray) -> None:
        self.corpus, self.featurize, self.collate = corpus, student.featurize, student.collate
        self.questions, self.features = questions, features

    def __getitem__(self, item: tuple[int, int]) -> tuple[Any, np.ndarray, dict[str, Any]]:
        record = self.corpus[item[1]]
        mol = parse(record.smiles)
        return self.featurize(mol), self.features[item[1]], answers(self.questions, record, mol)

    def together(self, items: Sequence[tuple[Any, np.ndarray, dict[str, Any]]]) -> GraphBatch:
        """A batch; there are no labels in it."""
        graphs, features, targets = zip(*items, strict=True)
        asked = {
            name: (
                torch.from_numpy(np.stack([target[name].values for target in targets])),
                torch.from_numpy(np.stack([target[name].known for target in targets])),
            )
            for name in self.questions
        }
        seen = torch.from_numpy(np.stack(features)).float()
        nothing = torch.zeros(len(items), 0)
        return GraphBatch(self.collate(graphs), nothing, seen, nothing.long(), asked)


@final
class Teaching(lightning.LightningModule):
    """A student with its way to the teacher's width, and what it is asked.

    Args:
        predictor: the student; its task head is not used.
        heads: of the student's own, for the questions as the molecules answer them.
        recipe: settings.
        guide: the teacher's frozen heads; None without a teacher.
        scale: the form in which the teacher's features are learned.
    """

    def __init__(
        self,
        predictor: Predictor,
        heads: nn.ModuleDict,
        recipe: TeachRecipe,
        guide: nn.ModuleDict | None,
        scale: FeatureScale,
    ) -> None:
        super().__init__()
        self.predictor, self.heads, self.recipe, self.scale = predictor, heads, recipe, scale
        self.frozen = [] if guide is None else [guide]  # in a list: neither trained nor saved with the student

    def on_fit_start(self) -> None:
        self.frozen = on_device(self.frozen, self.device)

    def terms(self, batch: GraphBatch) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Named losses and their weights; those that do not apply are not there."""
        recipe, terms, weights = self.recipe, {}, {}
        features, _ = self.predictor(batch.graphs)
        pictured = ~batch.features.isnan().any(dim=1)
        if self.frozen and pictured.any():
            own, seen = features[pictured], batch.features[pictured]
            if recipe.features:
                terms["features"] = mse_loss(own, self.scale(seen))
                weights["features"] = recipe.features
            if recipe.ke:
                knowledge = knowledge_enhancer(self.frozen[0], self.scale.back(own), seen)
                terms |= {f"ke_{name}": term for name, term in knowledge.items()}
                weights |= dict.fromkeys((f"ke_{name}" for name in knowledge), recipe.ke)
        for name, head in self.heads.items():
            assert isinstance(head, PriorHead)
            values, known = batch.answers[name]
            error = smooth_l1_loss(head(features), head.standardise(values), reduction="none")
            terms[f"prior_{name}"], weights[f"prior_{name}"] = masked_mean(error, known), recipe.priors
        return terms, weights

    def _loss(self, batch: GraphBatch, stage: str) -> Tensor:
        loss = weigh(*self.terms(batch))
        named = {f"{stage}/{name}": value for name, value in loss.parts.items()}
        count = len(batch.labels)
        self.log_dict(named | {f"{stage}/loss": loss.total.detach()}, on_step=False, on_epoch=True, batch_size=count)
        return loss.total

    def training_step(self, batch: GraphBatch) -> Tensor:
        return self._loss(batch, "train")

    def validation_step(self, batch: GraphBatch) -> None:
        self._loss(batch, "valid")

    def configure_optimizers(self) -> Any:
        recipe, steps = self.recipe, int(self.trainer.estimated_stepping_batches)
        lr = LR[False] if recipe.lr is None else recipe.lr
        optimizer = torch.optim.AdamW(self.parameters(), lr=lr, weight_decay=recipe.weight_decay, fused=True)
        schedule = one_cycle(optimizer, lr, steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def corpus_features(guide: ImageTeacher, corpus: Corpus, folder: Path, *, jobs: int) -> np.ndarray:
    """What the teacher sees in all molecules of a corpus, half precision (molecules, dim); finished parts are kept."""
    parts = [range(start, min(start + PART, len(corpus))) for start in range(0, len(corpus), PART)]
    paths = [folder / f"part-{number:05}.npy" for number in range(len(parts))]
    with progress() as bars:
        bar = bars.add_task("showing the corpus to the teacher", total=len(corpus))
        for path, rows in zip(paths, parts, strict=True):
            if not path.is_file():
                records = [corpus[row] for row in rows]
                wanted = [(record.smiles, record.geometry) for record in records]
                seen = []
                for some in guide.look(wanted, jobs=jobs):
                    seen += [features for _, features, _ in some]
                    bars.advance(bar, len(some))
                with whole(path, parents=True) as partial, partial.open("wb") as file:
                    np.save(file, np.stack(seen).astype(np.float16))
            else:
                bars.advance(bar, len(rows))
    return np.concatenate([np.load(path, allow_pickle=False) for path in paths])


def teach_student(
    corpus: Path, *, out: Path, student: str, start: str, teacher: str, recipe: TeachRecipe, seed: int, jobs: int | None
) -> None:
    """Teach, resuming where an interrupted run of the same settings was; see ``iem.workflows.teach``."""
    begin = find_start(start, student)
    if begin is None and start != "none":
        raise ConfigError("--start", start, f"none comes along for the student {student}; say none, or name a folder")
    lr = LR[begin is not None] if recipe.lr is None else recipe.lr
    recipe = replace(recipe, lr=lr, precision=precision_of(recipe.precision))
    torch.manual_seed(seed)
    network = build_student(student, dropout=recipe.dropout)
    guide = None if teacher == "none" else load_teacher(teacher)
    asked, molecules = recipe.questions, school_corpus(corpus, recipe.batch_size, pictures=guide is not None)
    if molecules.is_flat:
        recipe = replace(recipe, questions=tuple(name for name in recipe.questions if name in FLAT))
    questions = recipe.questions if recipe.priors else ()
    if guide is None and not questions:
        raise ConfigError("--questions", ",".join(asked), "molecules without conformers answer none of them")
    settings = {
        "student": student,
        "start": begin.digest[:16] if begin else "none",
        "teacher": "none" if guide is None else " ".join(guide.causes),
        **asdict(recipe),
    }
    with open_run(out, settings | {"seed": seed, "corpus": molecules.digest}, kind="student"):
        workers = (os.cpu_count() or 1) if jobs is None else jobs
        seen = np.zeros((len(molecules), 0), np.float16)
        if guide is not None:
            seen = corpus_features(guide, molecules, out / "features", jobs=max(1, workers))
        train, valid = held_out_part(len(molecules), recipe.batch_size, seed)
        width = common_width(guide and guide.teacher.dim, begin)
        predictor = Predictor(network, tasks=1, task="regression", dim=width, bf16=recipe.precision == "bf16")
        if begin is not None:
            begin.give(predictor)
        ask(molecules, questions, jobs=workers)
        heads = prior_heads(predictor.project.out_features, {name: PRIORS[name].size for name in questions})
        set_scales(heads, prior_statistics(molecules, train, questions, seed=seed))
        pictured = train[~np.isnan(seen[train]).any(axis=1)] if guide else train[:0]
        scale = None if guide is None else scale_of(begin, guide.causes)
        if scale is None:
            scale = FeatureScale.of(seen[pictured]) if len(pictured) else FeatureScale(width)
            if begin is not None and len(pictured):
                rows = pictured[:ALIGNED]
                batches = (
                    network.collate(
                        [network.featurize(parse(molecules[row].smiles)) for row in rows[first:][:EMBEDDED]]
                    )
                    for first in range(0, len(rows), EMBEDDED)
                )
                align(predictor, batches, seen[rows], scale)
        module = Teaching(predictor, heads, recipe, guide.teacher.heads if guide else None, scale)

        rounds, length = -(-recipe.visits // recipe.round), min(recipe.round, recipe.visits)
        watch = Watch("teaching the student", visits=rounds * length, round=length, batch=recipe.batch_size)
        card: dict[str, Any] = {
            "student": student,
            "teacher": None if guide is None else guide.teacher.card["digest"],
            "looks": None if guide is None else list(guide.causes),
            "start": None
            if begin is None
            else {"digest": begin.digest, "pictures": begin.pictures, "about": str(begin)},
            "recipe": asdict(recipe) | {"seed": seed},
            "corpus": {"digest": molecules.digest, "molecules": len(molecules), "held_out": len(valid)},
            "licence": "MIT",
        }

        def keep(module: Teaching) -> None:
            tensors = {
                name: tensor
                for name, tensor in module.predictor.state_dict().items()
                if name.startswith(("student.", "project."))
            }
            if guide is not None:
                tensors |= {f"scale.{name}": tensor for name, tensor in module.scale.state_dict().items()}
            artifact.save(out, artifact.halved(tensors), card | {"curve": watch.curve}, kind="student")

        checkpoint = out / "checkpoint.ckpt"
        best = Checkpoints(checkpoint, seed=seed, monitor="valid/loss", keep=keep)
        trainer = quiet_trainer(max_epochs=rounds, callbacks=[watch, best, CurveFiles(out, watch.curve)])
        lessons = Lessons(molecules, network, questions, seen)
        walk = Rounds(train, length=length, seed=seed, multiple=recipe.batch_size)
        loading: dict[str, Any] = {
            "batch_size": recipe.batch_size,
            "num_workers": workers,
            "persistent_workers": workers > 0,
            "collate_fn": lessons.together,
        }
        loader = DataLoader(lessons, sampler=walk, **loading)
        still = DataLoader(lessons, sampler=[(0, int(index)) for index in valid], **loading)
        say(
            f"{len(train):,} molecules to learn from, {len(valid):,} held out; {rounds * length:,} visits"
            + (f"; the student begins {begin}" if begin else "")
            + (f"; going on from {checkpoint.name}" if checkpoint.exists() else "")
        )
        with progress("note") as watch.bars, one_thread():
            run_to_end(trainer, module, loader, still, checkpoint=checkpoint)
        write_json(out / "curve.json", watch.curve)
        say(f"best held-out loss {-best.best:.3f}; iem fit --start {out} begins where this student ended")
