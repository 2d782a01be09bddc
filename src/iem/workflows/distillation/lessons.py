"""What a student is told in one training step: by labels, and by the frozen teacher (eq. 5 to 8)."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from iem.losses.enhancers import knowledge_enhancer, task_enhancer, task_loss
from iem.nn.heads import PriorHead
from iem.nn.scale import FeatureScale
from iem.workflows.distillation.recipe import ClassWeights, FitRecipe, Norms, Scale, Schedule, Space


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """The settings of one training."""

    task: Literal["classification", "regression"]
    epochs: int
    batch_size: int
    lr: float
    patience: int | None
    norms: Norms | None = "batch"
    """``kept``: the student trains as it predicts, with the statistics it begins with and without dropout."""
    ke: float
    """λ_KE of eq. 8."""
    te: float
    """λ_TE of eq. 8."""
    priors: float = 0.0
    """Weight of the prior questions as plain auxiliary tasks, answered from the molecule itself: no picture."""
    te_head: Literal["own", "shared"]
    """Who turns teacher features into task logits: a head of their own, trained on the labels along the way, or the
    student's task head, as the paper draws it."""
    ke_scale: Scale = "none"
    """``unit``: every prior of L_KE counts in mean absolute deviations of the teacher's answers."""
    space: Space | None = "raw"
    """Where student and teacher meet; see ``FitRecipe``."""
    ramp: float = 0.0
    """Epochs over which the weights grow linearly from 0 to what they are."""
    class_weights: ClassWeights = "none"
    """``balanced``: of each target, positives together weigh as much as negatives."""
    average: float = 0.0
    """Steps over which the weights are averaged for validation and predictions; see ``FitRecipe``."""
    schedule: Schedule = "constant"
    """Of the learning rate, step by step until the last epoch."""
    seed: int

    @classmethod
    def of(
        cls, recipe: FitRecipe, *, task: Literal["classification", "regression"], seed: int, **others: Any
    ) -> "Lesson":
        """From a recipe whose weights are numbers; ``others`` are settings that take the place of its own."""
        shared = {field.name for field in fields(cls)} & {field.name for field in fields(recipe)}
        return cls(task=task, seed=seed, **({name: getattr(recipe, name) for name in shared} | others))


@final
class FeatureJudge(nn.Module):
    """A linear task head on teacher features, standardised over the training molecules that have a picture.

    No feature counts beyond what these have of it: one that is all but dead there may be thousands of their standard
    deviations away in a molecule without a label that learns along.

    Args:
        features: of these molecules, float32 (molecules, dim), at least one.
        tasks: number of targets.
    """

    mean: Tensor
    std: Tensor
    least: Tensor
    most: Tensor

    def __init__(self, features: np.ndarray, tasks: int) -> None:
        super().__init__()
        seen = torch.from_numpy(features)
        self.register_buffer("mean", seen.mean(dim=0))
        self.register_buffer("std", seen.std(dim=0, unbiased=False).clamp(min=1e-6))
        self.register_buffer("least", seen.amin(dim=0), persistent=False)
        self.register_buffer("most", seen.amax(dim=0), persistent=False)
        self.linear = nn.Linear(features.shape[1], tasks)

    def forward(self, features: Tensor) -> Tensor:
        return self.linear((features.clamp(self.least, self.most) - self.mean) / self.std)


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
    positive: Float[Tensor, " tasks"] | None = None,
    units: Mapping[str, float] | None = None,
    scale: FeatureScale | None = None,
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
        positive: see ``task_loss``; the judge learns under the same weights as the student.
        units: see ``knowledge_enhancer``.
        scale: the form in which the student learns the teacher's features, and in which the judge sees them; as they
            are, if None.
    """
    terms, weights = {"task": task_loss(logits, labels, task, positive)}, {"task": 1.0}
    pictured = ~seen.isnan().any(dim=1)
    if not seen.shape[1] or not pictured.any():
        return terms, weights
    seen = seen[pictured]
    if ke and heads is not None:
        known = known_answers(heads, atoms[pictured])
        own = features[pictured] if scale is None else scale.back(features[pictured])
        knowledge = knowledge_enhancer(heads, own, seen, known, units)
        terms |= {f"ke_{name}": term for name, term in knowledge.items()}
        weights |= dict.fromkeys((f"ke_{name}" for name in knowledge), ke)
    if te:
        opinion = judge(seen if scale is None else scale(seen))
        terms["te"], weights["te"] = task_enhancer(logits[pictured], opinion), te
        if isinstance(judge, FeatureJudge):  # its own parameters only, so the weight does not matter
            terms["judge"], weights["judge"] = task_loss(opinion, labels[pictured], task, positive), 1.0
    return terms, weights


def known_answers(heads: nn.ModuleDict, atoms: Int[Tensor, " batch"]) -> dict[str, Tensor]:
    """The geometry prior answers for the atoms that a molecule has: 3n coordinates. All other answers exist."""
    if "geometry" not in heads:
        return {}
    geometry = heads["geometry"]
    assert isinstance(geometry, PriorHead)
    size = geometry.second.out_features
    return {"geometry": torch.arange(size, device=atoms.device) < 3 * atoms[:, None]}


def positive_weights(labels: np.ndarray) -> Tensor:
    """Negatives by positives of each target, float32 (targets,): 1 where it has only one class.

    Args:
        labels: of the molecules to learn from, 0 or 1, NaN where missing, (molecules, targets).
    """
    positives, negatives = (labels == 1).sum(axis=0), (labels == 0).sum(axis=0)
    both = (positives > 0) & (negatives > 0)
    return torch.from_numpy(np.where(both, negatives / np.maximum(positives, 1), 1).astype(np.float32))
