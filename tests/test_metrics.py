"""Scores with missing labels, and the verdict on two arms."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from iem.workflows.metrics import difference, mean_score, scores, summary


def test_scores_skip_missing_labels_and_targets_of_one_class():
    labels = np.array([[1, 1, np.nan], [0, 1, 0], [1, np.nan, 1], [0, 1, 1]])
    outputs = np.array([[0.9, 0.1, 0.5], [0.2, 0.3, 0.6], [0.1, 0.5, 0.7], [0.3, 0.2, 0.2]])
    result = scores("classification", labels, outputs)
    assert result[0] == roc_auc_score(labels[:, 0], outputs[:, 0])
    assert np.isnan(result[1])
    assert result[2] == roc_auc_score([0, 1, 1], [0.6, 0.7, 0.2])
    assert mean_score(result) == pytest.approx((result[0] + result[2]) / 2)


def test_rmse_is_in_the_unit_of_the_labels():
    labels = np.array([[1.0], [2.0], [np.nan]])
    assert scores("regression", labels, np.array([[2.0], [4.0], [9.0]]))[0] == pytest.approx(np.sqrt(2.5))


def test_summary_names_what_has_no_score():
    result = summary([np.array([0.5, np.nan]), np.array([0.7, np.nan])], ["a", "b [°C]"])
    assert result["mean"] == pytest.approx(0.6)
    assert result["std"] == pytest.approx(np.std([0.5, 0.7], ddof=1))
    assert result["per_target"]["b [°C]"] == {"mean": None, "std": None, "per_seed": [None, None]}


def test_difference_over_seeds_is_a_paired_t_interval():
    rng = np.random.default_rng(0)
    labels = rng.normal(size=(50, 1))
    plain = [labels + rng.normal(scale=1.0, size=labels.shape) for _ in range(4)]
    taught = [labels + rng.normal(scale=0.5, size=labels.shape) for _ in range(4)]
    result = difference("regression", labels, taught, plain)
    first = [float(scores("regression", labels, output)[0]) for output in taught]
    second = [float(scores("regression", labels, output)[0]) for output in plain]
    interval = stats.ttest_rel(first, second).confidence_interval()
    assert result["ci95"] == pytest.approx([interval.low, interval.high])
    assert result["improved"] is True
    assert result["verdict"].startswith("Yes, the pictures helped: RMSE fell by")
    back = difference("regression", labels, plain, taught)
    assert back["improved"] is False
    assert "did harm" in back["verdict"]


def test_one_seed_is_judged_over_the_molecules_and_says_so():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, size=(200, 1)).astype(float)
    output = labels + rng.normal(scale=2, size=labels.shape)
    result = difference("classification", labels, [output], [output + rng.normal(scale=0.1, size=labels.shape)])
    low, high = result["ci95"]
    assert low < 0 < high
    assert result["improved"] is False
    assert "the luck of training is not counted" in result["verdict"]
