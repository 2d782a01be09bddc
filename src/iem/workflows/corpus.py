"""The verb ``iem corpus``: what is in a corpus that ``iem prepare`` made."""

from pathlib import Path

from iem.errors import ConfigError


def corpus(folder: Path, *, out: Path | None = None, pictures: int = 12) -> None:
    """Show what is in a corpus: counts, how molecules came by their coordinates, sizes, elements, properties.

    The same with plots and pictures goes into an HTML page. Every file is compared with its digest on the way.

    Args:
        folder: Folder that "iem prepare" wrote.
        out: HTML page to write; "report.html" in the folder if not given.
        pictures: Molecules to draw for the page, evenly spaced over the corpus.
    """
    if not 0 <= pictures <= 1000:
        raise ConfigError("--pictures", pictures, "it must be between 0 and 1000")
    from iem.workflows.corpora.surveying import show_corpus

    show_corpus(folder, out=out or folder / "report.html", pictures=pictures)
