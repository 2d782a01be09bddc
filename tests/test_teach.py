"""Students that learn without labels: what they are asked, that it can be learned, and that a run goes on exactly."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import SMALL_CORPUS
from torch.nn.functional import smooth_l1_loss

from iem import artifact
from iem.cli import main
from iem.data.corpus import Corpus
from iem.data.datasets import prior_statistics
from iem.errors import ArtifactError, ConfigError
from iem.nn.heads import prior_heads, set_scales
from iem.nn.scale import FeatureScale
from iem.students.base import build_student
from iem.students.predictor import Predictor
from iem.students.starts import find_start
from iem.workflows.distillation import teaching
from iem.workflows.distillation.recipe import LR, TeachRecipe
from iem.workflows.distillation.scales import scale_of
from iem.workflows.distillation.teaching import Lessons, Teaching, corpus_features, teach_student
from iem.workflows.pictures.embed import load_teacher
from iem.workflows.prepare import prepare
from iem.workflows.running import rounds
from iem.workflows.running.trainer import one_cycle

SMALL = "gin:width=32,layers=2"
TINY = replace(TeachRecipe(), visits=48, round=16, batch_size=8, precision="float32", ke=0.5)


@pytest.fixture(scope="module")
def corpus(small_corpus):
    return small_corpus


def taught(corpus, out, teacher, recipe=TINY, start="none"):
    teach_student(corpus, out=out, student=SMALL, start=start, teacher=str(teacher), recipe=recipe, seed=0, jobs=0)
    return artifact.load(out, kind="student")


def test_the_teacher_sees_each_molecule_of_the_corpus_and_finished_parts_are_kept(corpus, teacher_folder, tmp_path):
    guide, molecules = load_teacher(teacher_folder), Corpus(corpus)
    seen = corpus_features(guide, molecules, tmp_path / "features", jobs=1)
    given = {record.smiles: record.geometry for record in molecules}
    wanted, _ = guide.features(list(given), given=given, jobs=1)
    np.testing.assert_allclose(seen, wanted, rtol=2e-3, atol=2e-3)
    guide.look = None  # a second time nothing is drawn
    np.testing.assert_array_equal(corpus_features(guide, molecules, tmp_path / "features", jobs=1), seen)


def test_a_part_that_is_not_finished_is_looked_at_again_and_no_other(corpus, teacher_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(teaching, "PART", 8)
    guide, molecules, looked = load_teacher(teacher_folder), Corpus(corpus), []
    look = guide.look
    guide.look = lambda wanted, **options: (looked.append([smiles for smiles, _ in wanted]), look(wanted, **options))[1]
    seen = corpus_features(guide, molecules, tmp_path, jobs=1)
    smiles = [record.smiles for record in molecules]
    parts = [smiles[first : first + 8] for first in range(0, len(smiles), 8)]
    assert len(parts) > 2
    assert looked == parts
    whole, _ = load_teacher(teacher_folder).features(smiles, given={one.smiles: one.geometry for one in molecules})
    np.testing.assert_allclose(seen, whole, rtol=2e-3, atol=2e-3)
    (tmp_path / "part-00001.npy").unlink()
    np.testing.assert_array_equal(corpus_features(guide, molecules, tmp_path, jobs=1), seen)
    assert looked == [*parts, parts[1]]


def test_a_student_is_asked_what_the_formulas_say(corpus, teacher_folder):
    guide, molecules = load_teacher(teacher_folder), Corpus(corpus)
    student = build_student(SMALL, dropout=0.0)
    torch.manual_seed(0)
    features = np.random.default_rng(0).normal(size=(len(molecules), guide.teacher.dim)).astype(np.float16)
    features[3] = np.nan  # no picture
    lessons = Lessons(molecules, student, ("property",), features)
    batch = lessons.together([lessons[0, row] for row in range(6)])
    values, known = batch.answers["property"]
    known[0], values[0] = False, 1e6
    predictor = Predictor(student, tasks=1, task="regression").eval()
    scale = FeatureScale.of(features[[0, 1, 2, 4, 5, 6, 7]])
    asked = prior_heads(512, {"property": values.shape[1]})
    set_scales(asked, prior_statistics(molecules, np.arange(len(molecules)), ("property",), seed=0))
    module = Teaching(predictor, asked, replace(TINY, priors=0.3), guide.teacher.heads, scale)
    terms, weights = module.terms(batch)
    assert set(terms) == {"features", "prior_property", *(f"ke_{name}" for name in guide.teacher.heads)}
    head = asked["property"]
    error = smooth_l1_loss(head(predictor(batch.graphs)[0]), head.standardise(values), reduction="none")
    torch.testing.assert_close(terms["prior_property"], error[known].mean())
    assert weights["prior_property"] == 0.3
    assert weights["features"] == 1.0
    assert weights["ke_atom"] == 0.5
    rows = [0, 1, 2, 4, 5]
    own, seen = predictor(batch.graphs)[0][rows], torch.from_numpy(features[rows]).float()
    roots = seen.sign() * seen.abs().sqrt()
    torch.testing.assert_close(terms["features"], (own - (roots - scale.mean) / scale.std).square().mean())
    head, met = guide.teacher.heads["bond"], own * scale.std + scale.mean
    torch.testing.assert_close(terms["ke_bond"], (head(met.sign() * met.square()) - head(seen)).abs().mean())


def test_a_student_comes_to_see_what_the_teacher_sees(corpus, tmp_path):
    """It did not once: a unit of the teacher's features was a tenth of what its linear layer makes by itself."""
    recipe = replace(TINY, visits=800, round=400, ke=0.0, priors=0.0, lr=0.01)
    taught(corpus, tmp_path / "run", "default", recipe)
    curve = json.loads((tmp_path / "run" / "curve.json").read_text())
    assert curve[-1]["train/features"] < 0.5  # of the variance; the mean would leave 1
    questions = replace(TINY, visits=400, round=400, features=0.0, ke=0.0, lr=0.01)
    taught(corpus, tmp_path / "start", "none", questions)
    still = replace(TINY, visits=16, ke=0.0, priors=0.0, lr=1e-9)
    losses = {}
    for start in ("none", str(tmp_path / "start")):
        out = tmp_path / f"still {start == 'none'}"
        taught(corpus, out, "default", still, start=start)
        losses[start == "none"] = json.loads((out / "curve.json").read_text())[0]["train/features"]
    assert losses[False] < 0.5 * losses[True], "who knows something begins at the best linear guess"


def test_the_form_in_which_features_were_learned_stays_with_the_student(corpus, teacher_folder, tmp_path):
    tensors, _ = taught(corpus, tmp_path / "run", teacher_folder)
    start, guide = find_start(str(tmp_path / "run"), SMALL), load_teacher(teacher_folder)
    scale = scale_of(start, guide.causes)
    assert torch.equal(scale.std, tensors["scale.std"])
    assert scale_of(start, load_teacher(teacher_folder, view="flat").causes) is None
    assert scale_of(None, guide.causes) is None
    again, _ = taught(corpus, tmp_path / "again", teacher_folder, replace(TINY, lr=1e-9), start=str(tmp_path / "run"))
    assert torch.equal(again["scale.mean"], tensors["scale.mean"])
    torch.testing.assert_close(again["project.weight"], tensors["project.weight"], rtol=0, atol=1e-3)


@pytest.mark.slow
def test_a_resumed_lesson_equals_an_unbroken_one(corpus, teacher_folder, tmp_path, monkeypatch):
    tensors, card = taught(corpus, tmp_path / "whole", teacher_folder)
    steps, original = [], rounds.Watch.on_train_batch_end

    def kill(self, *arguments):
        steps.append(1)
        if len(steps) == 3:  # in the middle of the second round
            raise RuntimeError("killed")
        original(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(rounds.Watch, "on_train_batch_end", kill)
        with pytest.raises(RuntimeError, match="killed"):
            taught(corpus, tmp_path / "broken", teacher_folder)
    again, _ = taught(corpus, tmp_path / "broken", teacher_folder)
    assert tensors.keys() == again.keys()
    assert {name.partition(".")[0] for name in tensors} == {"student", "project", "scale"}
    assert all(torch.equal(tensors[name], again[name]) for name in tensors)
    assert [point["visits"] for point in card["curve"]] == [16, 32, 48]
    assert card["teacher"] == load_teacher(teacher_folder).teacher.card["digest"]
    with pytest.raises(ConfigError, match=r"--lr is 0\.5, but .* holds a run with 0\.001"):
        taught(corpus, tmp_path / "whole", teacher_folder, replace(TINY, lr=0.5))


def test_without_a_teacher_a_student_learns_the_questions(corpus, tmp_path):
    recipe = replace(TINY, visits=1_600, round=800, features=0.0, ke=0.0, lr=0.01)
    _, card = taught(corpus, tmp_path / "run", "none", recipe)
    assert card["teacher"] is None
    curve = json.loads((tmp_path / "run" / "curve.json").read_text())  # all of it; the card ends with the best round
    first, last = curve[0], curve[-1]
    assert set(first) >= {"train/prior_atom", "train/prior_substructure", "valid/loss"}
    assert last["train/prior_property"] < 0.3 * first["train/prior_property"]


def test_a_student_begins_where_it_was_taught(corpus, tmp_path):
    tensors, card = taught(corpus, tmp_path / "run", "none", replace(TINY, features=0.0, ke=0.0))
    start = find_start(str(tmp_path / "run"), SMALL)
    predictor = Predictor(build_student(SMALL, dropout=0.2), tasks=3, task="classification")
    head = predictor.head.weight.clone()
    start.give(predictor)
    assert torch.equal(predictor.head.weight, head)
    for name, tensor in tensors.items():
        assert torch.equal(predictor.state_dict()[name], tensor.to(predictor.state_dict()[name].dtype))
    assert start.digest == card["digest"]
    assert not start.pictures
    assert find_start("none", SMALL) is None
    wider = Predictor(build_student(f"{SMALL},readout=mean+norm"), tasks=1, task="regression")
    way = wider.project.weight.clone()
    other = find_start(str(tmp_path / "run"), f"{SMALL},readout=mean+norm")
    other.give(wider)
    assert torch.equal(wider.project.weight, way), "another read-out finds its own way to the teacher's width"
    for name, tensor in wider.student.state_dict().items():
        assert torch.equal(tensor, predictor.student.state_dict()[name])
    with pytest.raises(ConfigError, match=r"it holds the student gin:width=32,layers=2; say --student"):
        find_start(str(tmp_path / "run"), f"{SMALL},readout=attention")
    with pytest.raises(ConfigError, match=r"it holds the student gin:width=32,layers=2; say --student"):
        find_start(str(tmp_path / "run"), "gin")
    with pytest.raises(ArtifactError, match=r"--start takes what iem teach made"):
        find_start(str(corpus), SMALL)


def test_of_the_students_that_come_along_the_one_with_the_same_read_out_is_taken(tmp_path):
    def bundle(folder, student):
        torch.manual_seed(len(student))
        tensors = Predictor(build_student(student), tasks=1, task="regression").state_dict()
        own = {name: tensor for name, tensor in tensors.items() if name.startswith(("student.", "project."))}
        (tmp_path / folder).mkdir()
        artifact.save(tmp_path / folder, own, {"student": student, "teacher": None}, kind="student")
        return artifact.read_card(tmp_path / folder, kind="student")["digest"]

    both = f"{SMALL},readout=mean+norm"
    first, second = bundle("priors-a", SMALL), bundle("priors-b", both)
    other = bundle("pictures-a", both)
    bundle("priors-0", "gcn:width=32,layers=2")
    turned = "gin:readout=mean+norm,layers=2,width=32"  # the order of options says nothing
    for student, digest in ((SMALL, first), (both, second), (turned, second), (f"{SMALL},readout=norm", first)):
        start = find_start("default", student, bundled=tmp_path)
        assert start.digest == digest
        assert ("project.weight" in start.tensors) == ("readout=norm" not in student)
    assert find_start("pictures", SMALL, bundled=tmp_path).digest == other
    assert find_start("priors", f"{SMALL},jumping=cat", bundled=tmp_path) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--visits", "0"], "--visits is 0"),
        (["--features", "-1"], "--features is -1"),
        (["--priors", "0", "--features", "0"], "there is nothing to learn"),
        (["--questions", "atom,colour"], "--questions is 'colour'"),
        (["--teacher", "nowhere"], "there is no teacher folder 'nowhere'"),
        (["--student", "gym"], "no student is called 'gym'"),
        (["--batch-size", "64"], "holds only 25 molecules"),
        (["--start", "default", "--student", "gcn:width=8"], "none comes along for the student gcn:width=8"),
        (["--start", "nowhere"], "there is no student folder at nowhere"),
    ],
)
def test_what_cannot_be_taught_is_said_in_one_sentence(corpus, tmp_path, capsys, options, message):
    assert main(["teach", str(corpus), "--out", str(tmp_path / "run"), "--jobs", "0", *options]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("steps", [1, 2, 5, 9, 10, 11, 20, 100])
def test_a_rate_rises_and_falls_over_any_number_of_steps(steps):
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule, rates = one_cycle(optimizer, 0.1, steps), []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert all(0 < rate <= 0.1 + 1e-9 for rate in rates)
    if steps > 9:
        assert max(rates) > 0.09
        assert rates[-1] < 0.01


@pytest.fixture(scope="module")
def flat_corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flat")
    (folder / "some.smi").write_text("\n".join(SMALL_CORPUS))
    prepare(str(folder / "some.smi"), out=folder / "corpus", flat=True, jobs=1)
    return folder / "corpus"


def test_molecules_without_conformers_are_not_asked_about_their_shape(flat_corpus, tmp_path):
    recipe = replace(TINY, features=0.0, ke=0.0, questions=("atom", "shape", "geometry", "substructure"))
    _, card = taught(flat_corpus, tmp_path / "run", "none", recipe)
    assert card["recipe"]["questions"] == ["atom", "substructure"]
    last = json.loads((tmp_path / "run" / "curve.json").read_text())[-1]
    assert {name for name in last if name.startswith("valid/prior")} == {"valid/prior_atom", "valid/prior_substructure"}
    with pytest.raises(ConfigError, match="answer none of them"):
        taught(flat_corpus, tmp_path / "none", "none", replace(recipe, questions=("shape",)))
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("verb", [["teach", "--jobs", "0"], ["pretrain", "--jobs", "0"]])
def test_no_picture_is_drawn_of_a_corpus_without_conformers(flat_corpus, tmp_path, capsys, verb):
    words = [verb[0], str(flat_corpus), "--out", str(tmp_path / "run"), "--batch-size", "8", *verb[1:]]
    assert main(words) == 1
    assert "its molecules are all flat; prepare it without --flat" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_questions_are_asked_in_the_order_in_which_they_are_named(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(teaching, "teach_student", lambda *_, recipe, **__: asked.append(recipe.questions))
    for words in ([], ["--questions", "shape, atom,shape", "--questions", "descriptor"]):
        assert main(["teach", str(tmp_path), "--out", str(tmp_path / "run"), *words]) == 0
    assert asked == [TeachRecipe().questions, ("shape", "atom", "descriptor")]
    same = ["--questions", ",".join(TeachRecipe().questions)]
    assert main(["teach", str(tmp_path), "--out", str(tmp_path / "run"), *same]) == 0
    assert asked[2] == asked[0]


def test_a_student_goes_on_from_where_it_was_taught_before(corpus, teacher_folder, tmp_path):
    before, _ = taught(corpus, tmp_path / "first", teacher_folder)
    still = replace(TINY, lr=1e-9, weight_decay=0.0)
    after, card = taught(corpus, tmp_path / "second", "none", still, start=str(tmp_path / "first"))
    weights = [name for name in before if name.endswith("weight")]  # statistics of normalisations move
    for name in weights:
        torch.testing.assert_close(after[name], before[name], rtol=0, atol=1e-3)
    start = find_start(str(tmp_path / "second"), SMALL)
    assert card["start"]["digest"] == find_start(str(tmp_path / "first"), SMALL).digest
    assert start.pictures, "what pictures taught it once is not forgotten"
    assert str(start).startswith("with what it learned from the prior questions alone on 25 molecules")
    assert "having begun with what it learned from a teacher of pictures" in str(start)
    _, card = taught(
        corpus, tmp_path / "third", "none", replace(TINY, features=0.0, ke=0.0), start=str(tmp_path / "first")
    )
    assert card["recipe"]["lr"] == LR[True]
    assert (
        taught(corpus, tmp_path / "fresh", "none", replace(TINY, features=0.0, ke=0.0))[1]["recipe"]["lr"] == LR[False]
    )


def test_the_curve_is_kept_for_other_programs(corpus, tmp_path):
    taught(corpus, tmp_path / "run", "none", replace(TINY, features=0.0, ke=0.0))
    curve = json.loads((tmp_path / "run" / "curve.json").read_text())
    assert len(curve) == 3
    assert (tmp_path / "run" / "curve.csv").read_text().count("\n") == 4
