"""The search for the weights of the pictures: on the validation part alone, pruned, resumable."""

import json
from dataclasses import replace

import pandas as pd
import pytest

import iem
from iem.workflows.distillation.recipe import TRIALS, FitRecipe
from iem.workflows.fitting.searching import FIRST, GRID, WARM, Found, search_weights

AUTO = FitRecipe(ke="auto", te="auto")


class Student:
    """Stands for a training: its best score depends on the weights alone."""

    def __init__(self, sign=1.0, dies_at=None):
        self.sign, self.dies_at, self.seen = sign, dies_at, []

    def __call__(self, recipe, state, tick):
        self.seen.append((recipe.ke, recipe.te))
        if len(self.seen) == self.dies_at:
            raise KeyboardInterrupt
        goal = 0.7 + 0.1 * (recipe.ke == 1.0) + 0.05 * (recipe.te == 0.01) - 0.3 * (recipe.ke == 5.0)
        for epoch in range(1, 31):
            tick(epoch, self.sign * goal * epoch / 30)
        return self.sign * goal


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_better_weights_are_chosen_and_no_pair_is_tried_twice(tmp_path, sign):
    train = Student(sign)
    found = search_weights(AUTO, train, tmp_path, larger_is_better=sign > 0)
    assert found.recipe.ke == 1.0
    assert len(train.seen) == len(set(train.seen)) == TRIALS == len(found.trials)
    assert tuple(train.seen[: len(FIRST)]) == FIRST
    assert all(ke in GRID and te in GRID for ke, te in train.seen)
    best = max(found.trials, key=lambda trial: trial["valid"] * sign)
    assert (best["ke"], best["te"]) == (found.recipe.ke, found.recipe.te)


def test_hopeless_trials_are_given_up(tmp_path):
    def train(recipe, state, tick):
        goal = 0.7 if (recipe.ke, recipe.te) in FIRST else 0.4
        for epoch in range(1, 31):
            tick(epoch, goal * epoch / 30)
        return goal

    found = search_weights(AUTO, train, tmp_path, larger_is_better=True)
    assert [trial["given_up"] for trial in found.trials] == [False] * len(FIRST) + [True] * (TRIALS - len(FIRST))
    assert all(trial["epochs"] == (WARM if trial["given_up"] else 30) for trial in found.trials)


def test_a_weight_that_is_a_number_stays(tmp_path):
    found = search_weights(FitRecipe(ke="auto", te=0.0), Student(), tmp_path, larger_is_better=True)
    assert sorted(trial["ke"] for trial in found.trials) == list(GRID)
    assert {trial["te"] for trial in found.trials} == {0.0}


def test_a_killed_search_goes_on_as_if_nothing_had_been(tmp_path):
    whole, broken = Student(), Student(dies_at=7)
    wanted = search_weights(AUTO, whole, tmp_path / "whole", larger_is_better=True)
    with pytest.raises(KeyboardInterrupt):
        search_weights(AUTO, broken, tmp_path / "broken", larger_is_better=True)
    found = search_weights(AUTO, broken, tmp_path / "broken", larger_is_better=True)
    assert broken.seen[6] == broken.seen[7], "the one that was killed"
    assert broken.seen[:6] + broken.seen[7:] == whole.seen
    assert found == wanted


@pytest.mark.slow
def test_fit_searches_and_says_what_it_chose(tmp_path, teacher_folder, capsys):
    smiles = ["C" * length + end for length in range(1, 11) for end in ("O", "N", "Cl", "C=O")]
    frame = pd.DataFrame({"smiles": smiles, "y": [float(len(text)) for text in smiles]})
    options = {"teacher": str(teacher_folder), "epochs": 2, "split": "random", "te": 0.0, "jobs": 1}
    metrics = iem.fit(frame, out=tmp_path / "model", ke="auto", compare=True, **options)
    said = capsys.readouterr().err
    assert "chosen on the validation part: ke" in said or "they are switched off" in said
    card = json.loads((tmp_path / "model" / "card.json").read_text())
    assert card["settings"]["search"][0]["ke"] == 0.0
    assert len(card["settings"]["search"]) == len(GRID)
    best = min((one for one in card["settings"]["search"] if not one["given_up"]), key=lambda one: one["valid"])
    assert (f"ke {best['ke']:g}, te 0," in said) == bool(best["ke"]), "the smallest RMSE is chosen"
    assert ("they are switched off" in said) == (not best["ke"])
    assert not (tmp_path / "model" / "trainings").exists()
    assert ("difference" in metrics) == ("they are switched off" not in said)


@pytest.mark.parametrize("asked", [{"ke": 0.0, "te": 0.0}, {"ke": "auto", "te": "auto"}])
def test_without_a_weight_nothing_is_trained_twice(tmp_path, teacher_folder, monkeypatch, capsys, asked):
    """Pictures that are switched off, by hand or by the search, leave one training: the labels' own."""

    def none(recipe, train, folder, *, larger_is_better):
        return Found(replace(recipe, ke=0.0, te=0.0), [])

    monkeypatch.setattr("iem.workflows.fitting.searching.search_weights", none)
    smiles = ["C" * length + end for length in range(1, 11) for end in ("O", "N", "Cl", "C=O")]
    frame = pd.DataFrame({"smiles": smiles, "y": [float(len(text)) for text in smiles]})
    options = {"epochs": 2, "split": "random", "jobs": 1, "trees": "none"}
    metrics = iem.fit(frame, out=tmp_path / "model", teacher=str(teacher_folder), compare=True, **asked, **options)
    assert ("they are switched off" in capsys.readouterr().err) == (asked["ke"] == "auto")
    assert not {"difference", "without_teacher", "kept"} & set(metrics)
    page = (tmp_path / "model" / "report.html").read_text()
    assert "The pictures have no weight" in page
    assert "was not asked" not in page
    alone = iem.fit(frame, out=tmp_path / "alone", teacher="none", **options)
    assert metrics["test"]["mean"] == pytest.approx(alone["test"]["mean"])
