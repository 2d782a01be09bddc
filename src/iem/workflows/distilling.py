"""How one student is trained: by labels, and by what the frozen teacher says (eq. 5 to 8)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, final

import lightning
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from iem.data.datasets import GraphBatch, Rounds
from iem.losses.enhancers import knowledge_enhancer, task_enhancer, task_loss
from iem.losses.terms import masked_mean, weigh
from iem.nn.heads import PriorHead, prior_heads
from iem.students.predictor import Predictor
from iem.workflows.checkpoint import Checkpoints
from iem.workflows.fit import FitRecipe
from iem.workflows.metrics import mean_score, scores
from iem.workflows.training import one_thread, quiet_trainer, run_to_end

EVALUATION_BATCH = 256


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """The settings of one training."""

    task: Literal["classification", "regression"]
    epochs: int
    batch_size: int
    lr: float
    patience: int | None
    ke: float
    """λ_KE of eq. 8."""
    te: float
    """λ_TE of eq. 8."""
    priors: float = 0.0
    """Weight of the prior questions as plain auxiliary tasks, answered from the molecule itself: no picture."""
    te_head: Literal["own", "shared"]
    """Who turns teacher features into task logits: a head of their own, trained on the labels along the way, or the
    student's task head, as the paper draws it."""
    seed: int

    @classmethod
    def of(
        cls, recipe: FitRecipe, *, task: Literal["classification", "regression"], seed: int, **others: Any
    ) -> "Lesson":
        """From a recipe whose weights are numbers; ``others`` are settings that take the place of its own."""
        settings = {
            name: getattr(recipe, name) for name in ("epochs", "batch_size", "lr", "patience", "te_head", "ke", "te")
        }
        return cls(task=task, seed=seed, **(settings | others))


class Molecules(NamedTuple):
    """Everything about some molecules that training needs; row i is the same molecule everywhere."""

    graphs: Sequence[Any]
    labels: np.ndarray
    """float64 (molecules, targets), as given; NaN where missing."""
    features: np.ndarray
    """float32 (molecules, dim), the teacher's; NaN rows where there is no picture, width 0 without a teacher."""
    atoms: np.ndarray
    """Heavy atoms, int64 (molecules,)."""
    answers: Mapping[str, tuple[np.ndarray, np.ndarray]] = MappingProxyType({})
    """To prior questions, by name: standardised float32 values and where they are known, (molecules, size) each."""

    def loader(self, student: Any, rows: np.ndarray, *, batch_size: int, shuffle_seed: int | None) -> DataLoader:
        """Batches of the molecules in these rows, shuffled anew in every epoch if a seed is given."""
        labels, features = torch.from_numpy(self.labels).float(), torch.from_numpy(self.features)
        atoms = torch.from_numpy(self.atoms)
        answers = {
            name: (torch.from_numpy(values), torch.from_numpy(known)) for name, (values, known) in self.answers.items()
        }

        def collate(items: Sequence[tuple[int, int]]) -> GraphBatch:
            picked = [index for _, index in items]
            graphs = student.collate([self.graphs[index] for index in picked])
            asked = {name: (values[picked], known[picked]) for name, (values, known) in answers.items()}
            return GraphBatch(graphs, labels[picked], features[picked], atoms[picked], asked)

        if shuffle_seed is None:
            order: Any = [(0, int(row)) for row in rows]
        else:
            order = Rounds(rows, length=len(rows), seed=shuffle_seed)
        alone = shuffle_seed is not None and len(rows) % batch_size == 1  # batch norm cannot learn from one atom
        return DataLoader(_Same(), sampler=order, batch_size=batch_size, collate_fn=collate, drop_last=alone)


class _Same(Dataset[tuple[int, int]]):
    """The identity as a dataset: what the sampler names is what the collate function gets."""

    def __getitem__(self, index: tuple[int, int]) -> tuple[int, int]:
        return index


@final
class FeatureJudge(nn.Module):
    """A linear task head on teacher features, standardised over the training molecules that have a picture.

    Args:
        features: of these molecules, float32 (molecules, dim), at least one.
        tasks: number of targets.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, features: np.ndarray, tasks: int) -> None:
        super().__init__()
        seen = torch.from_numpy(features)
        self.register_buffer("mean", seen.mean(dim=0))
        self.register_buffer("std", seen.std(dim=0, unbiased=False).clamp(min=1e-6))
        self.linear = nn.Linear(features.shape[1], tasks)

    def forward(self, features: Tensor) -> Tensor:
        return self.linear((features - self.mean) / self.std)


@final
class Distillation(lightning.LightningModule):
    """L = L_T + λ_KE L_KE + λ_TE L_TE (eq. 8). Molecules without a picture take part in L_T only.

    Args:
        predictor: the student with its heads.
        lesson: settings.
        heads: the teacher's frozen prior heads; None for a teacher that has none, and then there is no L_KE.
        judge: the teacher's own task head, where ``lesson.te_head`` is ``own``.
        auxiliary: heads of the student's own for the answers that come with the molecules.
    """

    def __init__(
        self,
        predictor: Predictor,
        lesson: Lesson,
        heads: nn.ModuleDict | None,
        judge: FeatureJudge | None,
        auxiliary: nn.ModuleDict | None = None,
    ) -> None:
        super().__init__()
        self.predictor, self.lesson, self.judge, self.auxiliary = predictor, lesson, judge, auxiliary
        self.frozen = [] if heads is None else [heads]  # in a list: neither trained nor saved with the student
        self.outputs: list[Tensor] = []
        self.truths: list[Tensor] = []

    def training_step(self, batch: GraphBatch) -> Tensor:
        features, logits = self.predictor(batch.graphs)
        labels = self.predictor.standardise(batch.labels)
        terms, weights = lesson_terms(
            features,
            logits,
            labels,
            self.lesson.task,
            seen=batch.features,
            atoms=batch.atoms,
            heads=self.frozen[0] if self.frozen else None,
            judge=self.judge or self.predictor.head,
            ke=self.lesson.ke,
            te=self.lesson.te,
        )
        if self.auxiliary is not None:
            for name, head in self.auxiliary.items():
                values, present = batch.answers[name]
                terms[f"prior_{name}"] = masked_mean((head(features) - values).abs(), present)
                weights[f"prior_{name}"] = self.lesson.priors
        loss = weigh(terms, weights)
        self.log_dict(
            {f"train/{name}": value for name, value in loss.parts.items()} | {"train/loss": loss.total.detach()},
            on_step=False,
            on_epoch=True,
            batch_size=len(labels),
        )
        return loss.total

    def validation_step(self, batch: GraphBatch) -> None:
        self.outputs.append(self.predictor.to_output(self.predictor(batch.graphs)[1]))
        self.truths.append(batch.labels)

    def on_validation_epoch_end(self) -> None:
        outputs, truths = torch.cat(self.outputs).cpu().numpy(), torch.cat(self.truths).cpu().numpy()
        self.outputs, self.truths = [], []
        figure = mean_score(scores(self.lesson.task, truths, outputs))
        if np.isnan(figure):  # no target has both classes: the best guess at an order of epochs is the likelihood
            known = ~np.isnan(truths)
            figure = float(np.log(np.clip(np.abs(1 - truths - outputs), 1e-7, 1))[known].mean())
        self.log("valid/score", figure)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.lesson.lr, fused=True)


def lesson_terms(
    features: Float[Tensor, "batch dim"],
    logits: Float[Tensor, "batch tasks"],
    labels: Float[Tensor, "batch tasks"],
    task: str,
    *,
    seen: Float[Tensor, "batch width"],
    atoms: Int[Tensor, " batch"],
    heads: nn.ModuleDict | None,
    judge: nn.Module,
    ke: float,
    te: float,
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """The terms of eq. 8 by name, and their weights; those that do not apply are not there.

    Args:
        features: F^g at the teacher's width.
        logits: of the student.
        labels: in the units of the logits, NaN where missing.
        task: ``classification`` or ``regression``.
        seen: F^v, the teacher's features; NaN rows for molecules without a picture, width 0 without a teacher.
        atoms: heavy atoms of each molecule.
        heads: the teacher's frozen prior heads, if it has any.
        judge: makes task logits from the teacher's features; a ``FeatureJudge`` learns to along the way.
        ke: λ_KE.
        te: λ_TE.
    """
    terms, weights = {"task": task_loss(logits, labels, task)}, {"task": 1.0}
    pictured = ~seen.isnan().any(dim=1)
    if not seen.shape[1] or not pictured.any():
        return terms, weights
    seen = seen[pictured]
    if ke and heads is not None:
        knowledge = knowledge_enhancer(heads, features[pictured], seen, _known(heads, atoms[pictured]))
        terms |= {f"ke_{name}": term for name, term in knowledge.items()}
        weights |= dict.fromkeys((f"ke_{name}" for name in knowledge), ke)
    if te:
        opinion = judge(seen)
        terms["te"], weights["te"] = task_enhancer(logits[pictured], opinion), te
        if isinstance(judge, FeatureJudge):  # its own parameters only, so the weight does not matter
            terms["judge"], weights["judge"] = task_loss(opinion, labels[pictured], task), 1.0
    return terms, weights


def _known(heads: nn.ModuleDict, atoms: Tensor) -> dict[str, Tensor]:
    """The geometry prior answers for the atoms that a molecule has: 3n coordinates."""
    if "geometry" not in heads:
        return {}
    geometry = heads["geometry"]
    assert isinstance(geometry, PriorHead)
    size = geometry.second.out_features
    return {"geometry": torch.arange(size, device=atoms.device) < 3 * atoms[:, None]}


class Trained(NamedTuple):
    """What one training leaves behind."""

    weights: dict[str, Tensor]
    """Of the predictor at the best validation score."""
    best_epoch: int
    curve: list[dict[str, float]]
    """Per epoch: ``epoch``, ``loss``, ``valid``."""


@final
class Curve(lightning.Callback):
    """Collects the learning curve and reports each epoch."""

    def __init__(self, tick: Callable[[int, float], None]) -> None:
        self.tick = tick
        self.points: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        means = {name: float(value) for name, value in trainer.callback_metrics.items()}
        parts = {name.removeprefix("train/"): value for name, value in means.items() if name.startswith("train/")}
        self.points.append({"epoch": trainer.current_epoch + 1, "valid": means["valid/score"]} | parts)
        self.tick(trainer.current_epoch + 1, means["valid/score"])

    def state_dict(self) -> dict[str, Any]:
        return {"points": self.points}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.points = state_dict["points"]


@final
class Best(lightning.Callback):
    """The best weights so far; they survive an interruption in the trainer's checkpoint."""

    def __init__(self) -> None:
        self.weights: dict[str, Tensor] = {}

    def keep(self, module: Distillation) -> None:
        self.weights = {name: tensor.detach().clone() for name, tensor in module.predictor.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        return {"weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.weights = state_dict["weights"]


@one_thread()
def train_student(
    predictor: Predictor,
    molecules: Molecules,
    train: np.ndarray,
    valid: np.ndarray,
    lesson: Lesson,
    *,
    heads: nn.ModuleDict | None,
    checkpoint: Path,
    tick: Callable[[int, float], None],
) -> Trained:
    """Train one student, going on from the checkpoint if there is one.

    Args:
        predictor: freshly initialised under the lesson's seed.
        molecules: all of the table.
        train: rows to learn from.
        valid: rows that choose the epoch whose weights are kept.
        lesson: settings.
        heads: the teacher's prior heads; None where there are none, or no teacher.
        checkpoint: file that holds the state of an unfinished training.
        tick: called after each epoch with its number and validation score.
    """
    torch.manual_seed(lesson.seed)
    seen = molecules.features[train]
    seen = seen[~np.isnan(seen).any(axis=1)] if seen.shape[1] else seen[:0]
    taught = lesson.te and lesson.te_head == "own" and len(seen)
    judge = FeatureJudge(seen, molecules.labels.shape[1]) if taught else None
    sizes = {name: values.shape[1] for name, (values, _) in molecules.answers.items()}
    auxiliary = prior_heads(predictor.head.in_features, sizes) if lesson.priors and sizes else None
    student = predictor.student
    best, curve = Best(), Curve(tick)
    keeper = Checkpoints(
        checkpoint,
        seed=lesson.seed,
        monitor="valid/score",
        larger_is_better=lesson.task == "classification",
        keep=best.keep,
        every=5,
        patience=lesson.patience,
    )
    trainer = quiet_trainer(max_epochs=lesson.epochs, callbacks=[curve, best, keeper])
    run_to_end(
        trainer,
        Distillation(predictor, lesson, heads, judge, auxiliary),
        molecules.loader(student, train, batch_size=lesson.batch_size, shuffle_seed=lesson.seed),
        molecules.loader(student, valid, batch_size=EVALUATION_BATCH, shuffle_seed=None),
        checkpoint=checkpoint,
    )
    return Trained(best.weights, keeper.best_epoch + 1, curve.points)


@torch.inference_mode()
def outputs_of(predictor: Predictor, molecules: Molecules, rows: np.ndarray) -> np.ndarray:
    """Probabilities, or values in their own unit, float64 (rows, targets)."""
    predictor.eval()
    loader = molecules.loader(predictor.student, rows, batch_size=EVALUATION_BATCH, shuffle_seed=None)
    return torch.cat([predictor.to_output(predictor(batch.graphs)[1]) for batch in loader]).double().numpy()
