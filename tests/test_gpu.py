"""Everything that a GPU does in one's place: on a machine with one, for real; elsewhere, what can be had of it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from rdkit import Chem

import iem
from iem.nn.heads import prior_heads
from iem.nn.scale import FeatureScale
from iem.students import fused
from iem.students.base import build_student
from iem.students.predictor import Predictor
from iem.workflows.distillation.lessons import Lesson
from iem.workflows.distillation.loop import Distillation
from iem.workflows.distillation.recipe import FitRecipe, TeachRecipe
from iem.workflows.distillation.teaching import Teaching
from iem.workflows.pictures.embed import load_teacher
from iem.workflows.teach import teach

SMILES = [
    "CC(=O)Oc1ccccc1C(=O)O",
    "CCO",
    "c1ccncc1",
    "OCC(O)CO",
    "CC(C)(C)N",
    "C[C@H](N)C(=O)O",
    "O=C([O-])c1ccccc1",
    "C",
]
on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


@pytest.mark.parametrize("name", ["gin", "gcn", "gat", "sage"])
def test_a_student_learns_in_bfloat16_without_the_compiled_loops(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU has torch's own operations only, and autocast around them."""
    monkeypatch.setattr(fused, "works", lambda *_: False)
    torch.manual_seed(0)
    student = build_student(name, dropout=0.0)
    batch = student.collate([student.featurize(Chem.MolFromSmiles(text)) for text in SMILES])
    exact, half = (Predictor(student, tasks=1, task="regression", bf16=bf16) for bf16 in (False, True))
    half.load_state_dict(exact.state_dict())
    (features, _), (rounded, _) = exact.train()(batch), half.train()(batch)
    assert rounded.dtype == torch.float32
    assert (rounded - features).detach().abs().max() < 0.1 * features.detach().abs().max()
    rounded.square().mean().backward()
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in half.parameters())
    assert any(weight.grad is not None for weight in student.parameters())


def test_frozen_heads_follow_the_student_to_its_device_and_the_teacher_stays() -> None:
    """The heads are no part of the module, so nobody else moves them; ``meta`` is a device that every machine has."""
    heads = prior_heads(512, {"atom": 19})
    predictor = Predictor(build_student("gin:width=8,layers=1"), tasks=1, task="regression")
    lesson = Lesson.of(FitRecipe(lr=1e-3, ke=0.1, te=0.0), task="regression", seed=0)
    learning = Distillation(
        predictor, lesson, heads=heads, judge=None, auxiliary=None, positive=None, units=None, scale=None
    )
    teaching = Teaching(predictor, heads, TeachRecipe(ke=1.0), heads, FeatureScale(512))
    for module in (learning, teaching):
        module.to("meta").on_fit_start()
        assert {weight.device.type for weight in module.frozen[0].parameters()} == {"meta"}
    heads = prior_heads(512, {"atom": 19})
    learning.frozen = [heads]
    learning.on_fit_start()
    assert {weight.device.type for weight in heads.parameters()} == {"cpu"}


@on_gpu
def test_features_are_those_of_the_processor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("IEM_CACHE", str(tmp_path))
    there = load_teacher("default").embed(SMILES, jobs=1)
    monkeypatch.setenv("IEM_CACHE", str(tmp_path / "other"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    here = load_teacher("default").embed(SMILES, jobs=1)
    np.testing.assert_allclose(there, here, rtol=1e-2, atol=1e-2)  # TF32 rounds


@on_gpu
@pytest.mark.parametrize("teacher", ["default", "none", "priors"])
def test_the_main_job_on_a_gpu(teacher: str, tmp_path: Path) -> None:
    """Trained there, predicted anywhere."""
    table = tmp_path / "table.csv"
    rows = [f"{'C' * length}O,{length / 8}" for length in range(1, 33)]
    table.write_text("\n".join(["smiles,y", *rows]))
    te = {} if teacher == "priors" else {"te": 0.1}
    iem.fit(table, out=tmp_path / "model", teacher=teacher, epochs=2, split="random", start="none", **te)
    assert np.isfinite(iem.load(tmp_path / "model").predict(SMILES)["y"]).all()


@on_gpu
def test_a_teacher_and_its_student_on_a_gpu(corpus_of: Callable[[Sequence[str]], Path], tmp_path: Path) -> None:
    corpus = corpus_of(["C" * length for length in range(1, 24)] + ["O" + "C" * length for length in range(1, 24)])
    iem.pretrain(corpus, out=tmp_path / "teacher", size=32, visits=32, batch_size=8, round=16)
    teach(corpus, out=tmp_path / "start", teacher=str(tmp_path / "teacher"), ke=1.0, visits=32, batch_size=8)
    assert (tmp_path / "start" / "model.safetensors").is_file()
