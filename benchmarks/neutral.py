"""A benchmark table with its charges taken away: what is left of a score when protonation tells nothing?

    python benchmarks/neutral.py clintox --out clintox-neutral.csv
    python benchmarks/neutral.py clintox --out clintox-neutral.csv --method "priors start+2d shuffled" --seeds 3

Every molecule is uncharged by RDKit where protons can do it; each row keeps its labels and, in the column ``part``, its
place in the scaffold split of the table as it is. ``iem fit clintox-neutral.csv --split part --target …`` learns from
it; what only ``iem benchmark`` does, ``--method`` does with the student of ``iem fit``: one line of JSON for each seed.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from rdkit import Chem, rdBase
from rdkit.Chem.MolStandardize import rdMolStandardize

from iem.chem.molecules import parse
from iem.chem.splits import scaffold_split, split_by_column
from iem.data.catalogue import DATASETS
from iem.data.tables import read_table
from iem.workflows.distillation.recipe import STUDENTS
from iem.workflows.evidence.benchmarking import Protocol, Run
from iem.workflows.evidence.methods import METHODS
from iem.workflows.evidence.schooling import Classroom, outputs_by
from iem.workflows.measures.metrics import mean_score, scores
from iem.workflows.measures.one_number import WRITING


def neutralised(name: str, out: Path) -> None:
    """Write the table, and say how many molecules have a charge before and after."""
    table, neutral = read_table(name), rdMolStandardize.Uncharger()
    part = np.empty(len(table.keys), dtype=object)
    for which, rows in scaffold_split(table.keys)._asdict().items():
        part[rows] = which
    with rdBase.BlockLogs():
        molecules = [neutral.uncharge(parse(key)) for key in table.keys]
    frame = pd.DataFrame({"smiles": map(Chem.MolToSmiles, molecules)})
    for target, labels in zip(table.targets, table.labels.T, strict=True):
        frame[target] = labels
    frame["part"] = part
    frame.to_csv(out, index=False, float_format="%.10g")
    charges = WRITING["charged atoms"]
    before, after = (sum(charges(mol) > 0 for mol in some) for some in (map(parse, table.keys), molecules))
    print(f"{len(molecules):,} molecules, charged before {before:,}, after {after:,}: {out}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=DATASETS)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--method", choices=METHODS, action="append", default=[])
    parser.add_argument("--seeds", type=int, default=3)
    chosen = parser.parse_args()
    neutralised(chosen.table, chosen.out)
    dataset = DATASETS[chosen.table]
    table = read_table(chosen.out, targets=read_table(chosen.table).targets)
    split = split_by_column(table.columns["part"], table.rows.tolist())
    protocol = Protocol.of(split="scaffold", teacher="default", preset="default")
    for method in chosen.method:
        for seed in range(chosen.seeds):
            run = Run(chosen.table, STUDENTS["default"], method, seed)
            lesson, start = protocol.lesson(run), protocol.start(run)
            answers = chosen.out.with_suffix(".answers")
            room = Classroom(table, dataset.task, split, protocol.teacher, lesson, answers, start)
            outputs, _ = outputs_by(METHODS[method], run.student, seed, room, chosen.out.with_suffix(".ckpt"))
            part = {
                name: mean_score(scores(dataset.task, table.labels[rows], outputs[rows]))
                for name, rows in (("valid", split.valid), ("test", split.test))
            }
            print(json.dumps({"table": chosen.table, "method": method, "seed": seed, **part}), flush=True)
            chosen.out.with_suffix(".ckpt").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
