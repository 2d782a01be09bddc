"""What it takes to read a corpus: opening it, molecules one by one in any order, and memory.

    python benchmarks/reading.py CORPUS [--molecules 5000]

Seconds are those of the processor. Memory is what the process has written to, not what it has mapped (Linux).
Where Hugging Face ``datasets`` is installed, the same rows are read through it too. The last line is JSON.
"""

import argparse
import json
import re
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from iem.data.corpus import MANIFEST, Corpus


def spent(work: Callable[[], Any]) -> tuple[float, Any]:
    start = process_time()
    result = work()
    return process_time() - start, result


def read(rows: Sequence[Any], places: list[int]) -> None:
    for place in places:
        rows[place]


def private_mb() -> float:
    """Memory that this process has written to; what is only mapped from a file does not count."""
    return int(re.search(r"Private_Dirty: *(\d+)", Path("/proc/self/smaps_rollup").read_text())[1]) / 1024


def through_datasets(folder: Path, places: list[int]) -> dict[str, float]:
    """Seconds to import and to open, and microseconds a row in each of three forms."""
    result = {}
    before = private_mb()
    result["import"], datasets = spent(lambda: __import__("datasets"))
    result["import_mb"] = private_mb() - before
    datasets.disable_progress_bars()
    files = sorted(str(path) for path in folder.glob("part-*"))
    with tempfile.TemporaryDirectory() as cache:
        for name in ("first_opening", "later_opening"):
            result[name], rows = spent(
                lambda: datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=cache)
            )
        for form in ("python", "numpy", "arrow"):
            seconds, _ = spent(partial(read, rows.with_format(form), places))
            result[f"microseconds_{form}"] = 1e6 * seconds / len(places)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--molecules", type=int, default=5000)
    options = parser.parse_args()
    if not (options.corpus / MANIFEST).is_file():
        parser.error(f"{options.corpus} is not a corpus")
    first, _ = spent(lambda: Corpus(options.corpus)[0])
    before = private_mb()
    later, corpus = spent(lambda: Corpus(options.corpus))
    places = np.random.default_rng(0).integers(0, len(corpus), options.molecules).tolist()
    one_by_one, _ = spent(partial(read, corpus, places))
    opened = private_mb()
    result = {
        "molecules": len(corpus),
        "first_opening": first,
        "later_opening": later,
        "reading_mb": opened - before,
        "microseconds_a_molecule": 1e6 * one_by_one / len(places),
    }
    if find_spec("datasets"):
        result |= {f"datasets_{name}": value for name, value in through_datasets(options.corpus, places).items()}
    for name, value in result.items():
        print(f"{name:32s} {value:12.4f}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
