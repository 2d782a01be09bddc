"""Measuring a teacher: errors against scikit-learn, retrieval, probes, and what the verb prints and writes."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import mean_squared_error, r2_score

from iem import artifact
from iem.chem.molecules import parse
from iem.chem.priors import properties
from iem.cli import main
from iem.data.corpus import Corpus
from iem.data.tables import read_table
from iem.errors import ArtifactError
from iem.nn.teacher import load_teacher
from iem.records import Split
from iem.workflows.pictures.embed import usual_view
from iem.workflows.pretraining.evaluating import (
    fingerprints,
    on_corpus,
    prior_errors,
    probe,
    retrieval,
    show_errors,
    untrained,
)
from iem.workflows.pretraining.run import held_out_part

SMILES = [
    *("CO", "CCO", "CCCO", "CC(C)O", "CCCCO", "CC(C)CO", "OCCO", "CC(O)CO", "c1ccccc1O", "OCc1ccccc1", "OC1CCCCC1"),
    *("CC", "CCC", "CCCC", "CC(C)C", "CCCCC", "c1ccccc1", "Cc1ccccc1", "CCc1ccccc1", "C1CCCCC1", "C1CCCC1", "C=CC=C"),
    *("CN", "CCN", "CCCN", "NCCN", "Nc1ccccc1", "CC#N", "C[N+](=O)[O-]", "CS", "CCS", "CSC", "ClCCl", "CCCl", "BrCCBr"),
]


@pytest.fixture(scope="module")
def corpus(corpus_of):
    return corpus_of(SMILES)


def test_prior_errors_are_those_of_scikit_learn_where_everything_is_known():
    rng = np.random.default_rng(0)
    truths = rng.normal(size=(50, 3)) * [1, 10, 0]
    answers = truths + rng.normal(size=(50, 3)) * 0.3
    errors = prior_errors(answers, truths, np.ones((50, 3), dtype=bool))
    assert errors["rmse"] == pytest.approx(mean_squared_error(truths, answers) ** 0.5)
    assert errors["r2"][:2] == pytest.approx([r2_score(truths[:, i], answers[:, i]) for i in range(2)])
    assert errors["r2"][2] is None, "what never varies cannot be explained"
    assert errors["rmse_of_mean"] == pytest.approx(np.sqrt(truths.var(axis=0).mean()))


def test_what_is_not_known_counts_for_nothing():
    truths, known = np.array([[1.0, 2.0], [3.0, 99.0], [5.0, 4.0]]), np.ones((3, 2), dtype=bool)
    known[1, 1] = False
    errors = prior_errors(truths * known, truths, known)
    assert errors["rmse"] == 0
    assert errors["r2"] == [1, 1]


def test_of_what_is_known_nowhere_no_error_is_made_up():
    errors = prior_errors(np.ones((3, 2)), np.zeros((3, 2)), np.zeros((3, 2), dtype=bool))
    assert errors == {"rmse": None, "rmse_of_mean": None, "r2": [None, None], "r2_mean": None}
    show_errors("encoder", {"3d": {"shape": errors}})


def test_retrieval_finds_equal_directions_and_only_those():
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(40, 16))
    assert retrieval(flat, 7 * flat) == {"top1": 1.0, "top5": 1.0, "of": 40.0}
    lost = retrieval(flat, np.roll(flat, 1, axis=0))
    assert lost["top1"] == 0


def test_a_probe_finds_a_linear_law_and_nothing_in_noise(tmp_path):
    keys = SMILES
    weight = np.array([properties(parse(key))[0] for key in keys])
    (tmp_path / "t.csv").write_text(pd.DataFrame({"smiles": keys, "weight": weight}).to_csv(index=False))
    table = read_table(tmp_path / "t.csv")
    order = np.random.default_rng(0).permutation(len(keys))
    split = Split(order[:21], order[21:28], order[28:])
    described = np.stack([properties(parse(key)) for key in keys])
    noise = np.random.default_rng(1).normal(size=described.shape)
    assert probe(described, table, split, "regression") < 0.1 * weight.std()
    assert probe(noise, table, split, "regression") > 0.5 * weight.std()
    binary = read_table(pd.DataFrame({"smiles": keys, "heavy": (weight > np.median(weight)).astype(int)}))
    assert probe(described, binary, split, "classification") > 0.9
    lost = described.copy()
    lost[order[28]] = np.nan  # a molecule without a picture, which is in no part
    fewer = split._replace(test=order[29:])
    assert probe(lost, table, fewer, "regression") == pytest.approx(probe(described, table, fewer, "regression"))
    late = table.labels.copy()
    late[split.train] = np.nan
    assert probe(described, replace(table, labels=late), split, "regression") > 0, "nothing to learn, and no traceback"


def test_fingerprints_count_and_do_not_depend_on_the_spelling():
    one, two, other = fingerprints(["OCC", "CCO", "CCCCCC"])
    np.testing.assert_array_equal(one, two)
    assert other.max() > 1
    assert not np.array_equal(one, other)


def test_only_the_held_out_part_of_the_teachers_own_corpus_is_measured(corpus, teacher_folder, tmp_path):
    tensors, card = artifact.load(teacher_folder, kind="teacher")
    own = card | {"corpus": {"digest": Corpus(corpus).digest}, "recipe": {"batch_size": 5, "seed": 3}}
    artifact.save(tmp_path, tensors, own, kind="teacher")
    assert on_corpus(tmp_path, Corpus(corpus), 1000)["molecules"] == 5
    assert on_corpus(teacher_folder, Corpus(corpus), 1000)["molecules"] == len(SMILES)
    train, held_out = held_out_part(len(SMILES), 5, 3)
    assert sorted([*train, *held_out]) == list(range(len(SMILES)))


def test_an_untrained_network_has_the_same_shape_and_other_weights(teacher_folder):
    teacher = load_teacher(teacher_folder)
    naive = untrained(teacher.card)
    assert naive.dim == teacher.dim
    assert naive.card["digest"] != teacher.card["digest"]
    pictures = torch.full((1, 2, 32, 32, 3), 255, dtype=torch.uint8)
    pictures[:, :, 8:20, 8:20, 0] = 0
    assert naive(pictures).isfinite().all()


def test_the_verb_measures_prints_and_writes(corpus, teacher_folder, tmp_path, capsys):
    table = tmp_path / "mine.csv"
    table.write_text("smiles,alcohol\n" + "\n".join(f"{text},{int('O' in text)}" for text in SMILES))
    words = ["teacher", "evaluate", str(teacher_folder), "--corpus", str(corpus), "--table", str(table)]
    assert main([*words, "--out", str(tmp_path / "figures.json"), "--jobs", "1"]) == 0
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["teacher"] == load_teacher(teacher_folder).card["digest"]
    assert set(figures["corpus"]["priors"]["3d"]) == {"atom", "bond", "geometry", "property"}
    kinds = figures["probes"][str(table)]["test"]
    assert list(kinds) == ["teacher", "untrained", "descriptors", "ecfp", "teacher + ecfp"]
    assert "geometry" in capsys.readouterr().err

    own = figures["probes"][str(table)]["priors"]
    assert list(own) == ["atom", "bond", "property"]  # the fourth needs coordinates
    for name, errors in own.items():  # the corpus has the same molecules
        for figure in ("rmse", "rmse_of_mean", "r2_mean"):
            assert errors[figure] == pytest.approx(figures["corpus"]["priors"]["3d"][name][figure], rel=1e-3)


def test_nothing_to_measure_is_an_error(capsys):
    assert main(["teacher", "evaluate"]) == 1
    assert "name a --corpus, a --table or both" in capsys.readouterr().err


def test_a_packed_teacher_gives_the_same_features_from_files_of_half_the_size(tmp_path, corpus):
    from dataclasses import replace

    from iem.workflows.pretraining.recipe import PRESETS
    from iem.workflows.pretraining.run import train_teacher

    recipe = replace(PRESETS["default"], encoder="test_resnet", size=32, visits=8, round=8, batch_size=8)
    train_teacher(corpus, out=tmp_path / "run", recipe=recipe, jobs=0)
    assert main(["teacher", "pack", str(tmp_path / "run"), "--out", str(tmp_path / "small")]) == 0
    pictures = torch.randint(0, 255, (2, 1, 32, 32, 3), dtype=torch.uint8)
    for view in ("3d", "2d"):
        whole, small = load_teacher(tmp_path / "run", view=view), load_teacher(tmp_path / "small", view=view)
        torch.testing.assert_close(small(pictures), whole(pictures), rtol=0, atol=0)
        for name, head in whole.heads.items():
            features = torch.ones(1, whole.dim)
            torch.testing.assert_close(small.heads[name](features), head(features), rtol=0, atol=0)
    assert load_teacher(tmp_path / "small", view="2d").card["digest"] != load_teacher(tmp_path / "small").card["digest"]
    sizes = [(tmp_path / name / artifact.WEIGHTS).stat().st_size for name in ("run", "small")]
    assert sizes[1] < 0.7 * sizes[0]
    assert (usual_view(tmp_path / "small"), usual_view(tmp_path / "run")) == ("2d", "2d")
    (tmp_path / "small" / "encoder_2d.safetensors").unlink()
    assert usual_view(tmp_path / "small") == "3d"
    (tmp_path / "small" / "encoder_2d.safetensors").write_bytes(b"of another teacher")
    load_teacher(tmp_path / "small")  # does not need it
    with pytest.raises(ArtifactError, match=r"encoder_2d\.safetensors is damaged"):
        load_teacher(tmp_path / "small", view="2d")
    assert main(["teacher", "pack", str(tmp_path / "run"), "--out", str(tmp_path / "small")]) == 1
