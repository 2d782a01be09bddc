"""The teacher's part in a training loop of one's own: eq. 5 to 8 as one loss module."""

from collections.abc import Sequence
from typing import Literal, final, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from iem.chem.molecules import canonical, parse
from iem.errors import ConfigError, MoleculeError
from iem.losses.terms import Loss, weigh
from iem.nn.scale import FeatureScale
from iem.students.predictor import task_head
from iem.workflows.distillation.lessons import FeatureJudge, lesson_terms
from iem.workflows.distillation.recipe import Space, View
from iem.workflows.pictures.embed import load_teacher, usual_view
from iem.workflows.settings import check_choice, check_positive


@final
class Distiller(nn.Module):
    """L = L_T + λ_KE L_KE + λ_TE L_TE (eq. 8) for any graph network, in any training loop.

    Owns what lies between the network's features and the losses: a linear layer to the teacher's width, the task head,
    and the teacher's own task head. Train its parameters together with those of the network; the teacher stays frozen.
    The molecules are drawn and shown to the teacher once, when the module is made.

    Args:
        smiles: molecules to learn from; one that cannot be drawn learns from its labels alone.
        dim: d_g, features of the network per molecule.
        tasks: number of targets.
        task: ``classification`` or ``regression`` (labels in any unit: standardise them as you like).
        teacher: name or folder.
        teacher_view: what the teacher sees: the ``2d`` depiction, ``3d`` views of a conformer, or the ``flat`` layout
            in ball-and-stick style; the depiction if not given and it has an encoder for it, or else 3D views.
        ke: λ_KE.
        te: λ_TE.
        space: where the network and the teacher meet, as in ``iem.fit``: at square ``roots`` of the teacher's features
            in standard units, or at these features ``raw``, as in the paper.
        hidden: width of the hidden layer of the task head; 0 for a linear one, as in the paper.
        jobs: processes that draw; -1 is one per core.

    Raises:
        MoleculeError: a SMILES that cannot be read.
        ConfigError: not one molecule can be drawn.

    Example:
        >>> distiller = iem.Distiller(smiles, dim=300, tasks=1, task="regression")  # doctest: +SKIP
        >>> optimizer = torch.optim.Adam([*net.parameters(), *distiller.parameters()])  # doctest: +SKIP
        >>> loss = distiller(net(graphs), names, labels).total  # doctest: +SKIP
    """

    features: Tensor

    def __init__(
        self,
        smiles: Sequence[str],
        *,
        dim: int,
        tasks: int,
        task: Literal["classification", "regression"],
        teacher: str = "default",
        teacher_view: View | None = None,
        ke: float = 0.1,
        te: float = 0.1,
        space: Space = "raw",
        hidden: int = 300,
        jobs: int = -1,
    ) -> None:
        super().__init__()
        check_choice("space", space, get_args(Space))
        check_choice("task", task, ("classification", "regression"))
        for name, number in (("dim", dim), ("tasks", tasks)):
            check_positive(name, number, whole=True)
        keys = [canonical(parse(text)) for text in smiles]
        if teacher_view is not None:
            check_choice("teacher_view", teacher_view, get_args(View))
        guide = load_teacher(teacher, view=teacher_view or usual_view(teacher))
        features, _ = guide.features(keys, jobs=jobs)
        seen = features[~np.isnan(features).any(axis=1)]
        if not len(seen):
            raise ConfigError(
                "smiles", f"{len(keys)} molecules", "none of them can be drawn, so there is nothing to see"
            )
        self.task, self.ke, self.te = task, ke, te
        self.places = {text: place for place, text in enumerate(smiles)} | {key: row for row, key in enumerate(keys)}
        self.atoms = torch.tensor([parse(key).GetNumHeavyAtoms() for key in keys])
        self.register_buffer("features", torch.from_numpy(features), persistent=False)
        self.frozen = [guide.teacher.heads]  # in a list: neither trained nor saved
        self.project = nn.Linear(dim, guide.teacher.dim)
        self.head = task_head(guide.teacher.dim, tasks, hidden)
        self.scale = FeatureScale.of(seen) if space == "roots" else None
        self.judge = FeatureJudge(seen if self.scale is None else self.scale(torch.from_numpy(seen)).numpy(), tasks)

    def logits(self, features: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch tasks"]:
        """Task logits from the network's features: what is needed after training, of all of this."""
        return self.head(self.project(features))

    def forward(
        self, features: Float[Tensor, "batch dim"], smiles: Sequence[str], labels: Float[Tensor, "batch tasks"]
    ) -> Loss:
        """The weighted sum, and its terms by name.

        Args:
            features: F^g, of the network.
            smiles: the molecules of the batch, as they were named when this module was made, or canonical.
            labels: 0 or 1, or values; NaN where missing.

        Raises:
            MoleculeError: a molecule that was not named.
        """
        if not len(features) == len(smiles) == len(labels):
            raise ConfigError(
                "smiles", f"{len(smiles)} names", f"there are {len(features)} features and {len(labels)} rows of labels"
            )
        rows = [self._place(text) for text in smiles]
        projected = self.project(features)
        terms, weights = lesson_terms(
            projected,
            self.head(projected),
            labels,
            self.task,
            seen=self.features[rows],
            atoms=self.atoms[rows].to(features.device),
            heads=self.frozen[0].to(features.device),
            judge=self.judge,
            ke=self.ke,
            te=self.te,
            scale=self.scale,
        )
        return weigh(terms, weights)

    def _place(self, text: str) -> int:
        if text not in self.places:
            raise MoleculeError(text, "picture", "it was not among the molecules that the distiller was made for")
        return self.places[text]
