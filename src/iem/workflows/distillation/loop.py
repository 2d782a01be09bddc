"""How one student is trained: the loop around the lessons."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast, final

import lightning
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from iem.data.datasets import GraphBatch
from iem.errors import ContractError
from iem.losses.enhancers import answer_units
from iem.losses.terms import masked_mean, weigh
from iem.nn.heads import prior_heads
from iem.nn.scale import FeatureScale
from iem.report.text import plural
from iem.students.predictor import Predictor
from iem.workflows.distillation.batching import Molecules
from iem.workflows.distillation.lessons import FeatureJudge, Lesson, known_answers, lesson_terms, positive_weights
from iem.workflows.distillation.scales import common_scale
from iem.workflows.measures.metrics import mean_score, scores
from iem.workflows.running.checkpoint import Checkpoints
from iem.workflows.running.trainer import on_device, one_cycle, one_thread, quiet_trainer, run_to_end

EVALUATION_BATCH = 1000
SAVED = 5
"""Epochs from one checkpoint to the next."""
DIVERGED = 1e6
"""Weights from here on are no longer those of a training that learns."""
OWN = ("task", "judge")
"""Terms that follow from labels; all others are the teacher's or the priors', whose weights may grow."""


@final
class Distillation(lightning.LightningModule):
    """L = L_T + λ_KE L_KE + λ_TE L_TE (eq. 8). Molecules without a picture take part in L_T only.

    Args:
        predictor: the student with its heads.
        lesson: settings.
        heads: the teacher's frozen prior heads; None for a teacher that has none, and then there is no L_KE.
        judge: the teacher's own task head, where ``lesson.te_head`` is ``own``.
        auxiliary: heads of the student's own for the answers that come with the molecules.
        positive: weights of positives, by target.
        units: of the teacher's answers, by prior.
        scale: the form in which the teacher's features are learned; as they are, if None.
    """

    positive: Tensor | None

    def __init__(
        self,
        predictor: Predictor,
        lesson: Lesson,
        *,
        heads: nn.ModuleDict | None,
        judge: FeatureJudge | None,
        auxiliary: nn.ModuleDict | None,
        positive: Tensor | None,
        units: Mapping[str, float] | None,
        scale: FeatureScale | None,
    ) -> None:
        super().__init__()
        self.predictor, self.lesson, self.judge, self.auxiliary = predictor, lesson, judge, auxiliary
        self.units, self.scale = units, scale
        self.average = averaged(predictor, lesson.average) if lesson.average > 1 else None
        self.register_buffer("positive", positive, persistent=False)
        self.frozen = [] if heads is None else [heads]  # in a list: neither trained nor saved with the student
        self.outputs: list[Tensor] = []
        self.truths: list[Tensor] = []

    @property
    def steady(self) -> Predictor:
        """The predictor as it is validated and kept: with the moving average of its weights, if there is one."""
        return self.predictor if self.average is None else cast(Predictor, self.average.module)

    def on_fit_start(self) -> None:
        self.frozen = on_device(self.frozen, self.device)

    def on_train_batch_end(self, outputs: Any, batch: GraphBatch, batch_idx: int) -> None:
        if self.average is not None:
            self.average.update_parameters(self.predictor)

    def on_train_epoch_start(self) -> None:
        self.predictor.train()
        cast(nn.Module, self.predictor.student).train(self.lesson.norms != "kept")

    def training_step(self, batch: GraphBatch, batch_idx: int) -> Tensor:
        features, logits = self.predictor(batch.graphs)
        self.examine(features, batch)
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
            positive=self.positive,
            units=self.units,
            scale=self.scale,
        )
        if self.auxiliary is not None:
            for name, head in self.auxiliary.items():
                values, present = batch.answers[name]
                terms[f"prior_{name}"] = masked_mean((head(features) - values).abs(), present)
                weights[f"prior_{name}"] = self.lesson.priors
        if self.lesson.ramp:
            grown = min(1.0, (self.current_epoch + batch_idx / self.trainer.num_training_batches) / self.lesson.ramp)
            weights = {name: weight if name in OWN else grown * weight for name, weight in weights.items()}
        loss = weigh(terms, weights)
        self.log_dict(
            {f"train/{name}": value for name, value in loss.parts.items()} | {"train/loss": loss.total.detach()},
            on_step=False,
            on_epoch=True,
            batch_size=len(labels),
        )
        return loss.total

    def examine(self, features: Tensor, batch: GraphBatch) -> None:
        """Tell a student that fails on some molecules from a training that diverges.

        Raises:
            ContractError: features that are not finite, from weights that are, and of an ordinary size.
        """
        broken = ~features.isfinite().all(dim=1)
        if not broken.any() or not all((weight.abs() < DIVERGED).all() for weight in self.predictor.parameters()):
            return
        atoms = int(batch.atoms[broken][0])
        raise ContractError(
            f"the student returns features that are not finite for {int(broken.sum())} of {len(broken)} molecules in "
            f"epoch {self.current_epoch + 1}, the first of them with {plural(atoms, 'heavy atom')}, while its weights "
            "are finite; iem.testing.check_student(student, smiles=[...]) looks for the reason"
        )

    def validation_step(self, batch: GraphBatch) -> None:
        features, logits = self.steady(batch.graphs)
        self.examine(features, batch)
        self.outputs.append(self.predictor.to_output(logits))
        self.truths.append(batch.labels)

    def on_validation_epoch_end(self) -> None:
        outputs, truths = torch.cat(self.outputs).cpu().numpy(), torch.cat(self.truths).cpu().numpy()
        self.outputs, self.truths = [], []
        figure = mean_score(scores(self.lesson.task, truths, outputs))
        if np.isnan(figure):  # no target has both classes: the best guess at an order of epochs is the likelihood
            known = ~np.isnan(truths)
            figure = float(np.log(np.clip(np.abs(1 - truths - outputs), 1e-7, 1))[known].mean())
        self.log("valid/score", figure)

    def configure_optimizers(self) -> Any:
        lr, steps = self.lesson.lr, int(self.trainer.estimated_stepping_batches)
        learning = [part for part in (self.predictor, self.judge, self.auxiliary) if part is not None]
        optimizer = torch.optim.Adam(nn.ModuleList(learning).parameters(), lr=lr, fused=True)
        if self.lesson.schedule == "constant":
            return optimizer
        schedule: LRScheduler = CosineAnnealingLR(optimizer, steps)
        if self.lesson.schedule == "one-cycle":
            schedule = one_cycle(optimizer, lr, steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def averaged(predictor: Predictor, steps: float) -> AveragedModel:
    """A copy of a predictor for the exponential moving average of its weights, over so many steps (decay 1 − 1/steps).

    What is not a weight is taken from the last step: statistics of normalisations are such averages themselves, and a
    number of a table, averaged with itself, would be rounded down.

    Raises:
        ContractError: the student cannot be copied.
    """
    try:
        return AveragedModel(predictor, multi_avg_fn=get_ema_multi_avg_fn(1 - 1 / steps))
    except (RuntimeError, TypeError) as error:  # what copy.deepcopy says
        raise ContractError(
            f"the student cannot be copied, as averaging its weights needs ({error}); say --average 0"
        ) from error


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
        for point in self.points:  # whoever judges a training hears of all its epochs, as in an unbroken one
            self.tick(int(point["epoch"]), point["valid"])


@final
class Best(lightning.Callback):
    """The best weights so far; they survive an interruption in the trainer's checkpoint."""

    def __init__(self) -> None:
        self.weights: dict[str, Tensor] = {}

    def keep(self, module: Distillation) -> None:
        tensors = module.steady.state_dict()
        self.weights = {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}

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
    extra: np.ndarray | None = None,
    scale: FeatureScale | None = None,
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
        extra: rows without labels that learn along, one for each of ``train`` in a step.
        scale: the form in which the student has learned these features before; that of these molecules, if None.
    """
    torch.manual_seed(lesson.seed)
    learners = train if extra is None else np.concatenate([train, extra])
    if lesson.space != "roots" or not (lesson.ke or lesson.te):  # without weight, pictures do not even begin
        scale = None
    elif scale is None:
        scale = common_scale(predictor, molecules, pictured(molecules, learners), knows=lesson.norms == "kept")
    judge = None
    if lesson.te and lesson.te_head == "own":
        seen = molecules.features[pictured(molecules, train)]
        if len(seen):
            seen = seen if scale is None else scale(torch.from_numpy(seen)).numpy()
            judge = FeatureJudge(seen, molecules.labels.shape[1])
        else:  # what has no picture among the labelled has nothing to learn an opinion from
            lesson = replace(lesson, te=0.0)
    units = None
    if heads is not None and lesson.ke and lesson.ke_scale == "unit":
        rows = pictured(molecules, learners)
        features, atoms = torch.from_numpy(molecules.features[rows]), torch.from_numpy(molecules.atoms[rows])
        units = answer_units(heads, features, known_answers(heads, atoms))
    sizes = {name: values.shape[1] for name, (values, _) in molecules.answers.items()}
    auxiliary = prior_heads(predictor.project.out_features, sizes) if lesson.priors and sizes else None
    positive = positive_weights(molecules.labels[train]) if lesson.class_weights == "balanced" else None
    student = predictor.student
    best, curve = Best(), Curve(tick)
    keeper = Checkpoints(
        checkpoint,
        seed=lesson.seed,
        monitor="valid/score",
        larger_is_better=lesson.task == "classification",
        keep=best.keep,
        every=SAVED,
        patience=lesson.patience,
    )
    trainer = quiet_trainer(max_epochs=lesson.epochs, callbacks=[curve, best, keeper])
    run_to_end(
        trainer,
        Distillation(
            predictor,
            lesson,
            heads=heads,
            judge=judge,
            auxiliary=auxiliary,
            positive=positive,
            units=units,
            scale=scale,
        ),
        molecules.loader(student, train, batch_size=lesson.batch_size, shuffle_seed=lesson.seed, extra=extra),
        molecules.loader(student, valid, batch_size=EVALUATION_BATCH, shuffle_seed=None),
        checkpoint=checkpoint,
    )
    return Trained(best.weights, keeper.best_epoch + 1, curve.points)


def pictured(molecules: Molecules, rows: np.ndarray) -> np.ndarray:
    """Those of some rows that the teacher has seen."""
    features = molecules.features[rows]
    return rows[~np.isnan(features).any(axis=1)] if features.shape[1] else rows[:0]


@torch.inference_mode()
def outputs_of(predictor: Predictor, molecules: Molecules, rows: np.ndarray) -> np.ndarray:
    """Probabilities, or values in their own unit, float64 (rows, targets)."""
    predictor.eval()
    loader = molecules.loader(predictor.student, rows, batch_size=EVALUATION_BATCH, shuffle_seed=None)
    return torch.cat([predictor.to_output(predictor(batch.graphs)[1]) for batch in loader]).double().numpy()
