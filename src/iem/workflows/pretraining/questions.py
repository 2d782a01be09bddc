"""The prior questions as plain auxiliary tasks: answered from the molecules themselves, without any picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from iem.cache import address
from iem.chem.conformers import ConformerSettings, conformer, flat_geometry
from iem.chem.molecules import parse
from iem.chem.priors import DERIVED, PAPER, PRIORS, priors
from iem.data.answered import keep_answers
from iem.data.corpus import Corpus
from iem.errors import MoleculeError
from iem.files import whole
from iem.records import Geometry, PriorTarget
from iem.workflows.running.console import progress

FLAT = ("atom", "bond", "property", "substructure", "descriptor")
"""Questions whose answers need no coordinates."""
ASKED = ("atom", "bond", "property", "substructure")
"""Those of them that a student is asked while it learns a table."""

Answers = dict[str, tuple[np.ndarray, np.ndarray]]
"""By question: float32 values and where they are known, (molecules, size) each."""


def answered(
    keys: Sequence[str],
    rows: np.ndarray,
    names: Sequence[str],
    *,
    given: Mapping[str, Geometry],
    embed: bool,
    folder: Path,
) -> Answers:
    """Answers of some molecules, in standard deviations over them; of all others nothing is known.

    Args:
        keys: canonical SMILES of all molecules.
        rows: those that answer.
        names: of the questions.
        given: coordinates that came with molecules, by key.
        embed: the others get a conformer if a question is about space; else they leave that question open.
        folder: keeps the answers of these molecules, which are made once.
    """
    wanted = sorted({keys[row] for row in rows})
    given = {key: given[key] for key in wanted if key in given}
    settings = ConformerSettings() if embed and not set(names) <= set(FLAT) else None
    causes = [f"{key} {given[key].coordinates.tobytes().hex()}" for key in given]
    path = folder / f"{address(settings.signature if settings else 'flat', *names, *wanted, *causes)}.npz"
    if not path.is_file():
        _write(path, wanted, names, given, settings)
    places = {key: place for place, key in enumerate(wanted)}
    at = np.array([places.get(key, -1) for key in keys])
    with np.load(path, allow_pickle=False) as stored:
        found = {name: (stored[name][at], stored[f"{name}_known"][at] & (at >= 0)[:, None]) for name in names}
    return standardised(found, rows)


def ask(molecules: Corpus, names: Sequence[str], *, jobs: int, shown: bool = True) -> None:
    """From now on, records of a corpus come with the answers to slow questions; worked out if nobody has yet.

    Args:
        molecules: the corpus.
        names: of the questions.
        jobs: processes that work them out; 0 is as 1, -1 one per core.
        shown: whether to show how far they are.
    """
    with progress(shown=shown) as bars:
        bar = bars.add_task("asking the prior questions", total=None)

        def starts(name: str) -> None:
            bars.reset(bar, description=f"answering the question for the {name}", total=len(molecules))

        keep_answers(molecules, names, jobs=jobs or 1, starts=starts, tick=lambda count: bars.advance(bar, count))


def flat_answers(keys: Sequence[str], names: Sequence[str]) -> Answers:
    """Answers of all molecules, in their own units, to questions that need no coordinates.

    Args:
        keys: canonical SMILES.
        names: of the questions, among ``FLAT``.
    """
    return _stacked([_answer(key, names, None, None) for key in keys], names)


def standardised(answers: Mapping[str, tuple[np.ndarray, np.ndarray]], rows: np.ndarray) -> Answers:
    """Answers in standard deviations over some rows; what does not vary there is not asked."""
    found = {}
    for name, (values, known) in answers.items():
        masked = np.ma.masked_array(values[rows], ~known[rows])
        mean, std = masked.mean(axis=0).filled(0), masked.std(axis=0).filled(0)
        varies = std > 1e-6
        scaled = (values - mean) / np.where(varies, std, 1)
        found[name] = (np.where(known, scaled, 0).astype(np.float32), known & varies)
    return found


def _write(
    path: Path,
    keys: Sequence[str],
    names: Sequence[str],
    given: Mapping[str, Geometry],
    settings: ConformerSettings | None,
) -> None:
    found = []
    with progress() as bars:
        bar = bars.add_task("answering the prior questions", total=len(keys))
        for key in keys:
            found.append(_answer(key, names, given.get(key), settings))
            bars.advance(bar)
    arrays: dict[str, Any] = {}
    for name, (values, known) in _stacked(found, names).items():
        arrays[name], arrays[f"{name}_known"] = values, known
    with whole(path, parents=True) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)


def _stacked(found: Sequence[Mapping[str, PriorTarget]], names: Sequence[str]) -> Answers:
    return {
        name: (np.stack([one[name].values for one in found]), np.stack([one[name].known for one in found]))
        for name in names
    }


def _answer(
    key: str, names: Sequence[str], given: Geometry | None, settings: ConformerSettings | None
) -> dict[str, PriorTarget]:
    """Of one molecule; without settings it is not embedded, and without a drawing it has no answers."""
    mol = parse(key)
    try:
        geometry = given or (conformer(mol, settings) if settings else flat_geometry(mol))
    except MoleculeError:
        sizes = {name: PRIORS[name].size for name in names}
        return {name: PriorTarget(np.zeros(size, np.float32), np.zeros(size, bool)) for name, size in sizes.items()}
    found = priors(mol, geometry) if set(names) & set(PAPER) else {}
    return {name: DERIVED[name](mol, geometry) if name in DERIVED else found[name] for name in names}
