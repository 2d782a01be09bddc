"""A teacher at work: SMILES in, pictures drawn, feature vectors out."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
import torch

from iem.cache import FeatureBank, address
from iem.chem.conformers import ConformerSettings
from iem.chem.kept import ConformerBank
from iem.chem.molecules import canonical, parse
from iem.errors import MoleculeError
from iem.nn.teacher import Teacher, find, views_of
from iem.nn.teacher import load_teacher as load_folder
from iem.records import Geometry
from iem.render.ballstick import BallStick
from iem.render.depiction import Depiction
from iem.workflows.pictures.artists import Coordinates, Depicted, Drawn, Layout, Spatial, draw_some
from iem.workflows.running.console import progress
from iem.workflows.running.engines import in_order, open_engine

CHUNK = 32
"""Molecules that one worker draws before it hands them over."""


@final
class ImageTeacher:
    """A frozen teacher together with everything that makes its pictures.

    Args:
        teacher: encoder and heads, for 3D views or for depictions.
        conformers: seed and limits of the 3D embedding.
        flat: the encoder of 3D views is shown the flat layout in ball-and-stick style.
    """

    artist: Spatial | Layout | Depicted

    def __init__(self, teacher: Teacher, *, conformers: ConformerSettings | None = None, flat: bool = False) -> None:
        self.teacher, card = teacher, teacher.card
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        """Where pictures are looked at; the heads are left to whoever uses them."""
        if card["view"] == "2d":
            self.artist = Depicted(Depiction(card["size"]))
        elif flat:
            self.artist = Layout(BallStick(card["size"]), card["view_set"])
        else:
            self.artist = Spatial(BallStick(card["size"]), card["view_set"], conformers or ConformerSettings())
        self.view: str = "flat" if flat else card["view"]
        self.teacher.encoder.to(self.device)
        self.causes = (card["digest"], card["view"], self.artist.signature)
        """Everything that its features depend on, besides the molecule."""

    def features(
        self, keys: Sequence[str], *, given: Mapping[str, Geometry] | None = None, jobs: int = -1
    ) -> tuple[np.ndarray, list[str]]:
        """Features of molecules named by canonical SMILES, through the cache, which also keeps their conformers.

        Args:
            keys: canonical SMILES; repeated ones cost nothing.
            given: coordinates that came with the molecules, by key; the others are embedded. Flat pictures need none.
            jobs: processes that embed and draw; -1 is one per core.

        Returns:
            float32 ``(molecules, dim)``, NaN rows for molecules without a picture, and for each molecule the status of
            its conformer or the reason why there is none.
        """
        given = self._needed(given)
        bank, filed = self._features, _filed(keys, given)
        wanted = [key for key in dict.fromkeys(keys) if filed[key] not in bank]
        with progress() as bars:
            bar = bars.add_task("drawing molecules and showing them to the teacher", total=len(wanted))
            kept = None if set(wanted) <= set(given) else self._conformers
            placed = [(key, given.get(key) or (kept.get(key) if kept else None)) for key in wanted]
            for some in self.look(placed, jobs=jobs, keep=kept):
                bank.put({filed[key]: (row, note) for key, row, note in some})
                bars.advance(bar, len(some))
        rows = [bank[filed[key]] for key in keys]
        features = np.stack([row for row, _ in rows]) if rows else np.zeros((0, self.teacher.dim), np.float32)
        return features, [note for _, note in rows]

    def __getstate__(self) -> dict[str, Any]:
        """Without what it has read of the cache: whoever it is sent to may not need it, or read it there."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_features", "_conformers")}

    @cached_property
    def _features(self) -> FeatureBank:
        """Those that were made before, read once."""
        return FeatureBank(self.causes)

    @cached_property
    def _conformers(self) -> ConformerBank | None:
        """Those that were made before, read once; None where pictures need none."""
        return ConformerBank(self.artist.conformers) if isinstance(self.artist, Spatial) else None

    def unseen(self, keys: Sequence[str], *, given: Mapping[str, Geometry] | None = None) -> list[str]:
        """Those of some molecules that the cache does not hold; the arguments are those of ``features``."""
        filed = _filed(keys, self._needed(given))
        return [key for key in dict.fromkeys(keys) if filed[key] not in self._features]

    def _needed(self, given: Mapping[str, Geometry] | None) -> Mapping[str, Geometry]:
        return given if given and isinstance(self.artist, Spatial) else {}

    def look(
        self, wanted: Sequence[tuple[str, Coordinates]], *, jobs: int, keep: ConformerBank | None = None
    ) -> Iterator[list[tuple[str, np.ndarray, str]]]:
        """Features without the cache: molecules by name and coordinates, in order, in chunks.

        Args:
            wanted: canonical SMILES and coordinates, embedded if None.
            jobs: processes that embed and draw, where that pays.
            keep: gets the conformers that are made.

        Yields:
            For each molecule of a chunk its name, features ``(dim,)`` (NaN without a picture) and note.
        """
        chunks = [wanted[start : start + CHUNK] for start in range(0, len(wanted), CHUNK)]
        with open_engine("cores", jobs=1 if len(chunks) < 3 else jobs, address=None) as engine:
            for _, some in in_order(engine, draw_some, chunks, lambda chunk: (self.artist, chunk)):
                if keep is not None:
                    keep.put({drawn.key: drawn.made for drawn in some if drawn.made is not None})
                yield self._judge(some)

    def _judge(self, some: Sequence[Drawn]) -> list[tuple[str, np.ndarray, str]]:
        rows = [np.full(self.teacher.dim, np.nan, np.float32) for _ in some]
        seen = {position: drawn.pictures for position, drawn in enumerate(some) if drawn.pictures is not None}
        if seen:
            pictures = torch.from_numpy(np.stack(list(seen.values()))).to(self.device)
            for position, features in zip(seen, self.teacher(pictures).cpu().numpy(), strict=True):
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


def _filed(keys: Sequence[str], given: Mapping[str, Geometry]) -> dict[str, str]:
    """Under which names the cache holds molecules."""
    return {key: f"{key} {address(given[key].coordinates.tobytes().hex())}" if key in given else key for key in keys}


def load_teacher(name: str | Path = "default", *, view: str = "3d") -> ImageTeacher:
    """A teacher by name or folder.

    Args:
        name: ``default``, or a folder that ``iem pretrain`` wrote.
        view: ``3d``, the views of a conformer; ``2d``, the depiction, which has an encoder of its own; ``flat``, the
            flat layout drawn like a conformer, for the encoder of 3D views.

    Raises:
        ArtifactError: no such teacher, a damaged one, or one without the encoder.
    """
    return ImageTeacher(load_folder(find(name), view="3d" if view == "flat" else view), flat=view == "flat")


def usual_view(name: str | Path) -> Literal["2d", "3d"]:
    """What a teacher is shown where nobody says: depictions, if it has an encoder for them, or else 3D views.

    Depictions teach graph networks as well, cost a seventh to a twentieth, and need no conformer (``docs/results.md``,
    Which pictures).

    Raises:
        ArtifactError: no such teacher, or a damaged one.
    """
    return "2d" if "2d" in views_of(find(name)) else "3d"
