"""How near our pictures are to PyMOL's: structural similarity, and what an image encoder makes of the difference.

    IEM_DATA=folder python benchmarks/fidelity.py [--teacher FOLDER] [--smiles FILE] [--pictures FOLDER]
    python benchmarks/fidelity.py --gallery PNG

Needs PyMOL (``pip install 'iem[pymol]'``) and, without ``--smiles``, the benchmark tables and corpora in ``$IEM_DATA``.
Both renderers get the same coordinates and the paper's four rotations; ours is cut to PyMOL's 4:3 frame. SSIM is that
of Wang et al., IEEE Trans. Image Process. 2004, doi:10.1109/TIP.2003.819861: Gaussian window of 11 × 11 pixels with
σ = 1.5, for each colour channel, averaged. The last line is JSON.
"""

import argparse
import csv
import gzip
import json
import os
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont
from rdkit import Chem
from rdkit.Chem import Mol
from scipy.ndimage import gaussian_filter1d

from iem.chem.conformers import conformers
from iem.chem.molecules import canonical, parse
from iem.chem.priors import ELEMENTS
from iem.errors import MoleculeError
from iem.nn.encoders import ImageEncoder
from iem.nn.teacher import find, load_teacher
from iem.records import Geometry
from iem.render.ballstick import BallStick
from iem.render.pymol import PyMOL, frames, squared
from iem.render.views import PAPER

READ = 100_000
"""Lines of each file that are looked at."""
EXTRA = ("[H][H]", "[Ti]", "[Ga+3]", "Cl[Ti](Cl)(Cl)Cl", "[O-2].[Zn+2]", "[Mg+2]", "[Ca+2]", "C")
"""Kinds of which the files have few."""

GALLERY = {
    "aspirin": "CC(=O)Oc1ccccc1C(=O)O",
    "penicillin G": "CC1(C)S[C@@H]2[C@H](NC(=O)Cc3ccccc3)C(=O)N2[C@H]1C(=O)O",
    "ethynyl-vinylpyridine": "C#Cc1ccc(C=C)nc1",
    "sodium tosylchloramide": "Cc1ccc(cc1)S(=O)(=O)[N-]Cl.[Na+]",
    "halothane": "FC(F)(F)C(Cl)Br",
    "tamoxifen": "CC/C(=C(\\c1ccccc1)c1ccc(OCCN(C)C)cc1)c1ccccc1",
    "erythromycin": (
        "CC[C@@H]1[C@@]([C@@H]([C@H](C(=O)[C@@H](C[C@@]([C@@H]([C@H]([C@@H]([C@H](C(=O)O1)C)O[C@H]2C[C@@]([C@H]"
        "([C@@H](O2)C)O)(C)OC)C)O[C@H]3[C@@H]([C@H](C[C@H](O3)C)N(C)C)O)(C)O)C)C)O)(C)O"
    ),
    "zinc ion": "[Zn+2]",
}


class Wish(NamedTuple):
    """Some molecules that have to be among the chosen."""

    name: str
    count: int
    may: Callable[[str], bool]
    """Whether the spelling lets hope; quick."""
    fits: Callable[[Mol], bool]


def holds(symbol: str) -> Wish:
    def found(mol: Mol) -> bool:
        return any(atom.GetSymbol() == symbol for atom in mol.GetAtoms())

    return Wish(symbol, 8, lambda text: symbol in text or symbol.lower() in text, found)


WISHES = [
    *(holds(symbol) for symbol in ELEMENTS if symbol not in ("C", "N", "O", "H")),
    Wish(
        "charge",
        24,
        lambda text: "+" in text or "-" in text,
        lambda mol: any(a.GetFormalCharge() for a in mol.GetAtoms()),
    ),
    Wish("several fragments", 24, lambda text: "." in text, lambda mol: len(Chem.GetMolFrags(mol)) > 1),
    Wish("a single atom", 8, lambda text: len(text) < 8, lambda mol: mol.GetNumAtoms() == 1),
    Wish(
        "a triple bond",
        8,
        lambda text: "#" in text,
        lambda mol: any(b.GetBondTypeAsDouble() == 3 for b in mol.GetBonds()),
    ),
    Wish(
        "a macrocycle",
        16,
        lambda text: len(text) > 40,
        lambda mol: any(len(r) >= 12 for r in mol.GetRingInfo().AtomRings()),
    ),
    Wish("over 80 heavy atoms", 16, lambda text: len(text) > 120, lambda mol: mol.GetNumHeavyAtoms() > 80),
]


def lines(path: Path) -> Iterator[str]:
    """The SMILES of a table (first column) or of a list."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        if path.name.endswith(".csv.gz"):
            yield from (row[0].strip() for row in csv.reader(file) if row)
        else:
            yield from (line.split()[0] for line in file if line.strip())


def choose(data: Path, everyday: int = 14) -> dict[str, set[str]]:
    """Canonical SMILES, and for each the wishes that it fulfils: first some of every file, then what is missing."""
    chosen: dict[str, set[str]] = {}
    rest: list[str] = []
    for path in sorted([*data.glob("*.csv.gz"), *data.glob("corpus/*.smi.gz")]):
        head = [text for _, text in zip(range(READ), lines(path), strict=False)]
        random.Random(path.name).shuffle(head)
        found = 0
        while found < everyday and head:
            found += take(head.pop(), chosen)
        rest.extend(head)
    random.Random(0).shuffle(rest)
    for text in EXTRA:
        take(text, chosen)
    for wish in WISHES:
        hopeful = (text for text in rest if wish.may(text))
        while wish in missing(chosen) and (text := next(hopeful, None)):
            take(text, chosen, wish)
    return chosen


def missing(chosen: dict[str, set[str]]) -> list[Wish]:
    return [wish for wish in WISHES if sum(wish.name in names for names in chosen.values()) < wish.count]


def take(text: str, chosen: dict[str, set[str]], wish: Wish | None = None) -> bool:
    """Add a molecule if it reads, is new, can be drawn, and fulfils the wish."""
    try:
        mol = parse(text)
    except MoleculeError:
        return False
    name = canonical(mol)
    if name in chosen or mol.GetNumAtoms() > 200 or (wish and not wish.fits(mol)):
        return False
    chosen[name] = {wish.name for wish in WISHES if wish.fits(mol)}
    return True


def ssim(one: np.ndarray, other: np.ndarray) -> float:
    """Mean structural similarity of two pictures, uint8 ``(height, width, 3)``."""

    def blurred(values: np.ndarray) -> np.ndarray:
        for axis in (0, 1):
            values = gaussian_filter1d(values, 1.5, axis=axis, radius=5)
        return values[5:-5, 5:-5]

    x, y = one.astype(float), other.astype(float)
    mx, my = blurred(x), blurred(y)
    vx, vy, cov = blurred(x * x) - mx * mx, blurred(y * y) - my * my, blurred(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return float(np.mean((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))))


def draw(geometries: list[Geometry], sizes: set[int]) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Our pictures and PyMOL's by size, ``(molecules, views, height, width, 3)``; PyMOL's frames are drawn once."""
    renderers = {size: BallStick(size, letterbox=True) for size in sizes}
    drawn: dict[int, tuple[list[np.ndarray], list[np.ndarray]]] = {size: ([], []) for size in sizes}
    for geometry in geometries:
        originals = frames(geometry, PAPER)
        for size, (ours, theirs) in drawn.items():
            ours.append(renderers[size](geometry, PAPER))
            theirs.append(np.stack([squared(frame, size) for frame in originals]))
    return {size: (np.stack(ours), np.stack(theirs)) for size, (ours, theirs) in drawn.items()}


def similarities(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """SSIM of every pair of pictures, ``(molecules, views)``."""
    with ThreadPoolExecutor() as pool:
        pairs = zip(ours.reshape(-1, *ours.shape[2:]), theirs.reshape(-1, *theirs.shape[2:]), strict=True)
        return np.array(list(pool.map(lambda pair: ssim(*pair), pairs))).reshape(ours.shape[:2])


def features(encoder: torch.nn.Module, pictures: np.ndarray) -> torch.Tensor:
    """One vector a molecule, the mean over its views."""
    with torch.inference_mode():
        return torch.stack([encoder(torch.from_numpy(views)).mean(dim=0) for views in pictures])


def encoders(size: int, teacher: Path | None) -> Iterator[tuple[str, int, torch.nn.Module]]:
    """Name, size of the pictures, network."""
    torch.manual_seed(0)
    yield "untrained ResNet-18", size, ImageEncoder("resnet18").eval()
    if teacher is not None:
        trained = load_teacher(find(teacher))
        yield f"teacher {teacher.name}", trained.card["size"], trained.encoder


def save_pairs(folder: Path, rows: Sequence[int], ours: np.ndarray, theirs: np.ndarray) -> None:
    """One PNG a molecule: PyMOL's views above ours."""
    folder.mkdir(parents=True, exist_ok=True)
    for place, row in enumerate(rows):
        strips = [np.concatenate(list(pictures[row]), axis=1) for pictures in (theirs, ours)]
        Image.fromarray(np.concatenate(strips)).save(folder / f"{place:02d}.png")


def save_gallery(path: Path, size: int = 176) -> None:
    """Some molecules as PyMOL draws them, ours below."""
    made = zip(GALLERY, conformers(GALLERY.values(), jobs=1), strict=True)
    pairs = {name: draw([geometry], {size})[size] for name, geometry in made if isinstance(geometry, Geometry)}
    columns = len(pairs) // 2
    sheet = Image.new("RGB", (columns * size, 2 * (2 * size + 24)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.truetype(font_manager.findfont("DejaVu Sans"), 12)
    for place, (name, pair) in enumerate(pairs.items()):
        left, top = place % columns * size, place // columns * (2 * size + 24)
        for row, (who, picture) in enumerate(zip(("ours", "PyMOL"), pair, strict=True)):
            below = top + (1 - row) * size
            sheet.paste(Image.fromarray(picture[0, 0]), (left, below))
            pen.text((left + 4, below + 4), who, "gray", font=font)
        pen.text((left + size // 2, top + 2 * size + 4), name, "black", font=font, anchor="ma")
    sheet.save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--smiles", type=Path, help="molecules to compare, one SMILES a line")
    parser.add_argument("--teacher", type=Path, help="folder of a teacher whose features are compared")
    parser.add_argument("--pictures", type=Path, help="folder for pictures of the worst pairs, PyMOL's above ours")
    parser.add_argument("--gallery", type=Path, help="draw only some molecules side by side, to this PNG")
    options = parser.parse_args()
    if options.gallery:
        save_gallery(options.gallery)
        return
    if options.smiles:
        kinds = {canonical(parse(line.split()[0])): set[str]() for line in options.smiles.read_text().splitlines()}
    else:
        if "IEM_DATA" not in os.environ:
            sys.exit("set IEM_DATA to the folder with the benchmark tables, or name molecules with --smiles")
        kinds = choose(Path(os.environ["IEM_DATA"]))
        if lacking := missing(kinds):
            sys.exit(f"too few molecules with {', '.join(wish.name for wish in lacking)}")
    made = zip(kinds, conformers(kinds), strict=True)
    geometries = {name: geometry for name, geometry in made if isinstance(geometry, Geometry)}
    names, judges = list(geometries), list(encoders(options.size, options.teacher))
    print(f"{len(names)} molecules, {len(PAPER)} views; {PyMOL(options.size).signature}", flush=True)
    pictures = draw(list(geometries.values()), {options.size, *(size for _, size, _ in judges)})
    ours, theirs = pictures[options.size]
    scores = similarities(ours, theirs)
    apart = np.abs(ours.astype(np.int16) - theirs).mean()
    print(f"SSIM at {options.size}²: mean {scores.mean():.4f}, least {scores.min():.4f}")
    print(f"mean difference of a colour value: {apart:.2f} of 255")
    whole = np.stack([BallStick(options.size)(geometry, PAPER) for geometry in geometries.values()])
    print(f"SSIM without the letterbox: mean {similarities(whole, theirs).mean():.4f}")
    print("\nmolecules, mean SSIM, least SSIM, kind")
    for wish in WISHES:
        if rows := [row for row, name in enumerate(names) if wish.name in kinds[name]]:
            print(f"{len(rows):5d} {scores[rows].mean():.4f} {scores[rows].min():.4f}  {wish.name}")
    print("\nworst molecules: heavy atoms, mean SSIM, least SSIM, SMILES")
    worst = [int(row) for row in np.argsort(scores.min(axis=1))[:12]]
    for row in worst:
        atoms = len(geometries[names[row]].numbers)
        print(f"{atoms:5d} {scores[row].mean():.4f} {scores[row].min():.4f}  {names[row]}")
    if options.pictures:
        save_pairs(options.pictures, worst, ours, theirs)
    result = {
        "molecules": len(names),
        "size": options.size,
        "ssim_mean": round(float(scores.mean()), 4),
        "ssim_min": round(float(scores.min()), 4),
    }
    print("\ncosine similarity of features: molecules, mean, least, between different molecules; encoder")
    for name, size, encoder in judges:
        here, there = (features(encoder, some) for some in pictures[size])
        seen = (here.norm(dim=1) > 0) & (there.norm(dim=1) > 0)  # an untrained encoder overlooks a single ion
        here, there = here[seen], there[seen]
        same, other = torch.cosine_similarity(here, there), torch.cosine_similarity(here, here.roll(1, 0))
        print(f"{len(here):5d} {same.mean():.4f} {same.min():.4f} {other.mean():.4f}  {name} at {size}²")
        result[f"cosine {name}"] = round(float(same.mean()), 4)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
