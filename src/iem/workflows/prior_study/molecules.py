"""The molecules of the study of priors, in every form in which its networks look at them."""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from iem.cache import address
from iem.chem.molecules import parse
from iem.chem.priors import PAPER
from iem.chem.splits import digest, random_split
from iem.data.corpus import Corpus, Record
from iem.data.datasets import answers, prior_statistics
from iem.errors import ConfigError
from iem.records import Split
from iem.report.text import plural
from iem.students.features import featurize
from iem.workflows.prior_study.models import Exhibit

Answers = dict[str, np.ndarray]
"""By prior, float32 (molecules, size)."""


class Hall(NamedTuple):
    """The molecules of a study, what is true of them, and its three parts."""

    exhibits: list[Exhibit]
    truths: Answers
    known: dict[str, np.ndarray]
    """By prior, bool (molecules, size)."""
    statistics: dict[str, tuple[np.ndarray, np.ndarray]]
    """Mean and unit of each prior over the part to learn from, (size,) each."""
    split: Split
    """Places in ``exhibits``."""
    corpus: str
    """Digest of the whole corpus, for what hangs on more than the SMILES: coordinates, layouts, priors."""

    @property
    def digest(self) -> str:
        """Over the corpus, the molecules in their order, and the split."""
        return address(self.corpus, digest(self.split), *(exhibit.smiles for exhibit in self.exhibits))


def exhibit_of(record: Record) -> Exhibit | None:
    """A molecule in every form; None where it lacks one: no conformer was found, or a hydrogen has only a letter."""
    mol = parse(record.smiles)
    numbers = [atom.GetAtomicNum() for atom in mol.GetAtoms()]
    if record.geometry.status == "flat" or numbers != record.geometry.numbers.tolist():
        return None
    return Exhibit(record.smiles, featurize(mol), record.layout.astype(np.float32), record.geometry)


@lru_cache(maxsize=1)
def open_hall(corpus: Path, count: int, seed: int) -> Hall:
    """A sample of a corpus, 8:1:1; it follows from the seed.

    Raises:
        ArtifactError: it is no finished corpus.
        ConfigError: too few of its molecules have every form.
    """
    molecules = Corpus(corpus)
    chosen: list[int] = []
    exhibits: list[Exhibit] = []
    for index in np.random.default_rng((seed, len(molecules))).permutation(len(molecules)):
        if len(exhibits) == count:
            break
        if (exhibit := exhibit_of(molecules[int(index)])) is not None:
            chosen.append(int(index))
            exhibits.append(exhibit)
    if len(exhibits) < count:
        rule = f"{corpus} has only {plural(len(exhibits), 'molecule')} with 3D coordinates; name fewer or prepare more"
        raise ConfigError("--molecules", count, rule)
    split = random_split([exhibit.smiles for exhibit in exhibits], seed=seed)
    records = [molecules[index] for index in chosen]
    rows = [answers(PAPER, record, parse(record.smiles)) for record in records]
    return Hall(
        exhibits,
        {name: np.stack([row[name].values for row in rows]) for name in PAPER},
        {name: np.stack([row[name].known for row in rows]) for name in PAPER},
        dict(prior_statistics(molecules, np.array(chosen)[split.train], PAPER, seed=seed)),
        split,
        molecules.digest,
    )
