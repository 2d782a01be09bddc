"""The five tasks of a teacher: two encoders and the heads of the priors, their losses, and the step of a training."""

import copy
from collections.abc import Sequence
from typing import Any, final

import lightning
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import smooth_l1_loss

from iem.chem.priors import PRIORS
from iem.data.corpus import Corpus
from iem.errors import IEMError
from iem.losses.contrastive import contrastive_loss
from iem.losses.gathering import joined
from iem.losses.terms import masked_mean, weigh
from iem.nn.encoders import ImageEncoder, pretrained_encoder
from iem.nn.heads import PriorHead, prior_heads
from iem.report.text import plural
from iem.workflows.pretraining.recipe import Recipe
from iem.workflows.pretraining.schedules import schedule_of

NAMED = 5
"""Molecules that an error names at most."""


class FiveTasks(nn.Module):
    """Two image encoders and the heads they share, one per prior; a batch in, the named terms of eq. 4 out.

    Args:
        architecture: timm name of both encoders.
        pretrained: where the first weights of both are from; see ``pretrained_encoder``. Random if None.
        priors: names of the questions that are asked.
        temperature: τ of the contrastive loss.
        smooth: errors of less than one unit count by their square (smooth L1); all by their size (L1) otherwise.
        bf16: the encoders compute in bfloat16; weights, heads and losses stay in single precision.
    """

    def __init__(
        self,
        architecture: str,
        *,
        priors: Sequence[str],
        temperature: float,
        smooth: bool = False,
        bf16: bool = False,
        pretrained: str | None = None,
    ) -> None:
        super().__init__()
        self.origin: dict[str, str] | None = None
        if pretrained is None:
            self.encoder_2d, self.encoder_3d = ImageEncoder(architecture), ImageEncoder(architecture)
        else:
            self.encoder_2d, self.origin = pretrained_encoder(architecture, pretrained)
            self.encoder_3d = copy.deepcopy(self.encoder_2d)
        self.heads = prior_heads(self.encoder_2d.dim, {name: PRIORS[name].size for name in priors})
        self.temperature, self.smooth, self.bf16 = temperature, smooth, bf16

    def features(self, batch: dict[str, Tensor]) -> tuple[Float[Tensor, "batch dim"], Float[Tensor, "batch dim"]]:
        """Of the depictions, and of the 3D views with view-wise mean pooling."""
        views = batch["views"]
        with torch.autocast(views.device.type, torch.bfloat16, enabled=self.bf16):
            flat, each = self.encoder_2d(batch["flat"]), self.encoder_3d(views.flatten(0, 1))
        return flat.float(), each.float().unflatten(0, views.shape[:2]).mean(dim=1)

    def errors(self, features: Float[Tensor, "batch dim"], name: str, truth: Tensor) -> Float[Tensor, "batch size"]:
        """How far one head is from the truth, in its own units."""
        head = self.heads[name]
        assert isinstance(head, PriorHead)
        answer, wanted = head(features), head.standardise(truth)
        return smooth_l1_loss(answer, wanted, reduction="none") if self.smooth else (answer - wanted).abs()

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Contrast (eq. 1), and the error per encoder and prior over known components (eq. 2 and 3).

        In a training of several processes all terms are those of the joint batch, the same in each of them.
        """
        flat, spatial = (joined(part) for part in self.features(batch))
        truths = self._truths(batch)
        terms = {"contrast": contrastive_loss(flat, spatial, temperature=self.temperature)}
        for view, features in (("2d", flat), ("3d", spatial)):
            for name in self.heads:
                error = self.errors(features, name, truths[name])
                terms[f"{view}_{name}"] = masked_mean(error, truths[f"{name}_known"])
        return terms

    def _truths(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {key: joined(batch[key]) for name in self.heads for key in (name, f"{name}_known")}

    @torch.no_grad()
    def unsound(self, batch: dict[str, Tensor]) -> tuple[list[int], int]:
        """Which molecules have features or known answers that are not finite, by their index, and out of how many."""
        parts = [joined(part) for part in self.features(batch)]
        truths = self._truths(batch)
        finite = torch.stack([part.isfinite().all(dim=1) for part in parts])
        for features in parts:
            for name in self.heads:
                error = torch.where(truths[f"{name}_known"], self.errors(features, name, truths[name]), 0)
                finite = torch.cat([finite, error.isfinite().all(dim=1)[None]])
        indices = joined(batch["index"])
        return indices[~finite.all(dim=0)].tolist(), len(indices)


@final
class Pretraining(lightning.LightningModule):
    """``FiveTasks`` under the trainer."""

    def __init__(self, model: FiveTasks, recipe: Recipe, molecules: Corpus) -> None:
        super().__init__()
        self.model, self.recipe, self.molecules = model, recipe, molecules

    def _loss(self, batch: dict[str, Tensor], stage: str) -> Tensor:
        terms = self.model(batch)
        loss = weigh(terms, dict.fromkeys(terms, 1.0))
        if not torch.isfinite(loss.total):
            raise self._diverged(batch, loss.parts)
        named = {f"{stage}/{name}": value for name, value in loss.parts.items()}
        self.log_dict(
            named | {f"{stage}/loss": loss.total.detach()}, on_step=False, on_epoch=True, batch_size=len(batch["flat"])
        )
        return loss.total

    def _diverged(self, batch: dict[str, Tensor], terms: dict[str, Tensor]) -> IEMError:
        """Whose fault it is that the loss is not finite."""
        broken = [name for name, value in terms.items() if not torch.isfinite(value)]
        which = "every term" if len(broken) == len(terms) else ", ".join(broken) or "the sum of its terms"
        indices, count = self.model.unsound(batch)
        names = ", ".join(self.molecules[index].smiles for index in indices[:NAMED])
        more = f" and {len(indices) - NAMED} more" * (len(indices) > NAMED)
        if len(indices) < count:
            remedy = "leave these molecules out of the corpus, or lower --lr, and name another --out"
        else:
            remedy = "that is all of its batch, so the weights diverged: lower --lr, and name another --out"
        earlier = "; the teacher and the checkpoint in the folder are from before that" * (self.current_epoch > 0)
        return IEMError(
            f"the loss is not finite in round {self.current_epoch + 1} ({which}), through "
            f"{plural(len(indices), 'molecule')} of {count}{': ' * bool(names)}{names}{more}; {remedy}{earlier}"
        )

    def training_step(self, batch: dict[str, Tensor]) -> Tensor:
        return self._loss(batch, "train")

    def validation_step(self, batch: dict[str, Tensor]) -> None:
        self._loss(batch, "valid")

    def configure_optimizers(self) -> Any:
        recipe = self.recipe
        if recipe.optimizer == "sgd":
            optimizer: torch.optim.Optimizer = torch.optim.SGD(
                self.parameters(), lr=recipe.lr, momentum=0.9, weight_decay=recipe.weight_decay
            )
        else:
            optimizer = torch.optim.AdamW(self.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay, fused=True)
        schedule = schedule_of(recipe, optimizer)
        if schedule is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
