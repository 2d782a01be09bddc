"""A student with its way to the teacher's width and its task head; and several of them as a model folder."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from iem import artifact
from iem.students.base import Student

TEACHER_DIM = 512
"""d_v of ResNet-18, on which graph features are brought (section 3.4)."""

RIDGE = 0.1
"""Of the first guess at the way there, per molecule."""


def task_head(dim: int, tasks: int, hidden: int) -> nn.Module:
    """From features to logits: through a hidden layer with ReLU, or in a straight line if its width is 0."""
    if not hidden:
        return nn.Linear(dim, tasks)
    return nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, tasks))


@final
class Predictor(nn.Module):
    """Student, one fully connected layer to d_v, task head (section 3.4).

    Args:
        student: the graph network.
        tasks: number of targets.
        task: ``classification`` or ``regression``.
        dim: d_v.
        hidden: width of the hidden layer of the task head; 0 for a linear one, as in the paper.
        bf16: the student trains in bfloat16; its weights, normalisations and heads stay in single precision, and so
            do predictions, unless they are asked for otherwise.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        student: Student,
        *,
        tasks: int,
        task: str,
        dim: int = TEACHER_DIM,
        hidden: int = 0,
        bf16: bool = False,
    ) -> None:
        super().__init__()
        self.student, self.task, self.bf16 = student, task, bf16
        self.project = nn.Linear(student.dim, dim)
        self.head = task_head(dim, tasks, hidden)
        self.register_buffer("mean", torch.zeros(tasks))
        self.register_buffer("std", torch.ones(tasks))

    def fit_scale(self, labels: np.ndarray) -> None:
        """Take the scale of regression targets from the training labels ``(molecules, tasks)``, NaN where missing."""
        if self.task != "regression":
            return
        known = np.ma.masked_invalid(labels)
        std = known.std(axis=0).filled(1)
        self.mean.copy_(torch.from_numpy(known.mean(axis=0).filled(0)))
        self.std.copy_(torch.from_numpy(np.where(std > 1e-9, std, 1)))

    def standardise(self, labels: Float[Tensor, "batch tasks"]) -> Float[Tensor, "batch tasks"]:
        """Labels in the units of the logits."""
        return (labels - self.mean) / self.std

    @torch.no_grad()
    def align(self, embeddings: Float[Tensor, "molecules width"], wanted: Float[Tensor, "molecules dim"]) -> None:
        """Let the way to the teacher's width begin at the best linear guess, instead of anywhere.

        Ridge regression in closed form; its strength is a tenth of the number of molecules, in standard units of the
        embeddings.

        Args:
            embeddings: of the student, which should embed as it does when it trains.
            wanted: what its features should be for these molecules.
        """
        inputs, outputs = embeddings.double(), wanted.double()
        centre, mean = inputs.mean(dim=0), outputs.mean(dim=0)
        unit = inputs.std(dim=0, unbiased=False).clamp(min=1e-6)
        inputs, outputs = (inputs - centre) / unit, outputs - mean
        strength = RIDGE * len(inputs) * torch.eye(inputs.shape[1], dtype=inputs.dtype, device=inputs.device)
        weight = torch.linalg.solve(inputs.T @ inputs + strength, inputs.T @ outputs) / unit[:, None]
        self.project.weight.copy_(weight.T)
        self.project.bias.copy_(mean - centre @ weight)

    def forward(
        self, batch: Any, *, bf16: bool = False
    ) -> tuple[Float[Tensor, "batch dim"], Float[Tensor, "batch tasks"]]:
        """Features F^g at the teacher's width, and logits; ``bf16`` has the student predict in bfloat16, too."""
        device, dtype = self.mean.device.type, self.mean.dtype
        half = bf16 or (self.bf16 and self.training)
        with torch.autocast(device, torch.bfloat16) if half else nullcontext():
            embedding = self.student(batch)
        features = self.project(embedding.to(dtype))
        return features, self.head(features)

    def to_output(self, logits: Float[Tensor, "batch tasks"]) -> Float[Tensor, "batch tasks"]:
        """Probabilities for classification; values in the original unit for regression."""
        return logits.sigmoid() if self.task == "classification" else logits * self.std + self.mean


def save_model(
    folder: Path, states: Sequence[Mapping[str, Tensor]], card: Mapping[str, Any], others: Mapping[str, Tensor]
) -> str:
    """Write a model folder: the weights of one predictor per seed, and the card.

    Args:
        folder: exists.
        states: of each predictor its ``state_dict``.
        card: task, targets, student and what else there is to know.
        others: tensors of what else predicts, by names of their own.

    Returns:
        Digest of the weights.
    """
    tensors = {f"seed{seed}.{name}": tensor for seed, state in enumerate(states) for name, tensor in state.items()}
    return artifact.save(folder, {**tensors, **others}, card, kind="model")
