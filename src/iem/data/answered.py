"""Answers of a corpus to questions that take long: worked out once, kept in the user's cache, mapped into memory."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, final

import numpy as np
import pyarrow as pa
from joblib import Parallel, delayed
from rdkit import rdBase

from iem.chem.molecules import parse
from iem.chem.priors import DERIVED, PRIORS, known_where_finite
from iem.data.corpus import Corpus
from iem.data.mapped import is_mapped, open_mapped, place_of, write_mapped
from iem.records import PriorTarget

SLOW = ("shape", "descriptor")
"""Questions that take 0.3 to 1.2 ms to answer; the others take less than a tenth, or many numbers."""
PART = 2_000
"""Molecules that are answered for, and stored, at a time."""


def keep_answers(
    corpus: Corpus,
    names: Sequence[str],
    *,
    jobs: int | None = 1,
    starts: Callable[[str], None] = lambda name: None,
    tick: Callable[[int], None] = lambda molecules: None,
) -> None:
    """From now on, records of this corpus come with the answers to the slow ones of some questions.

    Args:
        corpus: the molecules.
        names: of the questions.
        jobs: processes that work them out, if that has not been done before.
        starts: is told before the molecules are asked a question.
        tick: is told how many more of them have answered.

    Raises:
        OutputError: the cache cannot be written.
    """
    for name in names:
        if name not in SLOW:
            continue
        kept = KeptAnswers(corpus, name)
        if not kept.found:
            starts(name)
            kept.write(corpus, jobs=jobs, tick=tick)
        corpus.kept[name] = kept


@final
class KeptAnswers:
    """What all molecules of a corpus answer to one question, by their index; another process gets the file's name."""

    def __init__(self, corpus: Corpus, name: str) -> None:
        self.name, self.size, self.molecules, self.part = name, PRIORS[name].size, len(corpus), PART
        self.schema = pa.schema([("answer", pa.list_(pa.float32(), self.size))])  # NaN where unknown
        self.path = place_of("answers", str(PART), name, *PRIORS[name].labels, rdBase.rdkitVersion, corpus.digest)

    @property
    def found(self) -> bool:
        """Whether they have been worked out."""
        return is_mapped(self.path, self.schema, self.molecules)

    def write(self, corpus: Corpus, *, jobs: int | None, tick: Callable[[int], None]) -> None:
        """Work them out, in several processes where that is worth while."""
        starts = range(0, self.molecules, self.part)
        rows = [range(start, min(start + self.part, self.molecules)) for start in starts]
        parallel: Any = Parallel(n_jobs=1 if len(rows) < 3 else jobs, return_as="generator", pre_dispatch="2*n_jobs")
        answers = parallel(delayed(_answers)(corpus, self.name, some) for some in rows)
        write_mapped(self.path, self.schema, (self._table(some, tick) for some in answers))

    def _table(self, answers: np.ndarray, tick: Callable[[int], None]) -> pa.Table:
        tick(len(answers))
        return pa.table([pa.FixedSizeListArray.from_arrays(answers.ravel(), self.size)], schema=self.schema)

    def __getitem__(self, index: int) -> PriorTarget:
        part, row = divmod(index, self.part)
        return known_where_finite(self._parts[part][row])

    @cached_property
    def _parts(self) -> list[np.ndarray]:
        columns = [part["answer"].chunk(0) for part in open_mapped(self.path)]
        return [column.values.to_numpy().reshape(-1, self.size) for column in columns]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_parts"}


def _answers(corpus: Corpus, name: str, rows: range) -> np.ndarray:
    """Of some molecules, float32 (molecules, size), NaN where unknown."""
    answers = np.full((len(rows), PRIORS[name].size), np.nan, np.float32)
    for place, row in enumerate(rows):
        record = corpus[row]
        values, known = DERIVED[name](parse(record.smiles), record.geometry)
        answers[place, known] = values[known]
    return answers
