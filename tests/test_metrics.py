"""Scores with missing labels, and the verdict on two arms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score, root_mean_squared_error

from iem.workflows.measures import metrics
from iem.workflows.measures.metrics import against, difference, mean_score, scores, summary


def test_scores_skip_missing_labels_and_targets_of_one_class():
    labels = np.array([[1, 1, np.nan], [0, 1, 0], [1, np.nan, 1], [0, 1, 1]])
    outputs = np.array([[0.9, 0.1, 0.5], [0.2, 0.3, 0.6], [0.1, 0.5, 0.7], [0.3, 0.2, 0.2]])
    result = scores("classification", labels, outputs)
    assert result[0] == roc_auc_score(labels[:, 0], outputs[:, 0])
    assert np.isnan(result[1])
    assert result[2] == roc_auc_score([0, 1, 1], [0.6, 0.7, 0.2])
    assert mean_score(result) == pytest.approx((result[0] + result[2]) / 2)


def scikit_learn(task, labels, outputs):
    """The same scores by the library, one target at a time."""
    found = []
    for truth, output in zip(labels.T, outputs.T, strict=True):
        known = ~np.isnan(truth)
        if task == "regression":
            found.append(root_mean_squared_error(truth[known], output[known]) if known.any() else np.nan)
        else:
            both = len(np.unique(truth[known])) == 2
            found.append(roc_auc_score(truth[known], output[known]) if both else np.nan)
    return np.array(found)


@pytest.mark.parametrize("task", ["classification", "regression"])
@given(data=st.data())
def test_scores_are_those_of_scikit_learn(task, data):
    rows, targets = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 3))
    truth = (
        st.sampled_from([0.0, 1.0, np.nan]) if task == "classification" else st.sampled_from([-2.5, 0.0, 3e3, np.nan])
    )
    labels = np.array(data.draw(st.lists(truth, min_size=rows * targets, max_size=rows * targets))).reshape(
        rows, targets
    )
    guess = st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(-1e3, 1e3))  # with ties
    flat = data.draw(st.lists(guess, min_size=rows * targets, max_size=rows * targets))
    outputs = np.array(flat).reshape(rows, targets)
    np.testing.assert_allclose(scores(task, labels, outputs), scikit_learn(task, labels, outputs), rtol=1e-12)
    outputs[0] = np.nan
    assert np.isnan(scores(task, labels, outputs)[~np.isnan(labels[0])]).all()


def test_rmse_is_in_the_unit_of_the_labels():
    labels = np.array([[1.0], [2.0], [np.nan]])
    assert scores("regression", labels, np.array([[2.0], [4.0], [9.0]]))[0] == pytest.approx(np.sqrt(2.5))


def test_summary_names_what_has_no_score():
    result = summary([np.array([0.5, np.nan]), np.array([0.7, np.nan])], ["a", "b [°C]"])
    assert result["mean"] == pytest.approx(0.6)
    assert result["std"] == pytest.approx(np.std([0.5, 0.7], ddof=1))
    assert result["per_target"]["b [°C]"] == {"mean": None, "std": None, "per_seed": [None, None]}


def test_one_seed_has_no_spread():
    result = summary([np.array([0.5])], ["a"])
    assert (result["mean"], result["std"], result["per_seed"]) == (0.5, None, [0.5])


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_two_arms_that_are_the_same_differ_in_nothing(task):
    labels = np.array([[0.0], [1.0], [1.0], [0.0]])
    outputs = [labels + 0.1 * seed * np.array([[1.0], [-1.0], [2.0], [7.0]]) for seed in range(3)]
    result = difference(task, labels, outputs, outputs)
    assert (result["mean"], result["ci95"], result["improved"]) == (0, [0, 0], False)
    assert result["verdict"].startswith("No clear effect")


def test_an_interval_that_ends_just_beyond_zero_is_no_effect():
    labels = np.zeros((20, 1))
    plain = [np.full_like(labels, 1.0)] * 3
    taught = [np.full_like(labels, value) for value in (0.90, 0.94, 1.01)]
    result = difference("regression", labels, taught, plain)
    low, high = result["ci95"]
    assert low < 0 < high < 0.1
    assert result["improved"] is False
    assert result["verdict"].startswith("No clear effect")


def test_without_a_score_nothing_is_said_of_the_pictures():
    labels, outputs = np.ones((4, 1)), [np.full((4, 1), 0.5)] * 2
    result = difference("classification", labels, outputs, outputs)
    assert (result["mean"], result["ci95"], result["improved"]) == (None, None, False)
    assert "nothing can be said" in result["verdict"]


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


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize(("rows", "targets", "cells"), [(40, 1, 90), (25, 4, 10**6)])
def test_the_interval_is_that_of_scoring_every_drawn_part(task, rows, targets, cells, monkeypatch):
    """Against the slow way: the rows that are drawn, scored by scikit-learn."""
    monkeypatch.setattr(metrics, "RESAMPLES", 60)
    monkeypatch.setattr(metrics, "LEAST_RESAMPLES", 20)
    monkeypatch.setattr(metrics, "CELLS", cells)
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, (rows, targets)).astype(float)
    labels[rng.random(labels.shape) < 0.3] = np.nan
    labels[:, -1:] = np.where(np.arange(rows)[:, None] == 0, 1.0, labels[:, -1:] * 0)  # most parts lack its positive
    one = rng.normal(size=labels.shape).round(1)  # with ties
    other = rng.normal(size=labels.shape).round(1)
    parts, gaps = np.random.default_rng(0), []
    for _ in range(max(20, 60 // targets)):
        drawn = parts.integers(0, rows, rows)
        mine, its = (scikit_learn(task, labels[drawn], outputs[drawn]) for outputs in (one, other))
        gaps.append(np.nan if np.isnan(mine).all() else np.nanmean(mine) - np.nanmean(its))
    assert metrics.resampled(task, labels, one, other) == pytest.approx(np.nanquantile(gaps, [0.025, 0.975]))
    if task == "classification" and targets == 1:
        assert np.isnan(gaps).any()


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_model_is_ahead_behind_or_neither(task):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (80, 2)).astype(float)
    labels[:5, 1] = np.nan
    good = np.nan_to_num(labels) + rng.normal(scale=0.2, size=labels.shape)
    bad = rng.normal(size=labels.shape)
    for ours, theirs, ahead, words in (
        (good, bad, True, "is ahead of a forest"),
        (bad, good, False, "is behind a forest"),
        (bad, bad + rng.normal(scale=0.05, size=labels.shape), None, "does not clearly differ from a forest"),
    ):
        found = against(task, labels, [ours], theirs, "a forest")
        expected = mean_score(scores(task, labels, ours)) - mean_score(scores(task, labels, theirs))
        assert found["mean"] == pytest.approx(expected)
        assert found["ci95"][0] <= found["mean"] <= found["ci95"][1]
        assert found["ahead"] is ahead
        assert found["verdict"].startswith(f"The graph network alone {words}")
        assert "together" not in found["verdict"]
    two = against(task, labels, [good, bad], bad, "a forest")
    assert two["mean"] == pytest.approx(against(task, labels, [(good + bad) / 2], bad, "a forest")["mean"])
    assert ", 2 networks together, against" in two["verdict"]


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_of_a_handful_of_molecules_nothing_is_concluded(task):
    labels = np.array([[0.0], [1.0], [1.0], [0.0]])
    good, bad = np.abs(labels - 0.1), np.abs(labels - 0.8)
    found = difference(task, labels, [good], [bad])
    assert (found["ci95"], found["improved"]) == (None, False)
    assert found["verdict"].endswith(
        "but with 4 molecules in the test part nobody can tell whether the pictures helped."
    )
    assert difference(task, labels, [good] * 2, [bad] * 2)["ci95"] is not None, "several seeds speak of training"
    rival = against(task, labels, [good], bad, "a forest")
    assert (rival["ci95"], rival["ahead"]) == (None, None)
    assert rival["verdict"].endswith("; with 4 molecules in the test part nobody can tell who is ahead.")
    assert rival["mean"] != 0


def test_nothing_is_said_of_a_rival_where_there_is_no_score():
    labels = np.ones((4, 1))
    found = against("classification", labels, [labels], labels, "a forest")
    assert found == {"mean": None, "ci95": None, "ahead": None, "verdict": ""}
