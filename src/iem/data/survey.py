"""What is in a corpus: counts and distributions, shard by shard."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rdkit import Chem

from iem.chem.priors import PRIORS
from iem.data.corpus import REJECTED, Molecules, Record, open_corpus, open_shard
from iem.errors import ArtifactError
from iem.records import STATUSES, Rejection

EXAMPLES = 100
"""Left-out rows that are kept to be shown."""


class Survey(NamedTuple):
    """What is in a corpus."""

    molecules: int
    shards: int
    size: int
    """Of the shards in bytes."""
    atoms: dict[str, np.ndarray]
    """By conformer status: molecules by their number of heavy atoms, which is the index; all of one length."""
    elements: dict[str, int]
    """Molecules that contain an element, most frequent first."""
    properties: np.ndarray
    """float32 ``(molecules, 8)``, NaN where unknown."""
    left_out: dict[str, int]
    """Rows by the stage that they did not pass, most frequent first."""
    examples: list[Rejection]
    """Some of these rows, the first of each stage among them."""
    sample: list[Record]
    """Some molecules, evenly spaced."""

    @property
    def statuses(self) -> dict[str, int]:
        """Molecules by conformer status, best first."""
        return {status: int(counts.sum()) for status, counts in self.atoms.items()}

    @property
    def sizes(self) -> np.ndarray:
        """Molecules by their number of heavy atoms, which is the index."""
        return np.sum(list(self.atoms.values()), axis=0)


def survey(folder: Path, *, sample: int) -> Survey:
    """Look at every molecule of a finished corpus.

    Args:
        folder: of the corpus.
        sample: molecules to take out, evenly spaced.

    Raises:
        ArtifactError: unfinished, empty, damaged, or of another version; names the file.
    """
    manifest = open_corpus(folder)
    molecules = manifest["counts"]["molecules"]
    wanted = np.unique(np.linspace(0, molecules - 1, min(sample, molecules)).astype(int))
    atoms: dict[str, Counter[int]] = {status: Counter() for status in STATUSES}
    elements: Counter[int] = Counter()
    properties, taken = [], []
    first = 0
    for name, digest in manifest["shards"].items():
        table = open_shard(folder, name, digest)
        shard = Molecules(table)
        numbers, starts = shard.columns["numbers"]
        sizes = np.diff(starts)
        for status, size in zip(shard.statuses, sizes.tolist(), strict=True):
            atoms[status][size] += 1
        owners = np.repeat(np.arange(len(sizes)), sizes)
        elements.update((np.unique(owners * 256 + numbers) % 256).tolist())
        properties.append(shard.columns["property"][0].reshape(-1, PRIORS["property"].size))
        here = wanted[(first <= wanted) & (wanted < first + len(shard))] - first
        taken.append(table.take(pa.array(here)))
        first += len(shard)
    longest = max(size for counts in atoms.values() for size in counts) + 1
    table_of_elements = Chem.GetPeriodicTable()
    left_out, examples = _left_out(folder)
    chosen = Molecules(pa.concat_tables(taken))
    return Survey(
        molecules=first,
        shards=len(manifest["shards"]),
        size=sum((folder / name).stat().st_size for name in manifest["shards"]),
        atoms={
            status: np.array([counts[size] for size in range(longest)]) for status, counts in atoms.items() if counts
        },
        elements={table_of_elements.GetElementSymbol(number): count for number, count in elements.most_common()},
        properties=np.concatenate(properties),
        left_out=left_out,
        examples=examples,
        sample=[chosen[place] for place in range(len(wanted))],
    )


def _left_out(folder: Path) -> tuple[dict[str, int], list[Rejection]]:
    """Rows by stage, and the first of them; the first of each stage is always there."""
    stages: Counter[str] = Counter()
    examples: list[Rejection] = []
    try:
        with pq.ParquetFile(folder / REJECTED) as file:
            for batch in file.iter_batches():
                for row in batch.to_pylist():
                    if len(examples) < EXAMPLES or row["stage"] not in stages:
                        examples.append(Rejection(**row))
                    stages[row["stage"]] += 1
    except (OSError, pa.ArrowException) as error:
        raise ArtifactError(f"{folder / REJECTED} cannot be read; run the same iem prepare command again") from error
    return dict(stages.most_common()), examples
