"""What the page about a training of a teacher is made of."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from iem.artifact import read_card
from iem.data.corpus import Corpus
from iem.data.datasets import PictureDataset
from iem.files import write_bytes
from iem.report.teacher import TeacherContent, teacher_page
from iem.workflows.running.console import as_typed

PICTURED = 6
"""Molecules whose pictures are shown."""


def write_teacher_report(
    folder: Path,
    curve: Sequence[Mapping[str, float]],
    molecules: Corpus,
    seen: PictureDataset,
    train: np.ndarray,
) -> None:
    """Write ``report.html``.

    Args:
        folder: of the finished teacher.
        curve: losses by round.
        molecules: the corpus.
        seen: its pictures as the teacher saw them.
        train: the molecules that were learned from.
    """
    card = read_card(folder, kind="teacher")
    recipe: dict[str, Any] = card["recipe"]
    facts = {
        "encoders": f"{card['architecture']}, one for 2D and one for 3D pictures",
        "first weights": _weights(card.get("pretrained")),
        "questions": ", ".join(f"{name} ({size} numbers)" for name, size in card["priors"].items()),
        "pictures": f"{card['size']}×{card['size']} pixels, {recipe['views']} of the {card['view_set']} views a visit",
        "corpus": f"{card['corpus']['molecules']:,} molecules, {card['corpus']['held_out']:,} of them held out",
        "devices": card["devices"],
        "licence": card["licence"],
    }
    content = TeacherContent(
        title=folder.resolve().name,
        command=as_typed("iem.pretrain(…)"),
        curve=curve,
        facts=facts,
        pictures=[_strip(molecules, seen, index) for index in train[:: -(-len(train) // PICTURED)].tolist()],
        settings=recipe,
        versions=card["versions"],
        digests={"weights": card["digest"], "corpus": card["corpus"]["digest"]},
    )
    write_bytes(folder / "report.html", teacher_page(content).encode())


def _weights(origin: Mapping[str, str] | None) -> str:
    return "random" if origin is None else f"{origin['weights']} (SHA-256 {origin['sha256'][:16]}…)"


def _strip(molecules: Corpus, seen: PictureDataset, index: int) -> tuple[bytes, str]:
    """Depiction and views of a molecule, side by side, and its SMILES."""
    tensors = seen[0, index]
    buffer = io.BytesIO()
    strip = np.concatenate([tensors["flat"].numpy(), *tensors["views"].numpy()], axis=1)
    Image.fromarray(strip).save(buffer, "PNG", optimize=True)
    return buffer.getvalue(), molecules[index].smiles
