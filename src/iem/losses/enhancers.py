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
) -> dict[str, Float[Tensor, ""]]:
    r"""Ask both sides the same frozen questions; the student should answer like the teacher (eq. 5).

    .. math:: L_{KE} = \sum_k |P_k(F^g) - P_k(F^v)|

    Args:
        heads: the four frozen prior heads :math:`P_k` by name.
        student: :math:`F^g`, graph features brought to the teacher's width.
        teacher: :math:`F^v`, picture features of the same molecules.
        known: components that exist, by prior (20 atoms' coordinates, say); all where a prior is not named.

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
        terms[name] = masked_mean(gap, known[name]) if known and name in known else gap.mean()
    return terms


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
    logits: Float[Tensor, "batch tasks"], labels: Float[Tensor, "batch tasks"], task: str
) -> Float[Tensor, ""]:
    """Cross-entropy for classification, mean squared error for regression, over the labels that exist (eq. 7).

    Args:
        logits: predictions; for regression in the units of the labels.
        labels: 0 or 1, or standardised values; NaN where missing.
        task: ``classification`` or ``regression``.
    """
    known = ~labels.isnan()
    filled = torch.where(known, labels, 0)
    if task == "classification":
        terms = F.binary_cross_entropy_with_logits(logits, filled, reduction="none")
    else:
        terms = (logits - filled).square()
    return masked_mean(terms, known)
