"""How a student is trained: every setting, and the presets."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from iem.errors import ConfigError
from iem.workflows.settings import check_choice

View = Literal["3d", "2d", "flat"]
Scale = Literal["none", "unit"]
ClassWeights = Literal["none", "balanced"]
Schedule = Literal["constant", "one-cycle", "cosine"]
Norms = Literal["batch", "kept"]
Space = Literal["roots", "raw"]
Joining = Literal["auto", "beside", "none"]


@dataclass(frozen=True, kw_only=True)
class FitRecipe:
    """How a student is trained."""

    epochs: int = 100
    patience: int | None = 30
    """Epochs without a better validation score after which training stops."""
    batch_size: int = 32
    lr: float | None = None
    """``LR`` if None."""
    dropout: float = 0.2
    hidden: int = 300
    """Width of the hidden layer between features and predictions; 0 for none."""
    norms: Norms | None = None
    """What batch normalisations of the student go by: the statistics of each ``batch``, with dropout; or those ``kept``
    from what it learned before, without dropout, so that it trains as it predicts. None: kept if there are any."""
    ke: float | Literal["auto"] = 0.1
    """λ_KE of eq. 8; ``auto`` is searched on the validation part."""
    te: float | Literal["auto"] = 0.1
    """λ_TE of eq. 8; ``auto`` is searched on the validation part."""
    te_head: Literal["own", "shared"] = "own"
    space: Space | None = None
    """Where student and teacher meet: at square ``roots`` of the teacher's features in standard units, from the best
    linear guess on; or at these features as they are, ``raw``. None: at roots if the student has learned before."""
    ke_scale: Scale = "none"
    """``unit``: every prior of L_KE counts in mean absolute deviations of the teacher's answers to it."""
    ramp: float = 0.0
    """Epochs over which λ_KE and λ_TE grow linearly from 0."""
    class_weights: ClassWeights = "none"
    """``balanced``: of each target, positives together weigh as much as negatives."""
    average: float = 10.0
    """Steps over which weights are averaged, exponentially, to be validated and kept; 1 − 1/average is the decay. At
    1 or below they are kept as they are."""
    schedule: Schedule = "constant"
    """Of the learning rate: ``one-cycle`` and ``cosine`` end near 0 at the last epoch."""
    precision: Literal["auto", "bf16", "float32"] = "auto"
    """Of the student's matrix products while it trains; ``auto`` is bfloat16 where the device has it."""


PICTURELESS = ("none", "priors")
"""Teachers that show nothing."""


@dataclass(frozen=True, kw_only=True)
class Guidance:
    """Who teaches, and what of it the student gets to see."""

    teacher: str = "default"
    """Name or folder, ``none``, or ``priors``: the prior questions, answered from the molecules themselves."""
    view: View | None = None
    """None is what the teacher is best asked by: the depiction, if it has an encoder for it."""
    fraction: float = 1.0
    """Of the different molecules to learn from that have pictures."""
    unlabelled: Any = None
    """Table of molecules that learn along without labels."""
    transductive: bool = False
    """Molecules of the validation and test part may be among them."""

    def __post_init__(self) -> None:
        if self.view is not None:
            check_choice("--teacher-view", self.view, get_args(View))
        if not 0 < self.fraction <= 1:
            raise ConfigError("--image-fraction", self.fraction, "it must be more than 0 and at most 1")
        if self.teacher in PICTURELESS:
            rule = f"--teacher {self.teacher} shows no pictures; leave out one of the two"
            if self.view is not None:
                raise ConfigError("--teacher-view", self.view, rule)
            if self.fraction != 1:
                raise ConfigError("--image-fraction", self.fraction, rule)
        if self.unlabelled is None and self.transductive:
            raise ConfigError("--transductive", True, "it is about the molecules of --unlabelled, and there are none")
        if self.unlabelled is not None and self.teacher == "none":
            what = self.unlabelled if isinstance(self.unlabelled, str | Path) else type(self.unlabelled).__name__
            raise ConfigError("--unlabelled", str(what), "there is nothing to learn from them with --teacher none")


TRIALS = 12
"""Trainings of a search for the weights of the pictures, at most."""

LR = {False: 1e-3, True: 3e-4}
"""Learning rate of a student that begins with fresh weights, and of one that has learned before."""

PRESETS = {
    "default": FitRecipe(),
    "paper": FitRecipe(
        lr=1e-3, patience=None, dropout=0.5, hidden=0, te_head="shared", space="raw", average=0.0, precision="float32"
    ),
}
"""``paper``: section 4.1 (5-layer GIN of width 300, 100 epochs, batch 32, Adam at 0.001, dropout as in Hu et al.)."""

STUDENTS = {"default": "gin:readout=mean+norm", "paper": "gin"}
"""Who learns under a preset. A mean over the atoms, as in the paper, cannot tell how large a molecule is."""


@dataclass(frozen=True, kw_only=True)
class TeachRecipe:
    """Everything that decides how a student learns without labels, besides corpus, teacher and seed."""

    visits: int = 1_000_000
    """Molecules seen in all, counted with repetition."""
    batch_size: int = 128
    lr: float | None = None
    """The highest; it rises over the first tenth and falls to zero (one cycle). ``LR`` if None."""
    weight_decay: float = 1e-2
    dropout: float = 0.0
    features: float = 1.0
    """Weight of the distance between graph features and the teacher's."""
    ke: float = 0.0
    """Weight of the knowledge enhancer (eq. 5): the teacher's own heads ask both."""
    priors: float = 1.0
    """Weight of the questions as the molecules answer them, asked by heads that are thrown away afterwards."""
    questions: tuple[str, ...] = ("atom", "bond", "shape", "property", "substructure")
    round: int = 20_000
    """Visits between two validations and checkpoints."""
    precision: Literal["auto", "bf16", "float32"] = "auto"
