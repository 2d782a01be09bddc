"""Encoders of every family: how wide their features are, and a teacher of another width than the paper's at work."""

from dataclasses import replace

import pandas as pd
import pytest
import torch

import iem
from iem import artifact
from iem.errors import ConfigError
from iem.nn.encoders import ImageEncoder
from iem.nn.teacher import load_teacher
from iem.students.starts import find_start
from iem.workflows.distillation.recipe import TeachRecipe
from iem.workflows.distillation.teaching import teach_student
from iem.workflows.pretraining.recipe import PRESETS
from iem.workflows.pretraining.run import train_teacher

TINY = replace(PRESETS["default"], encoder="test_resnet", size=32, visits=16, round=16, batch_size=8)
SMILES = ["CCO", "CCCO", "c1ccccc1O", "CC(=O)Oc1ccccc1C(=O)O", "CCN", "CC#N", "c1ccsc1", "BrCCBr", "CSC", "C1CCCCC1"]
TABLE = pd.DataFrame({"smiles": SMILES, "size": [float(len(text)) for text in SMILES]})
STUDENT = "gin:width=16,layers=2"
FAMILIES = """
    iem_resnet10 resnet18 regnetx_002 mobilenetv3_small_050 lcnet_035 tinynet_e ghostnet_050 hardcorenas_a
    test_resnet test_byobnet test_efficientnet test_convnext test_mambaout
"""


@pytest.mark.parametrize("name", FAMILIES.split())
@torch.inference_mode()
def test_an_encoder_knows_the_width_of_its_features(name):
    encoder = ImageEncoder(name).eval()
    assert encoder(torch.zeros(1, 64, 64, 3, dtype=torch.uint8)).shape == (1, encoder.dim)


def test_an_encoder_that_wants_another_size_is_refused(small_corpus, tmp_path):
    recipe = replace(TINY, encoder="vit_tiny_patch16_224")
    with pytest.raises(ConfigError, match=r"--encoder is 'vit_tiny_patch16_224', but .* 32×32 .*224.*; say --size"):
        train_teacher(small_corpus, out=tmp_path / "out", recipe=recipe, jobs=0)
    assert not (tmp_path / "out" / "model.safetensors").exists()


@pytest.fixture(scope="module")
def narrow(small_corpus, tmp_path_factory):
    """A teacher of 96 features."""
    out = tmp_path_factory.mktemp("narrow") / "teacher"
    train_teacher(small_corpus, out=out, recipe=TINY, jobs=0)
    return out


@pytest.mark.slow
@pytest.mark.parametrize("start", ["none", "taught", "other"])
def test_a_teacher_of_any_width_teaches(narrow, small_corpus, tmp_path, start, capsys):
    width = load_teacher(narrow).dim
    assert width == 96
    if start != "none":  # the first has its width, the second the one that is usual
        teacher = str(narrow) if start == "taught" else "none"
        recipe = replace(TeachRecipe(), visits=16, round=16, batch_size=8)
        settings = {"student": STUDENT, "start": "none", "seed": 0, "jobs": 0}
        teach_student(small_corpus, out=tmp_path / "start", teacher=teacher, recipe=recipe, **settings)
        assert find_start(str(tmp_path / "start"), STUDENT).dim == (96 if start == "taught" else 512)
    begin = "none" if start == "none" else str(tmp_path / "start")
    out = tmp_path / "model"
    found = iem.fit(
        TABLE,
        target="size",
        split="random",
        teacher=narrow,
        student=STUDENT,
        start=begin,
        compare=True,
        epochs=1,
        jobs=1,
        out=out,
        trees="none",
    )
    assert "difference" in found
    assert artifact.load(out, kind="model")[0]["seed0.project.weight"].shape == (96, 16)
    assert iem.load(out).predict(SMILES)["size"].notna().all()
    assert ("its way to the teacher's 96 features begins fresh" in capsys.readouterr().err) == (start == "other")
