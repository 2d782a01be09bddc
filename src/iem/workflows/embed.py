"""A teacher at work: SMILES in, pictures drawn, feature vectors out."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import final

import numpy as np
import torch

from iem.cache import FeatureBank, address
from iem.chem.conformers import ConformerSettings
from iem.chem.molecules import canonical, parse
from iem.errors import MoleculeError
from iem.nn.teacher import Teacher, find
from iem.nn.teacher import load_teacher as load_folder
from iem.records import Geometry
from iem.render.ballstick import BallStick
from iem.render.depiction import Depiction
from iem.workflows.artists import Drawn, Flat, Spatial, draw_some
from iem.workflows.console import progress
from iem.workflows.engines import in_order, open_engine

CHUNK = 32
"""Molecules that one worker draws before it hands them over."""


@final
class ImageTeacher:
    """A frozen teacher together with everything that makes its pictures.

    Args:
        teacher: encoder and heads, for 3D views or for depictions.
        conformers: seed and limits of the 3D embedding.
    """

    def __init__(self, teacher: Teacher, *, conformers: ConformerSettings | None = None) -> None:
        self.teacher, card = teacher, teacher.card
        spatial = Spatial(BallStick(card["size"]), card["view_set"], conformers or ConformerSettings())
        self.artist = spatial if card["view"] == "3d" else Flat(Depiction(card["size"]))
        self.causes = (card["digest"], card["view"], self.artist.signature)
        """Everything that its features depend on, besides the molecule."""

    def features(
        self, keys: Sequence[str], *, given: Mapping[str, Geometry] | None = None, jobs: int = -1
    ) -> tuple[np.ndarray, list[str]]:
        """Features of molecules named by canonical SMILES, through the cache.

        Args:
            keys: canonical SMILES; repeated ones cost nothing.
            given: coordinates that came with the molecules, by key; the others are embedded.
            jobs: processes that embed and draw; -1 is one per core.

        Returns:
            float32 ``(molecules, dim)``, NaN rows for molecules without a picture, and for each molecule the status of
            its conformer or the reason why there is none.
        """
        given = given or {}
        bank = FeatureBank(self.causes)
        filed = {
            key: f"{key} {address(given[key].coordinates.tobytes().hex())}" if key in given else key for key in keys
        }
        wanted = [key for key in dict.fromkeys(keys) if filed[key] not in bank]
        with progress() as bars:
            bar = bars.add_task("drawing molecules and showing them to the teacher", total=len(wanted))
            for some in self.look([(key, given.get(key)) for key in wanted], jobs=jobs):
                bank.put({filed[key]: (row, note) for key, row, note in some})
                bars.advance(bar, len(some))
        rows = [bank[filed[key]] for key in keys]
        return np.stack([features for features, _ in rows]), [note for _, note in rows]

    def unseen(self, keys: Sequence[str]) -> list[str]:
        """Those of some molecules that the cache does not hold."""
        bank = FeatureBank(self.causes)
        return [key for key in dict.fromkeys(keys) if key not in bank]

    def look(
        self, wanted: Sequence[tuple[str, Geometry | None]], *, jobs: int
    ) -> Iterator[list[tuple[str, np.ndarray, str]]]:
        """Features without the cache: molecules by name and coordinates, in order, in chunks.

        Args:
            wanted: canonical SMILES and coordinates, embedded if None.
            jobs: processes that embed and draw, where that pays.

        Yields:
            For each molecule of a chunk its name, features ``(dim,)`` (NaN without a picture) and note.
        """
        chunks = [wanted[start : start + CHUNK] for start in range(0, len(wanted), CHUNK)]
        with open_engine("cores", jobs=1 if len(chunks) < 3 else jobs, address=None) as engine:
            for _, some in in_order(engine, draw_some, chunks, lambda chunk: (self.artist, chunk)):
                yield self._judge(some)

    def _judge(self, some: Sequence[Drawn]) -> list[tuple[str, np.ndarray, str]]:
        rows = [np.full(self.teacher.dim, np.nan, np.float32) for _ in some]
        seen = {position: drawn.pictures for position, drawn in enumerate(some) if drawn.pictures is not None}
        if seen:
            pictures = torch.from_numpy(np.stack(list(seen.values())))
            for position, features in zip(seen, self.teacher(pictures).numpy(), strict=True):
                rows[position] = features
        return [(drawn.key, row, drawn.note) for row, drawn in zip(rows, some, strict=True)]

    def embed(self, smiles: str | Sequence[str], *, jobs: int = -1) -> np.ndarray:
        """Feature vectors of molecules, float32 ``(molecules, dim)``; NaN rows where no picture could be made."""
        texts = [smiles] if isinstance(smiles, str) else list(smiles)
        result = np.full((len(texts), self.teacher.dim), np.nan, np.float32)
        keys = {}
        for row, text in enumerate(texts):
            try:
                keys[row] = canonical(parse(text))
            except MoleculeError:
                continue
        if keys:
            result[list(keys)] = self.features(list(keys.values()), jobs=jobs)[0]
        return result


def load_teacher(name: str | Path = "default", *, view: str = "3d") -> ImageTeacher:
    """A teacher by name or folder.

    Args:
        name: ``default``, or a folder that ``iem pretrain`` wrote.
        view: ``3d`` or ``2d``: which of its encoders.

    Raises:
        ArtifactError: no such teacher, or a damaged one.
    """
    return ImageTeacher(load_folder(find(name), view=view))
