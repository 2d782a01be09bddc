"""The study of priors: what the networks may depend on, that they learn, what is kept, and the figures made of it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from iem.cli import main
from iem.data.published import FIGURE1A, TABLE_S1
from iem.errors import ArtifactError, ConfigError
from iem.nn.egnn import EGNN, EquivariantLayer, pairs_within
from iem.workflows.prior_study import run
from iem.workflows.prior_study.models import KINDS, Exhibition, together
from iem.workflows.prior_study.molecules import open_hall
from iem.workflows.prior_study.recipe import MODELS, StudyRecipe
from iem.workflows.prior_study.results import ORDER, PAIRS, asked, correlations, pearson, study_of
from iem.workflows.prior_study.run import run_study
from iem.workflows.prior_study.training import Teaching, learn, new_network, train_model
from iem.workflows.priors import priors

SMILES = [
    *("CCO", "CCCO", "CC(C)O", "CCCCO", "c1ccccc1O", "Cc1ccccc1O", "CC(=O)Oc1ccccc1C(=O)O", "CCN", "CCCN", "c1ccncc1"),
    *("C1CCCCC1", "OC1CCCCC1", "CC(=O)C", "CCC(=O)C", "CC#N", "c1ccsc1", "FC(F)(F)c1ccccc1", "Clc1ccccc1", "BrCCBr"),
    *("CN1C=NC2=C1C(=O)N(C(=O)N2C)C", "OCC(O)C(O)C(O)C(O)C=O", "NC(Cc1ccccc1)C(=O)O", "C[Si](C)(C)C", "CSC", "O=C=O"),
    *("c1ccc2ccccc2c1", "C1CCNCC1", "c1ccc2[nH]ccc2c1", "O=C1CCCCC1", "C1CCOC1", "c1cnc2ccccc2c1", "C1COCCN1"),
]
TINY = StudyRecipe(
    molecules=30, epochs=2, batch_size=8, lr=5e-3, width=16, encoder="test_resnet", size=32, view_set="paper"
)
SIZES = {"atom": 19, "bond": 4, "geometry": 60, "property": 8}


@pytest.fixture(scope="module")
def corpus(corpus_of):
    return corpus_of(SMILES)


@pytest.fixture(scope="module")
def hall(corpus):
    return open_hall(corpus, 30, 0)


def study(corpus, out, models, recipe=TINY, seed=0):
    run_study(corpus, out=out, preset="default", recipe=recipe, models=models, seed=seed, jobs=1)


def crowd(seed, dims):
    """Two molecules of a few atoms, in double precision, and a rigid motion of space."""
    rng = np.random.default_rng(seed)
    owner = torch.tensor([0] * 5 + [1] * 4)
    positions = torch.from_numpy(rng.normal(size=(9, dims)) * 2)
    features = torch.from_numpy(rng.normal(size=(9, 6)))
    turn = torch.from_numpy(np.linalg.qr(rng.normal(size=(dims, dims)))[0])
    shift = torch.from_numpy(rng.normal(size=dims) * 5)
    return owner, positions, features, lambda places: places @ turn.T + shift


def lively_layer():
    torch.manual_seed(0)
    layer = EquivariantLayer(6, kinds=3).double()
    torch.nn.init.normal_(layer.push[-1].weight)  # starts near zero, where everything is equivariant
    return layer


@given(st.integers(0, 10_000), st.sampled_from([2, 3]))
@settings(max_examples=25)
def test_turned_and_moved_atoms_keep_their_features_and_move_along(seed, dims):
    owner, positions, features, moved = crowd(seed, dims)
    pairs = pairs_within(positions, owner, 100.0)
    kinds = (pairs.sum(dim=0) % 3).long()
    layer = lively_layer()
    one, places = layer(features, positions, pairs, kinds)
    two, other = layer(features, moved(positions), pairs, kinds)
    assert (places - positions).abs().max() > 1e-3
    torch.testing.assert_close(two, one)
    torch.testing.assert_close(other, moved(places))
    network = EGNN(6, layers=3, kinds=3).double()
    torch.testing.assert_close(
        network(features, moved(positions), pairs, kinds), network(features, positions, pairs, kinds)
    )


@given(st.integers(0, 10_000))
@settings(max_examples=25)
def test_the_order_of_the_atoms_does_not_matter(seed):
    owner, positions, features, _ = crowd(seed, 3)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(9))
    layer = lively_layer()

    def run(owner, positions, features):
        pairs = pairs_within(positions, owner, 3.0)
        return layer(features, positions, pairs, torch.zeros(pairs.shape[1], dtype=torch.int64))

    plain, mixed = run(owner, positions, features), run(owner[order], positions[order], features[order])
    torch.testing.assert_close(mixed[0], plain[0][order])
    torch.testing.assert_close(mixed[1], plain[1][order])


def test_distances_and_kinds_of_pairs_do_matter():
    owner, positions, features, _ = crowd(0, 3)
    torch.manual_seed(0)
    network = EGNN(6, kinds=2).double()
    pairs = pairs_within(positions, owner, 100.0)
    none = torch.zeros(pairs.shape[1], dtype=torch.int64)
    plain = network(features, positions, pairs, none)
    assert not torch.allclose(network(features, 1.5 * positions, pairs, none), plain)
    assert not torch.allclose(network(features, positions, pairs, none + 1), plain)


@given(st.integers(0, 10_000), st.floats(0.5, 5.0))
@settings(max_examples=25)
def test_pairs_are_those_of_one_molecule_that_are_near(seed, cutoff):
    owner, positions, _, _ = crowd(seed, 3)
    wanted = {
        (i, j)
        for i in range(9)
        for j in range(9)
        if i != j and owner[i] == owner[j] and np.linalg.norm(positions[i] - positions[j]) <= cutoff
    }
    found = pairs_within(positions, owner, cutoff).T.tolist()
    assert len(found) == len(wanted)
    assert {tuple(pair) for pair in found} == wanted


@pytest.mark.parametrize("name", ["egnn-2d", "egnn-3d", "schnet"])
def test_answers_about_a_molecule_depend_neither_on_its_pose_nor_on_its_neighbours(hall, name):
    network = new_network(name, hall, TINY, 0).eval()
    shown = Exhibition(hall.exhibits, KINDS[name].form, TINY)
    _, batch = together([shown[0, place] for place in range(6)])
    dims = batch.positions.shape[1]
    turn = torch.from_numpy(np.linalg.qr(np.random.default_rng(0).normal(size=(dims, dims)))[0]).float()
    with torch.no_grad():
        plain = network(batch)
        turned = network(batch._replace(positions=batch.positions @ turn.T + 3))
        alone = network(together([shown[0, 4]])[1])
        stretched = network(batch._replace(positions=1.2 * batch.positions))
    for prior in SIZES:
        torch.testing.assert_close(turned[prior], plain[prior], rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(alone[prior][0], plain[prior][4], rtol=1e-3, atol=1e-4)
    assert not torch.allclose(stretched["atom"], plain["atom"], rtol=1e-3, atol=1e-4)


def test_every_form_shows_the_same_atoms(hall):
    for exhibit in hall.exhibits:
        assert len(exhibit.graph.atoms) == len(exhibit.layout) == len(exhibit.geometry.coordinates)
        assert exhibit.graph.atoms[:, 0].tolist() == exhibit.geometry.numbers.tolist()
    views = Exhibition(hall.exhibits, "views", TINY, seed=0)
    _, one = views[0, 3]
    assert one.shape == (1, 32, 32, 3)
    np.testing.assert_array_equal(one, views[0, 3][1])
    drawn = {views[visit, 3][1].tobytes() for visit in range(12)}
    assert len(drawn) > 1
    assert Exhibition(hall.exhibits, "views", TINY)[0, 3][1].shape == (4, 32, 32, 3)
    assert Exhibition(hall.exhibits, "depiction", TINY)[0, 3][1].shape == (1, 32, 32, 3)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_learns_a_handful_of_molecules_by_heart(hall, name):
    network = new_network(name, hall, TINY, 0)
    shown = Exhibition(hall.exhibits, KINDS[name].form, TINY)
    batch = together([shown[0, int(place)] for place in hall.split.train[:6]])
    teaching, optimizer = Teaching.of(hall, network), torch.optim.Adam(network.parameters(), lr=5e-3)
    with torch.no_grad():
        before = float(teaching.loss(network.train()(batch[1]), batch[0]))
    for _ in range(150):
        assert learn(network, optimizer, teaching, batch)
    with torch.no_grad():
        after = float(teaching.loss(network(batch[1]), batch[0]))
    assert after < before / 5


def test_a_training_follows_from_its_seed_and_answers_in_the_priors_own_units(hall):
    seen = []
    one = train_model("gin", hall, TINY, 0, lambda epoch, loss: seen.append((epoch, loss)))
    again, other = (train_model("gin", hall, TINY, seed, lambda *_: None) for seed in (0, 1))
    assert [epoch for epoch, _ in seen] == [1, 2]
    assert one.curve == pytest.approx([loss for _, loss in seen], abs=1e-6)
    assert one.best_epoch == int(np.argmin(one.curve)) + 1
    for prior, size in SIZES.items():
        assert one.answers[prior].shape == (3, size)
        np.testing.assert_array_equal(one.answers[prior], again.answers[prior])
    assert not np.array_equal(one.answers["atom"], other.answers["atom"])
    assert one.answers["property"][:, 0].mean() > 20, "daltons, not standard deviations"


def test_what_is_finished_is_not_trained_again(corpus, tmp_path, monkeypatch, capsys):
    trained = []

    def counted(name, *rest):
        trained.append(name)
        return train_model(name, *rest)

    monkeypatch.setattr(run, "train_model", counted)
    study(corpus, tmp_path / "out", ("gcn", "egnn-2d"))
    assert sorted(trained) == ["egnn-2d", "gcn"]
    assert "about" in capsys.readouterr().err
    first = (tmp_path / "out" / "results.json").read_bytes()
    study(corpus, tmp_path / "out", ("gcn", "egnn-2d"))
    assert (tmp_path / "out" / "results.json").read_bytes() == first
    assert len(trained) == 2
    study(corpus, tmp_path / "out", ("gcn", "egnn-3d"))
    assert trained[2:] == ["egnn-3d"]
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert set(results["rmse"]) == {"gcn", "egnn-2d", "egnn-3d", "mean"}
    assert list(results["correlation"]) == ["EGNN 2D – EGNN 3D"]
    text = (tmp_path / "out" / "results.md").read_text()
    assert "(1.276)" in text
    assert "(0.26857)" in text
    assert "| 0.870 |" in text

    (tmp_path / "out" / "models" / "gcn.npz").unlink()
    study(corpus, tmp_path / "out", ("gcn", "egnn-3d"))
    assert trained[3:] == ["gcn"]
    monkeypatch.setattr(run, "VERSION", -1)
    study(corpus, tmp_path / "out", ("egnn-2d",))
    assert trained[4:] == ["egnn-2d"]
    with pytest.raises(ConfigError, match=r"--epochs is 3, but .* holds a run with 2"):
        study(corpus, tmp_path / "out", ("gcn",), replace(TINY, epochs=3))


def test_a_training_that_diverges_is_told_and_ends_nothing_else(corpus, tmp_path, capsys):
    study(corpus, tmp_path / "out", ("gcn",), replace(TINY, lr=1e30))
    assert "diverged in its first epoch" in capsys.readouterr().err
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["rmse"]["gcn"] == dict.fromkeys(results["rmse"]["gcn"])
    assert results["rmse"]["mean"]["property"] > 0
    assert "the loss was not a number any more in epoch 1" in (tmp_path / "out" / "results.md").read_text()


@given(st.integers(0, 10_000))
@settings(max_examples=20)
def test_correlation_is_that_of_numpy_component_by_component(seed):
    rng = np.random.default_rng(seed)
    one, two = rng.normal(size=(2, 20, 4))
    one[:, 2] = 7.0  # says the same of every molecule
    counts = rng.random((20, 4)) < 0.8
    counts[:, 3] = np.arange(20) < 2  # too few
    wanted = [np.corrcoef(one[counts[:, i], i], two[counts[:, i], i])[0, 1] for i in (0, 1)]
    assert pearson(one, two, counts) == pytest.approx(np.mean(wanted))
    assert pearson(one[:, 2:], two[:, 2:], counts[:, 2:]) is None
    assert pearson(one * np.nan, two, counts) is None


def made_up(seed, count=12):
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=(count, size)) for name, size in SIZES.items()}


def test_answers_and_errors_are_correlated_apart():
    truths, one = made_up(0), made_up(1)
    known = {name: np.ones(values.shape, dtype=bool) for name, values in truths.items()}
    same = correlations(one, one, truths, known)
    assert [values["mean"] for values in same.values()] == pytest.approx([1, 1])
    mirrored = {name: 2 * truths[name] - one[name] for name in SIZES}  # errors of the other sign
    assert correlations(one, mirrored, truths, known)["errors"]["atom"] == pytest.approx(-1)
    truths["atom"][:, 0] = 3.0
    known["atom"][:, 1] = False
    assert not asked(truths["atom"], known["atom"])[:, :2].any()
    assert asked(truths["atom"], known["atom"])[:, 2:].all()


def test_errors_are_those_of_scikit_learn_and_the_constant_guess_stands_beside():
    from sklearn.metrics import root_mean_squared_error

    truths, known = made_up(0), {name: np.ones((12, size), dtype=bool) for name, size in SIZES.items()}
    answers = {name: made_up(number) for number, name in enumerate(("egnn-2d", "egnn-3d", "resnet-2d", "resnet-3d"), 1)}
    means = {name: np.full(size, 0.5) for name, size in SIZES.items()}
    found = study_of(answers, truths, known, means)
    wanted = root_mean_squared_error(truths["bond"].ravel(), answers["egnn-3d"]["bond"].ravel())
    assert found["rmse"]["egnn-3d"]["bond"] == pytest.approx(wanted)
    assert found["rmse"]["mean"]["bond"] == pytest.approx(np.sqrt(((truths["bond"] - 0.5) ** 2).mean()))
    assert list(found["correlation"]) == list(PAIRS)
    four = [
        found["pairs"][f"{a} {b}"]["answers"]["atom"] for a in answers if a[0] == "e" for b in answers if b[0] == "r"
    ]
    assert found["correlation"]["ResNet – EGNN"]["answers"]["atom"] == pytest.approx(np.mean(four))


def test_models_are_the_rows_of_the_paper():
    assert tuple(KINDS) == tuple(TABLE_S1) == MODELS
    assert tuple(PAIRS) == tuple(FIGURE1A)
    assert all(tuple(row) == ORDER for row in TABLE_S1.values())


def test_messages(corpus, tmp_path, capsys):
    out = ["--out", str(tmp_path / "out")]
    assert main(["benchmark", "priors", str(corpus), *out, "--models", "gcn,resnet-4d"]) == 1
    assert "no model of the study is called 'resnet-4d'; known: gcn, gin" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="--molecules is 39, but the study takes 40 or more"):
        priors(corpus, out=tmp_path / "out", molecules=39)
    with pytest.raises(ConfigError, match="--epochs is 0, but at least one is needed"):
        priors(corpus, out=tmp_path / "out", epochs=0)
    with pytest.raises(ConfigError, match="--jobs is 0"):
        priors(corpus, out=tmp_path / "out", jobs=0)
    with pytest.raises(ConfigError, match=r"--molecules is 10000, but .* has only 3\d molecules with 3D coordinates"):
        priors(corpus, out=tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArtifactError, match=r"is not a corpus: it has no manifest\.json"):
        priors(tmp_path / "empty", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_verb_trains_and_writes(corpus, tmp_path, monkeypatch):
    from iem.workflows import priors as verb

    monkeypatch.setitem(verb.PRESETS, "paper", replace(verb.PRESETS["paper"], size=32, encoder="test_resnet"))
    words = ["benchmark", "priors", str(corpus), "--out", str(tmp_path / "out"), "--preset", "paper", "--epochs", "1"]
    assert main([*words, "--molecules", "30", "--models", "resnet-3d", "--models", "schnet"]) == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert list(results["rmse"]) == ["schnet", "resnet-3d", "mean"]
    assert results["models"]["resnet-3d"]["settings"]["pictures"].startswith("ballstick")
    assert results["paper"]["rmse"]["schnet"]["property"] is None
