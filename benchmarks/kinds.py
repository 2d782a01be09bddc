"""What each kind of picture costs: views of a conformer, the depiction, the flat layout with balls and sticks.

    python benchmarks/kinds.py bace [--molecules 300] [--teacher default]

Molecules of a table, taken evenly from it, are embedded where that is needed, drawn, and shown to the teacher on one
core, without the cache; every kind in one process, each after a few molecules that warm it up. The last line is JSON:
by kind the milliseconds of processor time per molecule, how many had no picture, and the ratio to the depiction.
"""

import argparse
import json
from time import process_time

import numpy as np
import torch

from iem.data.tables import read_table
from iem.workflows.pictures.embed import load_teacher

WARM = 8
KINDS = ("3d", "2d", "flat")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table")
    parser.add_argument("--molecules", type=int, default=300)
    parser.add_argument("--teacher", default="default", help="or a folder that iem pretrain wrote, with both encoders")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keys = list(dict.fromkeys(read_table(options.table).keys))
    chosen = np.linspace(0, len(keys) - 1, min(options.molecules, len(keys))).astype(int)
    placed = [(keys[row], None) for row in chosen]
    found: dict[str, dict[str, float]] = {}
    for kind in KINDS:
        teacher = load_teacher(options.teacher, view=kind)
        list(teacher.look(placed[:WARM], jobs=1))
        begin = process_time()
        rows = [row for some in teacher.look(placed, jobs=1) for _, row, _ in some]
        spent = 1000 * (process_time() - begin) / len(rows)
        found[kind] = {"ms_per_molecule": round(spent, 2), "without": sum(bool(np.isnan(row).any()) for row in rows)}
        print(
            f"{kind}: {spent:.1f} ms a molecule, {found[kind]['without']} of {len(rows)} without a picture", flush=True
        )
    for facts in found.values():
        facts["ratio"] = round(facts["ms_per_molecule"] / found["2d"]["ms_per_molecule"], 2)
    print(json.dumps({"table": options.table, "molecules": len(placed)} | found))


if __name__ == "__main__":
    main()
