"""The verbs ``iem teacher show``, ``pack`` and ``import``: what a teacher is, and how it travels."""

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
    """Make a teacher for others: the 3D encoder and the heads, which is all that distillation needs.

    Args:
        run: Folder that "iem pretrain" wrote.
        out: New folder for the smaller teacher.
    """
    from iem import artifact
    from iem.errors import OutputError

    tensors, card = artifact.load(run, kind="teacher")
    if out.exists():
        raise OutputError(f"--out {out} exists; name a new folder")
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("encoder_2d.")}
    out.mkdir(parents=True)
    artifact.save(out, kept, card | {"views": ["3d"], "packed_from": card["digest"]}, kind="teacher")


def import_(file: Path, *, out: Path) -> None:
    """Make a teacher folder of IEM.pth, the teacher that the authors of the paper published.

    Every tensor is taken by name; nothing in the file is executed, and one with other tensors is refused.

    Args:
        file: IEM.pth.
        out: New folder for the teacher.
    """
    from iem.workflows.importing import import_teacher

    import_teacher(file, out=out)
