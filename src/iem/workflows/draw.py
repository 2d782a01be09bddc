"""The verb ``iem render``: what the teacher sees, as a picture for people."""

from pathlib import Path

from iem.errors import ConfigError


def draw(*molecules: str, out: Path = Path("molecules.png"), size: int = 224, views: str = "paper") -> None:
    """Draw molecules as the teacher sees them: the 2D depiction and the views of the 3D conformer, a row for each.

    Args:
        molecules: SMILES.
        out: PNG to write.
        size: Side of every picture in pixels.
        views: "paper" (as embedded, and turned by 180° about x, y and z), "tetrahedral", "fibonacci:N", "random:N".
    """
    if not molecules:
        raise ConfigError("SMILES", "", "name at least one molecule")
    if not 16 <= size <= 2048:
        raise ConfigError("--size", size, "it must be between 16 and 2048 pixels")
    from iem.workflows.drawing import draw_grid

    draw_grid(molecules, out=Path(out), size=size, views=views)
