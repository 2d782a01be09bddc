"""The scikit-learn estimators keep scikit-learn's promises, on molecules."""

import pickle

import datamol
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.utils import estimator_checks as checks

from iem.errors import ConfigError, MoleculeError
from iem.estimators import IEMClassifier, IEMRegressor

QUICK = {"teacher": "none", "split": "random", "epochs": 2, "jobs": 1}
BOTH = pytest.mark.parametrize("kind", [IEMClassifier, IEMRegressor])


@pytest.fixture(scope="module")
def freesolv() -> tuple[list[str], np.ndarray]:
    frame = datamol.data.freesolv()
    return frame["smiles"].tolist()[:120], frame["expt"].to_numpy(dtype=float)[:120]


@pytest.fixture(scope="module")
def regressor(freesolv) -> IEMRegressor:
    return IEMRegressor(**QUICK | {"epochs": 8, "batch_size": 8}).fit(*freesolv)


@BOTH
@pytest.mark.parametrize(
    "check",
    [
        checks.check_estimator_cloneable,
        checks.check_estimator_tags_renamed,
        checks.check_valid_tag_types,
        checks.check_estimator_repr,
        checks.check_no_attributes_set_in_init,
        checks.check_do_not_raise_errors_in_init_or_set_params,
        checks.check_parameters_default_constructible,
        checks.check_get_params_invariance,
        checks.check_set_params,
        checks.check_mixin_order,
    ],
    ids=lambda check: check.__name__,
)
def test_scikit_learns_checks_that_need_no_numbers_as_input(kind, check):
    """The others feed random matrices, which are not molecules; the tests below do what they do with SMILES."""
    check(kind.__name__, kind())


@BOTH
def test_predicting_needs_fitting(kind):
    with pytest.raises(NotFittedError):
        kind().predict(["CCO"])


def test_regressor_learns_and_fit_returns_itself(regressor, freesolv):
    smiles, values = freesolv
    assert isinstance(regressor, IEMRegressor)
    assert regressor.predict(smiles).shape == (120,)
    assert regressor.score(smiles, values) > 0.1
    assert regressor.metrics_["task"] == "regression"


def test_fitting_is_silent_and_changes_neither_parameters_nor_inputs(freesolv, capsys):
    smiles, values = list(freesolv[0]), freesolv[1].copy()
    estimator = IEMRegressor(**QUICK)
    before = estimator.get_params()
    estimator.fit(smiles, values)
    assert estimator.get_params() == before
    assert smiles == freesolv[0]
    assert (values == freesolv[1]).all()
    assert capsys.readouterr() == ("", "")


def test_a_clone_is_unfitted_and_fits_to_the_same_model(regressor, freesolv):
    fresh = clone(regressor)
    assert not hasattr(fresh, "files_")
    assert fresh.fit(*freesolv).predict(["CCO"]) == regressor.predict(["CCO"])


def test_order_and_company_do_not_matter(regressor, freesolv):
    smiles = freesolv[0][:20]
    whole = regressor.predict(smiles)
    np.testing.assert_allclose(regressor.predict(smiles[::-1])[::-1], whole, atol=1e-5)
    np.testing.assert_allclose(np.concatenate([regressor.predict([one]) for one in smiles]), whole, atol=1e-5)


def test_pickle_keeps_the_predictions_and_no_network(regressor):
    wanted = regressor.predict(["CCO", "c1ccccc1O"])
    content = pickle.dumps(regressor)
    assert b"torch" not in content.replace(regressor.files_["card.json"], b"")
    assert (pickle.loads(content).predict(["CCO", "c1ccccc1O"]) == wanted).all()


@pytest.mark.parametrize(
    "wrap", [list, np.array, pd.Series, lambda x: pd.DataFrame({"s": x}), lambda x: np.array([x]).T]
)
def test_smiles_may_come_in_any_container(regressor, wrap):
    assert regressor.predict(wrap(["CCO", "CCN"])).tolist() == regressor.predict(["CCO", "CCN"]).tolist()


def test_classifier_takes_any_two_classes(freesolv):
    smiles, values = freesolv
    labels = np.where(values < -3, "soluble", "greasy")
    classifier = IEMClassifier(**QUICK | {"epochs": 6, "batch_size": 8}).fit(smiles, labels)
    assert classifier.classes_.tolist() == ["greasy", "soluble"]
    shares = classifier.predict_proba(smiles)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert (classifier.predict(smiles) == classifier.classes_[shares.argmax(axis=1)]).all()
    assert classifier.score(smiles, labels) > 0.6


def test_several_targets_with_missing_labels(freesolv):
    smiles, values = freesolv
    labels = np.stack([values < -3, values < -5], axis=1).astype(float)
    labels[::3, 1] = np.nan
    classifier = IEMClassifier(**QUICK).fit(smiles, labels)
    assert classifier.predict_proba(smiles[:5]).shape == classifier.predict(smiles[:5]).shape == (5, 2)


def test_molecules_without_labels_may_come_as_a_list(freesolv):
    smiles, values = freesolv
    options = QUICK | {"teacher": "priors", "epochs": 1, "student": "gin:width=16,layers=2"}
    found = IEMRegressor(**options, unlabelled=["CCCCCCCCO", "C1CC"]).fit(smiles, values)
    assert (found.metrics_["unlabelled"]["used"], found.metrics_["unlabelled"]["rejected"]) == (1, 1)


def test_cross_validation(freesolv):
    assert np.isfinite(cross_val_score(IEMRegressor(**QUICK), *freesolv, cv=2)).all()


@BOTH
def test_what_is_not_a_list_of_molecules_is_refused(kind, freesolv):
    smiles, values = freesolv
    with pytest.raises(MoleculeError, match="'C1CC'"):
        kind(**QUICK).fit(["C1CC", *smiles], np.append(values, 0) > 0)
    with pytest.raises(ConfigError, match="list of SMILES"):
        kind(**QUICK).fit(np.zeros((120, 3)), values > 0)
    with pytest.raises(ConfigError, match="X has 120 molecules"):
        kind(**QUICK).fit(smiles, values[:-1] > -4)


def test_one_or_three_classes_are_refused(freesolv):
    for count in (1, 3):
        with pytest.raises(ConfigError, match="two classes"):
            IEMClassifier(**QUICK).fit(freesolv[0], np.arange(120) % count)


def test_predicting_what_is_no_molecule_names_it(regressor):
    with pytest.raises(MoleculeError, match="'C1CC'"):
        regressor.predict(["CCO", "C1CC"])
