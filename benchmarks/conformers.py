"""How molecules of every benchmark table come by their coordinates, and how long it takes.

    python benchmarks/conformers.py [--molecules 200] [--timeout 10] [--relax 200] [--tables sider muv ...]

Takes so many molecules of each table at random, embeds them one after the other in one process, and prints the share
of each status, the time of a molecule by the clock and by the processor, and the slowest one. The last line is JSON.
"""

import argparse
import json
from collections import Counter
from time import perf_counter, process_time

import numpy as np

from iem.chem.conformers import ConformerSettings, conformer
from iem.chem.molecules import parse
from iem.data.intake import draw, drawn, name_rows, stream_rows
from iem.data.moleculenet import DATASETS
from iem.errors import IEMError, MoleculeError
from iem.records import STATUSES

COLUMNS = (*STATUSES, "error")


def sample(table: str, count: int) -> list[str]:
    """Canonical SMILES of molecules drawn at random; the same in every run."""
    _, highest = draw(stream_rows([table], None), count, 0)
    named = [row for rows in stream_rows([table], None) for row in name_rows(*drawn(rows, 0, highest))]
    return [row.key for row in named if row.key]


def measure(molecules: list[str], settings: ConformerSettings) -> dict[str, float]:
    statuses: Counter[str] = Counter()
    clock, processor = [], []
    for smiles in molecules:
        mol, started, spent = parse(smiles), perf_counter(), process_time()
        try:
            statuses[conformer(mol, settings).status] += 1
        except MoleculeError:
            statuses["error"] += 1
        clock.append(perf_counter() - started)
        processor.append(process_time() - spent)
    shares = {name: round(100 * statuses[name] / len(molecules), 2) for name in COLUMNS if name != "given"}
    return {
        "molecules": len(molecules),
        **shares,
        "mean_ms": round(1000 * float(np.mean(clock)), 1),
        "median_ms": round(1000 * float(np.median(clock)), 1),
        "mean_cpu_ms": round(1000 * float(np.mean(processor)), 1),
        "slowest_s": round(max(clock), 2),
        "slowest_cpu_s": round(max(processor), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--molecules", type=int, default=200)
    parser.add_argument("--timeout", type=float, default=10.0)
    parser.add_argument("--relax", type=int, default=200)
    parser.add_argument("--tables", nargs="+", default=list(DATASETS), choices=list(DATASETS))
    options = parser.parse_args()
    settings = ConformerSettings(timeout=options.timeout, relax=options.relax)
    results = {}
    for table in options.tables:
        try:
            molecules = sample(table, options.molecules)
        except IEMError as error:
            print(f"{table}: {error}")
            continue
        results[table] = measure(molecules, settings)
        if len(results) == 1:
            print(" ".join(f"{name:>19}" for name in ("table", *results[table])))
        print(" ".join(f"{cell:>19}" for cell in (table, *results[table].values())), flush=True)
    print(json.dumps({"timeout": options.timeout, "relax": options.relax, "tables": results}))


if __name__ == "__main__":
    main()
