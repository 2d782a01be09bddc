"""What the frozen teacher says to the student: the knowledge enhancer and the task enhancer."""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from iem.losses.terms import masked_mean


def knowledge_enhancer(
    heads: nn.ModuleDict,
    student: Float[Tensor, "batch dim"],
    teacher: Float[Tensor, "batch dim"],
    known: Mapping[str, Bool[Tensor, "batch _"]] | None = None,
    units: Mapping[str, float] | None = None,
) -> dict[str, Float[Tensor, ""]]:
    r"""Ask both sides the same frozen questions; the student should answer like the teacher (eq. 5).

    .. math:: L_{KE} = \sum_k |P_k(F^g) - P_k(F^v)|

    Args:
        heads: the four frozen prior heads :math:`P_k` by name.
        student: :math:`F^g`, graph features brought to the teacher's width.
        teacher: :math:`F^v`, picture features of the same molecules.
        known: components that exist, by prior (20 atoms' coordinates, say); all where a prior is not named.
        units: that each prior's distance is counted in, as ``answer_units`` gives them; 1 if there are none.

    Returns:
        One term per prior: the L1 distance, averaged over molecules and known components. Their sum is
        :math:`L_{KE}`. Gradients reach the student only.

    References:
        Xiang et al., IJCAI 2024, eq. 5.
    """
    terms = {}
    for name, head in heads.items():
        with torch.no_grad():
            wanted = head(teacher)
        gap = (head(student) - wanted).abs()
        term = masked_mean(gap, known[name]) if known and name in known else gap.mean()
        terms[name] = term / units[name] if units else term
    return terms


@torch.no_grad()
def answer_units(
    heads: nn.ModuleDict, teacher: Float[Tensor, "molecules dim"], known: Mapping[str, Bool[Tensor, "molecules _"]]
) -> dict[str, float]:
    """How far the teacher's answers to each prior lie from their mean: mean absolute deviation over known components.

    A student that answers every prior with the teacher's mean is then wrong by one unit in each. A prior to which the
    teacher always says the same keeps the unit 1.

    Args:
        heads: the frozen prior heads.
        teacher: picture features of the molecules to learn from; at least one, or all units are 1.
        known: components that exist, by prior; all where a prior is not named.
    """
    units = {}
    for name, head in heads.items():
        answers = head(teacher)
        present = known.get(name, torch.ones_like(answers, dtype=torch.bool))
        mean = torch.where(present, answers, 0).sum(dim=0) / present.sum(dim=0).clamp(min=1)
        deviation = float(masked_mean((answers - mean).abs(), present))
        units[name] = deviation if deviation > 1e-6 else 1.0
    return units


def task_enhancer(student: Float[Tensor, "batch tasks"], teacher: Float[Tensor, "batch tasks"]) -> Float[Tensor, ""]:
    """Smooth L1 between task logits, student against teacher (eq. 6); gradients reach the student only.

    Args:
        student: logits from graph features.
        teacher: logits from picture features; whichever head made them, they are a constant here.

    References:
        Xiang et al., IJCAI 2024, eq. 6; Girshick, 2015, arXiv:1504.08083.
    """
    return F.smooth_l1_loss(student, teacher.detach(), beta=1.0)


def task_loss(
    logits: Float[Tensor, "batch tasks"],
    labels: Float[Tensor, "batch tasks"],
    task: str,
    positive: Float[Tensor, " tasks"] | None = None,
) -> Float[Tensor, ""]:
    """Cross-entropy for classification, mean squared error for regression, over the labels that exist (eq. 7).

    Args:
        logits: predictions; for regression in the units of the labels.
        labels: 0 or 1, or standardised values; NaN where missing.
        task: ``classification`` or ``regression``.
        positive: classification: how much a positive weighs, by target; a negative weighs 1.
    """
    known = ~labels.isnan()
    filled = torch.where(known, labels, 0)
    if task == "classification":
        terms = F.binary_cross_entropy_with_logits(logits, filled, reduction="none", pos_weight=positive)
    else:
        terms = (logits - filled).square()
    return masked_mean(terms, known)
