"""Gradient-boosted trees as arrays: they answer without scikit-learn, and nothing is unpickled to read them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import final

import numpy as np

BLOCK = 256
"""Molecules that go through the trees together."""
PREFIX = "trees."


@final
@dataclass(frozen=True)
class Trees:
    """One additive model per target. The nodes of all trees stand one behind the other; a leaf leads to itself."""

    feature: np.ndarray
    """What a node asks about, int16 (nodes,)."""
    threshold: np.ndarray
    """At most so much goes left, float64 (nodes,)."""
    left: np.ndarray
    """Position of the next node, int32 (nodes,)."""
    right: np.ndarray
    value: np.ndarray
    """What a leaf adds, float64 (nodes,)."""
    root: np.ndarray
    """Where each tree begins, int32 (trees,)."""
    target: np.ndarray
    """Which target it belongs to, int32 (trees,)."""
    offset: np.ndarray
    """What a target begins with, float64 (targets,)."""
    chances: np.ndarray
    """Whether the sums are log-odds, bool (1,); else they are values."""

    def outputs(self, values: np.ndarray) -> np.ndarray:
        """Probabilities, or values in the unit of the labels, float64 (molecules, targets).

        Args:
            values: finite, float (molecules, features).
        """
        raw = np.tile(self.offset, (len(values), 1))
        for start in range(0, len(values) if len(self.root) else 0, BLOCK):
            some = values[start : start + BLOCK]
            rows = np.arange(len(some))[:, None]
            at, before = np.tile(self.root, (len(some), 1)), None
            while before is None or (at != before).any():
                smaller = some[rows, self.feature[at]] <= self.threshold[at]
                at, before = np.where(smaller, self.left[at], self.right[at]), at
            for target in range(len(self.offset)):
                raw[start : start + BLOCK, target] += self.value[at[:, self.target == target]].sum(axis=1)
        if not self.chances[0]:
            return raw
        with np.errstate(over="ignore"):  # of a rare class trees may be that certain
            return 1 / (1 + np.exp(-raw))

    def arrays(self) -> dict[str, np.ndarray]:
        """By the names under which a model folder keeps them."""
        return {PREFIX + field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def read(cls, arrays: Mapping[str, np.ndarray], *, features: int, targets: int) -> "Trees":
        """The trees of a model folder.

        Args:
            arrays: with those that ``arrays`` wrote.
            features: that there are to ask about.
            targets: of the model.

        Raises:
            ValueError: something is missing, or leads nowhere, or back.
        """
        try:
            found = cls(**{field.name: arrays[PREFIX + field.name] for field in fields(cls)})
        except KeyError as error:
            raise ValueError(f"no {error.args[0]}") from error
        nodes, own = len(found.value), np.arange(len(found.value))
        within = [
            (found.feature, features),
            (found.target, targets),
            *((places, nodes) for places in (found.left, found.right, found.root)),
        ]
        whole = len({len(found.feature), len(found.threshold), len(found.left), len(found.right), nodes}) == 1
        paired = len(found.root) == len(found.target) and len(found.offset) == targets and len(found.chances) == 1
        if (
            not whole
            or not paired
            or any(places.dtype.kind != "i" or ((places < 0) | (places >= end)).any() for places, end in within)
            or (found.left < own).any()  # so that every walk ends
            or (found.right < own).any()
        ):
            raise ValueError("trees of another model")
        return found


def together(networks: np.ndarray, trees: np.ndarray) -> np.ndarray:
    """The mean of each network's predictions, float (seeds, molecules, targets), and those of the trees."""
    return (networks + trees) / 2
