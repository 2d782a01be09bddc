"""The verb ``iem render``: what the teacher sees, as a picture for people."""

from pathlib import Path

from iem.errors import ConfigError

SUFFIXES = (".png", ".apng", ".gif")


def draw(
    *molecules: str,
    out: Path = Path("molecules.png"),
    size: int = 224,
    views: str = "paper",
    conformers: int = 1,
    renderer: str = "ballstick",
    turn: bool = False,
) -> None:
    """Draw molecules as the teacher sees them: the 2D depiction and the views of the 3D conformer, a row for each.

    Args:
        molecules: SMILES, SDF files (3D coordinates in them are used as they are) and SMILES lists (.smi).
        out: Picture to write: .png, or .gif or .apng, which turn.
        size: Side of every picture in pixels.
        views: "paper" (as embedded, and turned by 180° about x, y and z), "tetrahedral", "fibonacci:N", "random:N", or
            "flat" (one view of the flat layout, as in the paper's Table 4).
        conformers: Conformers to embed of each molecule, a row for each, lowest energy first; of those closer than
            0.5 Å (RMSD) one is drawn. With more than one, 3D coordinates in a file are not used.
        renderer: "ballstick", or "pymol" where PyMOL is installed (pip install 'iem[pymol]').
        turn: Turn the molecules once about the vertical axis, side by side, instead of drawing their views.
    """
    out = Path(out)
    if not molecules:
        raise ConfigError("SMILES", "", "name at least one molecule")
    if not 16 <= size <= 2048:
        raise ConfigError("--size", size, "it must be between 16 and 2048 pixels")
    if out.suffix.lower() not in SUFFIXES:
        raise ConfigError("--out", str(out), f"it must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")
    if not 1 <= conformers <= 1000:
        raise ConfigError("--conformers", conformers, "it must be between 1 and 1000")
    if conformers > 1 and views == "flat":
        raise ConfigError("--conformers", conformers, "the flat layout has none; leave out --views flat")
    from iem.workflows.pictures.drawing import draw_grid, draw_turning, subjects

    found = subjects(molecules, flat=views == "flat", conformers=conformers)
    noun = "conformer" if conformers > 1 else "molecule"
    if turn or out.suffix.lower() != ".png":
        draw_turning(found, out=out, size=size, renderer=renderer, noun=noun)
    else:
        draw_grid(found, out=out, size=size, views=views, renderer=renderer, noun=noun)
