"""The verb ``iem teacher show``: what a teacher is and how it was taught."""


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
