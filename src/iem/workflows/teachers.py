"""The verbs ``iem teacher show``, ``pack`` and ``import``: what a teacher is, and how it travels."""

import os
from pathlib import Path


def show(name: str = "default") -> None:
    """Show the card of a teacher: network, pictures, corpus, training curve.

    Args:
        name: "default" (comes with iem) or a folder that "iem pretrain" wrote.
    """
    import json
    import sys

    from iem.artifact import read_card
    from iem.nn.teacher import find

    sys.stdout.write(json.dumps(read_card(find(name), kind="teacher"), indent=2, ensure_ascii=False) + "\n")


def pack(run: Path, *, out: Path) -> None:
    """Make a teacher for others: what distillation needs in one file, the encoder of depictions in another.

    Args:
        run: Folder that "iem pretrain" wrote.
        out: New folder: model.safetensors holds the 3D encoder and the heads, encoder_2d.safetensors the rest.
    """
    from iem import artifact
    from iem.errors import OutputError

    tensors, card = artifact.load(run, kind="teacher")
    if os.path.exists(out):
        raise OutputError(f"--out {out} exists; name a new folder")
    flat = {name: tensor for name, tensor in tensors.items() if name.startswith("encoder_2d.")}
    rest = {name: tensor for name, tensor in tensors.items() if name not in flat}
    about = card | {"packed_from": card["digest"]}
    artifact.save(out, rest, about, kind="teacher", further={"encoder_2d.safetensors": flat} if flat else None)


def import_(file: Path, *, out: Path) -> None:
    """Make a teacher folder of IEM.pth, the teacher that the authors of the paper published.

    Every tensor is taken by name; nothing in the file is executed, and one with other tensors is refused.

    Args:
        file: IEM.pth.
        out: New folder for the teacher.
    """
    from iem.workflows.pretraining.importing import import_teacher

    import_teacher(file, out=out)
