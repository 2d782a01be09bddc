"""``python -m iem`` is ``iem``."""

from iem.cli import entry

entry()
