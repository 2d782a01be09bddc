"""What makes a teacher good: small teachers that differ in one setting, and what a linear probe reads from each.

    python benchmarks/ablations.py CORPUS --out runs/ablations [--visits 40000] [--only "one cycle,96 pixels"]
        [--table bace] [--encoder resnet18] [--lr 0.001] [--seed 0]

CORPUS is a folder that ``iem prepare`` wrote, without the molecules of the tables. Variants are trained with one seed
on the same molecules, for the same number of visits; interrupted, the same command goes on. Then: R² of the priors
on held-out molecules, retrieval, and the test score of a linear probe on frozen 3D features of each table, under the
scaffold split. The last line is JSON.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from iem.artifact import read_card
from iem.chem.splits import scaffold_split
from iem.data.corpus import Corpus
from iem.data.tables import read_table
from iem.files import write_json
from iem.nn.teacher import load_teacher
from iem.records import Split
from iem.workflows.pictures.embed import ImageTeacher
from iem.workflows.pretraining.evaluating import on_corpus, probe
from iem.workflows.pretraining.recipe import PRESETS, Recipe
from iem.workflows.pretraining.run import train_teacher

PAPER = ("atom", "bond", "geometry", "property")
BASE = PRESETS["default"]
VARIANTS: dict[str, Recipe] = {
    "default": BASE,
    "paper's questions": replace(BASE, priors=PAPER),
    "paper's questions, L1": replace(BASE, priors=PAPER, smooth=False),
    "no substructures": replace(BASE, priors=("atom", "bond", "shape", "property")),
    "descriptors too": replace(BASE, priors=(*BASE.priors, "descriptor")),
    "descriptors for substructures": replace(BASE, priors=("atom", "bond", "shape", "property", "descriptor")),
    "coordinates for shape": replace(BASE, priors=("atom", "bond", "geometry", "property", "substructure")),
    "L1": replace(BASE, smooth=False),
    "96 pixels": replace(BASE, size=96),
    "two views": replace(BASE, views=2),
    "paper's views": replace(BASE, view_set="paper"),
    "upright": replace(BASE, turn=False),
    "mirrored": replace(BASE, flip=True),
    "temperature 0.2": replace(BASE, temperature=0.2),
    "one cycle": replace(BASE, schedule="one-cycle"),
    "batches of 32": replace(BASE, batch_size=32),
    "batches of 128": replace(BASE, batch_size=128),
}


def folder_of(out: Path, name: str) -> Path:
    return out / name.replace(" ", "-").replace("'", "").replace(",", "")


def probes(folder: Path, tables: list[str], jobs: int) -> dict[str, float | None]:
    """Test score of the linear probe on every table; molecules without a picture are left out."""
    teacher, found = ImageTeacher(load_teacher(folder)), {}
    for name in tables:
        table = read_table(name)
        seen, _ = teacher.features(table.keys, jobs=jobs)
        drawn = ~np.isnan(seen).any(axis=1)
        split = Split(*(rows[drawn[rows]] for rows in scaffold_split(table.keys)))
        found[name] = probe(seen, table, split, table.task or "classification")
    return found


def known_of(folder: Path, corpus: Corpus, tables: list[str], out: Path, jobs: int) -> dict[str, Any]:
    """What a teacher knows: R² of the priors from 3D views, retrieval, probes; looked up in ``out`` if it was asked."""
    digest = read_card(folder, kind="teacher")["digest"]
    kept = out / f"known {digest[:12]} {' '.join(tables)}.json"
    if kept.exists():
        return json.loads(kept.read_text(encoding="utf-8"))
    known = on_corpus(folder, corpus, 1000)
    found = {
        "r2": {prior: round(errors["r2_mean"], 3) for prior, errors in known["priors"]["3d"].items()},
        "retrieval": round(known["retrieval"]["top1"], 3),
        "probes": {table: round(score, 3) for table, score in probes(folder, tables, jobs).items() if score},
    }
    write_json(kept, found)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--visits", type=int, default=40_000)
    parser.add_argument("--only", default=",".join(name.replace(",", "") for name in VARIANTS))
    parser.add_argument("--table", action="append")
    parser.add_argument("--encoder", default=BASE.encoder)
    parser.add_argument("--lr", type=float, default=BASE.lr)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    tables = options.table or ["bace", "bbbp", "esol", "lipo", "freesolv"]
    wanted, corpus = options.only.split(","), Corpus(options.corpus)
    results: dict[str, dict[str, Any]] = {}
    for name, recipe in VARIANTS.items():
        if name.replace(",", "") not in wanted:
            continue
        folder, started = folder_of(options.out, name), process_time()
        if not (folder / "curve.json").exists():
            recipe = replace(recipe, visits=options.visits, encoder=options.encoder, lr=options.lr)
            train_teacher(options.corpus, out=folder, recipe=recipe, seed=options.seed, jobs=0)
        results[name] = known_of(folder, corpus, tables, options.out, options.jobs)
        results[name]["minutes"] = round((process_time() - started) / 60, 1)
        print(f"{name}: {json.dumps(results[name])}", flush=True)
    print(json.dumps({"visits": options.visits, "variants": results}))


if __name__ == "__main__":
    main()
