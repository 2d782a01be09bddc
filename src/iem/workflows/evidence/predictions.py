"""What a run predicts for the molecules that it did not learn from, kept beside its scores."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from iem.errors import ArtifactError
from iem.files import whole
from iem.records import Split
from iem.workflows.measures.metrics import mean_score, scores

PARTS = ("valid", "test")


def keep_predictions(path: Path, labels: np.ndarray, outputs: np.ndarray, split: Split) -> None:
    """Write ``<part>_rows``, ``<part>_labels`` and ``<part>_outputs`` of the validation and the test part.

    Args:
        path: of the ``npz`` file, whole or absent.
        labels: of the table, float (molecules, targets), NaN where missing.
        outputs: probabilities or values, of the same shape.
        split: the parts of the table.
    """
    arrays: dict[str, np.ndarray] = {}
    for part in PARTS:
        rows = getattr(split, part)
        arrays |= {f"{part}_rows": rows, f"{part}_labels": labels[rows], f"{part}_outputs": outputs[rows]}
    with whole(path, parents=True) as partial, partial.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def score_together(paths: Sequence[Path], task: str) -> float | None:
    """Test score of the mean of several runs' predictions: what an ensemble of them scores.

    Args:
        paths: files that ``keep_predictions`` wrote.
        task: ``classification`` (ROC-AUC) or ``regression`` (RMSE in the unit of the table).

    Returns:
        None for fewer than two runs, if one of them kept none (older versions did not), or if their test parts differ.

    Raises:
        ArtifactError: a file that holds something else; names it.
    """
    if len(paths) < 2 or not all(path.is_file() for path in paths):
        return None
    found = [_test_part(path) for path in paths]
    rows, labels, _ = found[0]
    if not all(np.array_equal(rows, other) for other, _, _ in found):
        return None
    score = mean_score(scores(task, labels, np.mean([outputs for *_, outputs in found], axis=0)))
    return score if np.isfinite(score) else None


def _test_part(path: Path) -> list[np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            return [stored[f"test_{name}"] for name in ("rows", "labels", "outputs")]
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise ArtifactError(f"{path} holds no predictions of a run ({error}); delete it") from error
