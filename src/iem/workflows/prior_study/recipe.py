"""How the networks of the study are trained: every setting, and the presets."""

from dataclasses import dataclass

MODELS = ("gcn", "gin", "egnn-2d", "egnn-3d", "schnet", "resnet-2d", "resnet-3d")
"""The rows of the paper's Table S1."""
FEWEST = 30
"""Molecules; a tenth of them is the test part, and a correlation needs three."""


@dataclass(frozen=True, kw_only=True)
class StudyRecipe:
    """Everything that decides how the models of the study are trained, besides corpus and seed."""

    molecules: int = 10_000
    """Of the corpus, in all three parts."""
    epochs: int = 20
    batch_size: int = 32
    lr: float = 1e-3
    width: int = 100
    """Features of an atom in every graph network; an image encoder has its own."""
    encoder: str = "resnet18"
    """timm name."""
    size: int = 64
    """Side of every picture in pixels."""
    view_set: str = "tetrahedral"
    """Directions of the 3D pictures; all of them are pooled where a model is validated or tested."""
    views: int = 1
    """Views drawn per molecule and training step."""


PRESETS = {
    "default": StudyRecipe(),
    "paper": StudyRecipe(epochs=30, batch_size=8, lr=0.005, size=224, view_set="paper", views=4),
}
"""``paper``: the appendix of the paper."""
