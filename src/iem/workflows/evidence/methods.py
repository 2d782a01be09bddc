"""Ways to come from a table to predictions: the paper's, their parts, controls, and models without a graph network."""

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way; the settings that differ between ways, and nothing else."""

    about: str
    """In a few words, for the report."""
    model: Literal["student", "rf", "gb", "probe", "number", "chemprop"] = "student"
    """What learns: a graph network, a random forest, gradient boosting, a linear model, nothing but which number of a
    molecule to go by, or the network of another package, trained by that package."""
    sees: Literal["nothing", "3d", "2d", "flat", "descriptors", "ecfp", "described"] = "nothing"
    """Whose features teach the student, or what another model takes as input: the teacher's of 3D views, of the
    depiction, of the flat layout in ball-and-stick style; RDKit's descriptors; ECFP4 counts; these and the quickest of
    the descriptors."""
    ke: bool = False
    """With the knowledge enhancer."""
    te: bool = False
    """With the task enhancer."""
    share: float = 1.0
    """Of the training molecules that have pictures."""
    shuffled: bool = False
    """Every molecule is taught by the picture of another."""
    untrained: bool = False
    """The teacher never learned anything."""
    priors: bool = False
    """The teacher's questions as plain auxiliary tasks, answered from the molecule."""
    start: Literal["none", "pictures", "priors"] = "none"
    """Who taught the student before, on many molecules without labels: nobody, a teacher of pictures, or the questions
    alone."""

    @property
    def is_seeded(self) -> bool:
        """Whether another seed gives another model."""
        return self.model in ("student", "rf", "chemprop")

    @property
    def shows_pictures(self) -> bool:
        """Whether molecules are taught by pictures of themselves, which a teacher that learned something has seen."""
        return self.model == "student" and self.sees in PICTURES and not self.shuffled and not self.untrained


PICTURES = ("3d", "2d", "flat")
"""What a teacher sees, where it is one of pictures."""

TAUGHT: dict[str, Any] = {"ke": True, "te": True}

METHODS: dict[str, Method] = {
    "plain": Method(about="the student alone"),
    "iem": Method(about="both enhancers, 3D views", sees="3d", **TAUGHT),
    "ke": Method(about="knowledge enhancer alone, 3D views", sees="3d", ke=True),
    "te": Method(about="task enhancer alone, 3D views", sees="3d", te=True),
    "2d": Method(about="both enhancers, RDKit depictions", sees="2d", **TAUGHT),
    "flat": Method(about="both enhancers, flat ball-and-stick pictures", sees="flat", **TAUGHT),
    **{
        f"images {share}%": Method(
            about=f"both enhancers, pictures of {share} % of the molecules", sees="3d", share=share / 100, **TAUGHT
        )
        for share in (5, 10, 20, 50)
    },
    "start": Method(about="head start from pictures, the student alone", start="pictures"),
    "start+iem": Method(about="head start from pictures, both enhancers", sees="3d", start="pictures", **TAUGHT),
    "start+ke": Method(about="head start from pictures, knowledge enhancer", sees="3d", ke=True, start="pictures"),
    "priors start": Method(about="head start from the questions alone, no picture", start="priors"),
    "priors start+iem": Method(
        about="head start from the questions alone, both enhancers, 3D views", sees="3d", start="priors", **TAUGHT
    ),
    "priors start+2d": Method(
        about="head start from the questions alone, both enhancers, RDKit depictions",
        sees="2d",
        start="priors",
        **TAUGHT,
    ),
    "priors start+flat": Method(
        about="head start from the questions alone, both enhancers, flat ball-and-stick pictures",
        sees="flat",
        start="priors",
        **TAUGHT,
    ),
    "priors start+ke": Method(
        about="head start from the questions alone, knowledge enhancer", sees="3d", ke=True, start="priors"
    ),
    "priors start+te": Method(
        about="head start from the questions alone, task enhancer", sees="3d", te=True, start="priors"
    ),
    "priors start+shuffled": Method(
        about="head start from the questions alone, both enhancers, pictures of other molecules",
        sees="3d",
        start="priors",
        shuffled=True,
        **TAUGHT,
    ),
    "priors start+2d shuffled": Method(
        about="head start from the questions alone, both enhancers, RDKit depictions of other molecules",
        sees="2d",
        start="priors",
        shuffled=True,
        **TAUGHT,
    ),
    "priors start+priors": Method(
        about="head start from the questions alone, which stay as auxiliary tasks, no picture",
        start="priors",
        priors=True,
    ),
    "priors": Method(about="the teacher's questions as auxiliary tasks, no picture", priors=True),
    "shuffled": Method(about="both enhancers, pictures of other molecules", sees="3d", shuffled=True, **TAUGHT),
    "untrained": Method(about="both enhancers, a teacher that learned nothing", sees="3d", untrained=True, **TAUGHT),
    "descriptors": Method(about="task enhancer, taught by RDKit's descriptors", sees="descriptors", te=True),
    "ecfp": Method(about="task enhancer, taught by ECFP4 counts", sees="ecfp", te=True),
    "one number": Method(about="the best of eight numbers, such as log P or charged atoms, alone", model="number"),
    "ecfp+rf": Method(about="random forest on ECFP4 counts", model="rf", sees="ecfp"),
    "ecfp+gb": Method(about="gradient boosting on ECFP4 counts", model="gb", sees="ecfp"),
    "descriptors+gb": Method(about="gradient boosting on RDKit's descriptors", model="gb", sees="descriptors"),
    "trees": Method(about="gradient boosting on ECFP4 counts and quick descriptors", model="gb", sees="described"),
    "probe": Method(about="linear model on the teacher's features", model="probe", sees="3d"),
    "chemprop": Method(about="chemprop's default network, trained by chemprop", model="chemprop"),
}
"""By name. ``priors``, ``shuffled``, ``untrained``, ``descriptors``, ``ecfp``, ``priors start`` and what begins there
without the right pictures are controls: only what beats them is owed to the pictures."""
