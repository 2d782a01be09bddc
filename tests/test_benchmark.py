"""The benchmark: which runs there are, that each is done once and exactly, and what is said of them."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import r2_score

from iem.chem.fingerprints import described
from iem.chem.molecules import parse
from iem.cli import main
from iem.data.catalogue import DATASETS
from iem.data.published import TABLE1, TABLE2, reported
from iem.data.tables import read_table
from iem.errors import ArtifactError, ConfigError, UnknownNameError
from iem.records import Split
from iem.report.contests import critical_differences
from iem.students.starts import find_start
from iem.workflows.distillation.loop import Trained
from iem.workflows.evidence import benchmarking, reporting, schooling
from iem.workflows.evidence.benchmarking import PLANS, Protocol, Run, do_run, key_of, planned, run_all
from iem.workflows.evidence.comparing import choices_of, critical_difference, gaps_of, holm, opponents, ranks
from iem.workflows.evidence.methods import METHODS
from iem.workflows.evidence.predictions import keep_predictions, score_together
from iem.workflows.evidence.reporting import Findings, markdown, summary
from iem.workflows.evidence.results import Row, read_results, rows_of
from iem.workflows.evidence.schooling import Classroom, seen_by
from iem.workflows.fitting.boosting import grown
from iem.workflows.measures.baselines import descriptors, fingerprints, fit_predict, probe_outputs
from iem.workflows.pretraining.questions import standardised

SMILES = [
    *("CCO", "CCCO", "CC(C)O", "CCCCO", "c1ccccc1O", "Cc1ccccc1O", "CC(=O)Oc1ccccc1C(=O)O", "CCN", "CCCN", "c1ccncc1"),
    *("C1CCCCC1", "OC1CCCCC1", "CC(=O)C", "CCC(=O)C", "CC#N", "c1ccsc1", "FC(F)(F)c1ccccc1", "Clc1ccccc1", "BrCCBr"),
    *("CN1C=NC2=C1C(=O)N(C(=O)N2C)C", "OCC(O)C(O)C(O)C(O)C=O", "NC(Cc1ccccc1)C(=O)O", "C[Si](C)(C)C", "CSC", "O=C=O"),
    *("c1ccc2ccccc2c1", "C1CCNCC1", "c1ccc2[nH]ccc2c1", "O=C1CCCCC1", "C1CCOC1", "c1cnc2ccccc2c1", "C1CC1", "C1COCCN1"),
]
WAYS = (
    "plain",
    "iem",
    "priors",
    "shuffled",
    "untrained",
    "descriptors",
    "images 50%",
    "flat",
    "one number",
    "ecfp+rf",
    "ecfp+gb",
    "trees",
    "probe",
)


@pytest.fixture
def small(monkeypatch):
    """The named table is a small one, so that a run takes a second."""
    frame = pd.DataFrame({"smiles": SMILES, "y": [float(len(text)) for text in SMILES]})

    def read(name):
        assert name == "freesolv"
        return read_table(frame, targets=["y"])

    monkeypatch.setattr(benchmarking, "read_table", read)
    caches = (benchmarking.table_of, benchmarking.split_of, benchmarking._scaffold, benchmarking._cluster)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.fixture
def protocol(teacher_folder):
    return Protocol.of(split="scaffold", teacher=str(teacher_folder), preset="default", epochs=2, batch_size=8)


def everything(runs, protocol, out):
    run_all(runs, protocol, out=out, list_runs=False, jobs=1, engine="cores", address=None)
    return {result["key"]: result for result in read_results(out)}


def test_the_plans_are_those_of_the_paper():
    assert len(planned("table1", (), (), (), 10)) == 8 * 2 * 10
    assert len(planned("table2", (), (), (), 10)) == 4 * 2 * 10
    assert len(planned("table3", (), (), (), 1)) == 8 * 2 * 4
    assert {run.method for run in planned("table6", (), (), (), 1)} == {"plain", "te", "ke", "iem"}
    assert planned("table3", ("esol",), (), ("ecfp+rf",), 1) == [Run("esol", "none", "ecfp+rf", 0)], (
        "once, not for each"
    )
    some = planned("controls", ("esol",), (), ("iem", "priors"), 2)
    assert some == [Run("esol", "gin", way, seed) for seed in range(2) for way in ("iem", "priors")]
    assert [run.seed for run in planned("baselines", ("esol",), (), ("probe",), 5)] == [0]
    for tables, _, ways in PLANS.values():
        assert set(tables) <= set(DATASETS)
        assert set(ways) <= set(METHODS)


@pytest.mark.parametrize("students", [(), ("gin",)])
def test_names_that_do_not_exist(students):
    with pytest.raises(UnknownNameError, match="no benchmark table is called 'esoll'"):
        planned("table2", ("esoll",), students, (), 1)
    with pytest.raises(UnknownNameError, match="no method is called 'magic'"):
        planned("table2", (), students, ("magic",), 1)
    with pytest.raises(UnknownNameError, match="no student is called 'gim'"):
        planned("table2", (), ("gim",), (), 1)


def test_trees_are_those_of_fit(protocol, tmp_path):
    (result,) = everything([Run("freesolv", "gin", "trees", 0)], protocol, tmp_path).values()
    table, split = benchmarking.table_of("freesolv"), benchmarking.split_of("freesolv", "scaffold", 0)
    values = np.stack([described(parse(key)) for key in table.keys])
    trees = grown(values[split.train], table.labels[split.train], task="regression")
    for part in ("valid", "test"):
        rows = getattr(split, part)
        errors = trees.outputs(values[rows]) - table.labels[rows]
        assert result[part] == pytest.approx(np.sqrt((errors**2).mean()))


def test_a_method_teaches_what_its_name_says(small, protocol, tmp_path, monkeypatch):
    """Which enhancers have a weight, whether a prior is asked, whose features are seen; and on what scale."""
    told = {}

    def train(predictor, molecules, train, valid, lesson, *, heads, **others):
        known = {"ke": lesson.ke, "te": lesson.te, "priors": lesson.priors, "heads": heads is not None}
        told[way] = {**known, "asked": bool(molecules.answers), "seen": molecules.features[train]}
        assert predictor.mean.item() == pytest.approx(molecules.labels[train].mean())
        return Trained(predictor.state_dict(), 1, [])

    monkeypatch.setattr(schooling, "train_student", train)
    table, split = benchmarking.table_of("freesolv"), benchmarking.split_of("freesolv", "scaffold", 0)
    room = Classroom(table, "regression", split, protocol.teacher, protocol.recipe, tmp_path)
    for way in ("plain", "ke", "te", "iem", "flat", "shuffled", "untrained", "priors", "descriptors"):
        schooling.outputs_by(METHODS[way], "gin", 0, room, tmp_path / "x.ckpt")
    seen = {way: known.pop("seen") for way, known in told.items()}
    no, both = {"ke": 0.0, "te": 0.0, "priors": 0.0, "heads": False, "asked": False}, {"ke": 0.1, "te": 0.1}
    assert told == {
        "plain": no,
        "ke": {**no, "ke": 0.1, "heads": True},
        "te": {**no, "te": 0.1},
        **{way: {**no, **both, "heads": True} for way in ("iem", "flat", "shuffled", "untrained")},
        "priors": {**no, "priors": 0.1, "asked": True},
        "descriptors": {**no, "te": 0.1},
    }
    assert seen["plain"].shape[1] == seen["priors"].shape[1] == 0
    for way in ("ke", "te"):
        np.testing.assert_array_equal(seen[way], seen["iem"])
    for way in ("flat", "shuffled", "untrained"):
        assert seen[way].shape == seen["iem"].shape
        assert np.abs(seen[way] - seen["iem"]).max() > 1e-3
    np.testing.assert_array_equal(np.sort(seen["shuffled"], axis=0), np.sort(seen["iem"], axis=0))


@pytest.mark.slow
def test_every_method_runs_and_nothing_is_done_twice(small, protocol, tmp_path):
    runs = planned("controls", ("freesolv",), (), WAYS, 1)
    first = everything(runs, protocol, tmp_path)
    assert len(first) == len(WAYS)
    for result in first.values():
        assert math.isfinite(result["test"])
        assert result["molecules"] == {"train": 26, "valid": 3, "test": 4}
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").iterdir()}
    assert everything(runs, protocol, tmp_path) == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").iterdir()} == stamps
    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert {line["key"] for line in lines} == set(first)
    assert not list((tmp_path / "unfinished").iterdir())

    assert main(["benchmark", "report", str(tmp_path)]) == 0
    page, text = (tmp_path / "report.html").read_text(), (tmp_path / "results.md").read_text()
    for way in WAYS:
        assert METHODS[way].about.replace("'", "&#39;") in page
        assert f"| {way} |" in text


def test_a_run_depends_on_its_settings_and_on_nothing_else(small, protocol, monkeypatch):
    monkeypatch.setattr(benchmarking, "digest_of", lambda teacher, view: f"{teacher} {view}")
    run = Run("freesolv", "gin", "plain", 0)
    key = key_of(protocol.settings(run))
    assert key == key_of(replace(protocol, teacher="elsewhere").settings(run)), "no teacher, no cause"
    others = [
        replace(protocol, recipe=replace(protocol.recipe, lr=1.0)).settings(run),
        replace(protocol, split="random").settings(run),
        protocol.settings(run._replace(seed=1)),
        protocol.settings(run._replace(method="iem")),
        replace(protocol, teacher="elsewhere").settings(run._replace(method="iem")),
    ]
    assert len({key, *map(key_of, others)}) == 6
    assert key == key_of(replace(protocol, recipe=replace(protocol.recipe, ke=5.0)).settings(run)), "nothing to weigh"
    causes = [protocol.settings(run._replace(method=way))["teacher"] for way in ("iem", "2d", "flat", "priors")]
    assert [cause.split()[1] for cause in causes] == ["3d", "2d", "flat", "3d"], "another encoder, another cause"


HOLD = """
import sys
from iem.workflows.running.folders import alone_with
with open(sys.argv[1], "ab") as file:
    print(alone_with(file), flush=True)
    sys.stdin.read()
"""


def test_two_processes_share_a_folder(small, protocol, tmp_path, capsys):
    runs = [Run("freesolv", "none", "ecfp+gb", 0), Run("freesolv", "none", "probe", 0)]
    (tmp_path / "claims").mkdir()
    claim = str(tmp_path / "claims" / key_of(protocol.settings(runs[0])))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", HOLD, claim], **pipes) as other:
        assert other.stdout.readline() == "True\n"  # another process is at it
        assert len(everything(runs, protocol, tmp_path)) == 1
        other.kill()
        assert "1 run left to another process" in capsys.readouterr().err
    assert len(everything(runs, protocol, tmp_path)) == 2  # it died, and its claim with it


def test_what_runs_predict_is_kept_and_scored_together(small, protocol, tmp_path):
    results = everything([Run("freesolv", "none", "ecfp+rf", seed) for seed in range(2)], protocol, tmp_path)
    files = [tmp_path / "predictions" / f"{key}.npz" for key in results]
    table, split = benchmarking.table_of("freesolv"), benchmarking.split_of("freesolv", "scaffold", 0)
    outputs = [
        fit_predict("rf", fingerprints(table.keys), table.labels, split.train, task="regression", seed=seed)[split.test]
        for seed in range(2)
    ]
    rmse = np.sqrt(np.mean((np.mean(outputs, axis=0) - table.labels[split.test]) ** 2))
    assert score_together(files, "regression") == pytest.approx(rmse)
    rows, _ = rows_of(list(results.values()), tmp_path / "predictions")
    assert [row.together for row in rows] == [pytest.approx(rmse)]
    reporting.write_report(tmp_path, tmp_path)
    written = f"| {rmse:.3f} |"
    assert written in (tmp_path / "results.md").read_text()
    assert f">{rmse:.3f}<" in (tmp_path / "report.html").read_text()

    files[0].unlink()  # as in runs of older versions
    assert score_together(files, "regression") is None
    files[0].write_text("no such thing")
    with pytest.raises(ArtifactError, match=r"holds no predictions of a run .*; delete it"):
        score_together(files, "regression")


def test_only_predictions_for_the_same_molecules_are_scored_together(tmp_path):
    labels, outputs = np.array([[0.0], [1.0], [0.0], [1.0]]), np.array([[0.1], [0.9], [0.2], [0.8]])
    for name, test in (("one", [2, 3]), ("two", [2, 3]), ("three", [1, 2])):
        keep_predictions(tmp_path / name, labels, outputs, Split(*map(np.array, ([0], [1], test))))
    assert score_together([tmp_path / "one", tmp_path / "two"], "classification") == 1.0
    assert score_together([tmp_path / "one", tmp_path / "three"], "classification") is None
    assert score_together([tmp_path / "one"], "classification") is None


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_as_if_nothing_had_been(small, protocol, tmp_path, monkeypatch):
    from iem.workflows.distillation import loop

    run = Run("freesolv", "gin", "plain", 0)
    longer = replace(protocol, recipe=replace(protocol.recipe, epochs=8))
    settings = longer.settings(run)
    for name in ("whole", "broken"):
        for folder in ("runs", "claims", "unfinished"):
            (tmp_path / name / folder).mkdir(parents=True)
    whole = do_run(run, settings, longer, tmp_path / "whole")
    original, epochs = loop.Curve.on_train_epoch_end, []

    def kill(self, trainer, module):
        epochs.append(trainer.current_epoch)
        if trainer.current_epoch == 6 and epochs.count(6) == 1:
            raise KeyboardInterrupt
        original(self, trainer, module)

    monkeypatch.setattr(loop.Curve, "on_train_epoch_end", kill)
    with pytest.raises(KeyboardInterrupt):
        do_run(run, settings, longer, tmp_path / "broken")
    again = do_run(run, settings, longer, tmp_path / "broken")
    assert epochs == [0, 1, 2, 3, 4, 5, 6, 5, 6, 7]
    assert again["test"] == whole["test"]


def test_a_damaged_result_and_an_empty_folder_are_named(tmp_path, capsys):
    assert main(["benchmark", "report", str(tmp_path)]) == 1
    assert "holds no finished run; iem benchmark makes some" in capsys.readouterr().err
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "0.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"0\.json is no result of a run"):
        read_results(tmp_path)
    with pytest.raises(ConfigError, match="--split is 'scafold'"):
        Protocol.of(split="scafold", teacher="default", preset="default")


def test_runs_of_a_newer_version_are_kept_and_left_out_of_the_tables(tmp_path, capsys):
    """Two versions may share a folder: the older goes on, and loses nothing of what the newer has done."""
    page = Path(__file__).parents[1] / "docs" / "results.jsonl"
    line = json.loads(page.read_text(encoding="utf-8").splitlines()[0])
    newer = line | {"key": "0" * 32, "settings": line["settings"] | {"method": "holograms"}}
    runs = tmp_path / "runs"
    runs.mkdir()
    (runs / "1.json").write_text(json.dumps(newer))
    assert main(["benchmark", "report", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "1 run of what this iem does not know (holograms): left out of the tables" in said
    assert "holds no finished run that this iem knows" in said.splitlines()[-1]
    (runs / "0.json").write_text(json.dumps(line))
    assert main(["benchmark", "report", str(tmp_path)]) == 0
    assert "1 run of what this iem does not know (holograms)" in capsys.readouterr().err
    assert "holograms" not in (tmp_path / "results.md").read_text()
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 2
    (runs / "2.json").write_text(json.dumps(line | {"settings": line["settings"] | {"method": ["plain"]}}))
    with pytest.raises(ArtifactError, match=r"2\.json is no result of a run"):
        read_results(tmp_path)


def test_the_list_of_runs_does_nothing(small, protocol, tmp_path, capsys):
    run_all(
        planned("table2", ("freesolv",), (), ("plain",), 2),
        protocol,
        out=tmp_path / "out",
        list_runs=True,
        jobs=1,
        engine="cores",
        address=None,
    )
    assert capsys.readouterr().err.count("to do") == 3
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("cause", ["table", "split_digest", "chemprop"])
def test_scores_of_other_molecules_or_programs_are_not_put_together(cause):
    settings = {"dataset": "bace", "student": "gin", "method": "plain", "split": "scaffold", "version": "1"}
    kept = {"test": 0.7, "valid": 0.7, "targets_dropped": 0, "key": ""}
    runs = [kept | {"settings": settings | {"seed": seed, cause: "one"}} for seed in range(3)]
    runs += [kept | {"test": 0.9, "settings": settings | {"seed": seed, cause: "other"}} for seed in range(2)]
    (row,) = rows_of(runs)[0]
    assert row.seeds == dict.fromkeys(range(3), 0.7)
    if cause != "chemprop":  # a network of another package is compared with none of ours
        other = [run["settings"] | {"method": "iem", cause: "other"} for run in runs[:3]]
        rows, _ = rows_of(runs[:3] + [kept | {"settings": words} for words in other])
        assert len(rows) == 2
        assert not gaps_of(rows)


def test_differences_are_paired_and_corrected():
    rng = np.random.default_rng(0)
    plain, iem, priors = ({seed: float(value) for seed, value in enumerate(rng.normal(0.7, 0.02, 5))} for _ in range(3))
    iem = {
        seed: plain[seed] + 0.03 + value for seed, value in enumerate(rng.normal(0, 0.004, 4))
    }  # one seed is missing
    rows = [
        Row("bace", "gin", way, "scaffold", seeds, 0)
        for way, seeds in (("plain", plain), ("iem", iem), ("priors", priors))
    ]
    ours, beside, control = gaps_of(rows)
    assert [(gap.method, gap.against) for gap in (ours, beside, control)] == [
        ("iem", "plain"),
        ("iem", "priors"),
        ("priors", "plain"),
    ]
    ours_alone = stats.ttest_rel([iem[seed] for seed in range(4)], [plain[seed] for seed in range(4)])
    interval = ours_alone.confidence_interval(0.95)
    assert ours.seeds == 4
    assert ours.test[1:] == (pytest.approx(100 * interval.low), pytest.approx(100 * interval.high))
    assert ours.valid is None, "these rows have no scores of the validation part"
    beside_alone = stats.ttest_rel([iem[seed] for seed in range(4)], [priors[seed] for seed in range(4)])
    control_alone = stats.ttest_rel(list(priors.values()), list(plain.values()))
    alone = [ours_alone.pvalue, beside_alone.pvalue, control_alone.pvalue]
    assert [ours.p, beside.p, control.p] == pytest.approx(alone), "three questions, each of one table"
    again = [row._replace(dataset="bbbp", seeds=priors) for row in rows if row.method == "iem"]
    again += [row._replace(dataset="bbbp") for row in rows if row.method == "plain"]
    both = {gap.dataset: gap.p for gap in gaps_of(rows + again) if (gap.method, gap.against) == ("iem", "plain")}
    assert list(both.values()) == pytest.approx(holm([ours_alone.pvalue, control_alone.pvalue])), "one, of two tables"
    assert ours.beyond == (
        np.mean(list(iem.values())) - np.mean([plain[s] for s in range(4)])
        > np.std([plain[s] for s in range(4)], ddof=1)
    )

    lower = [
        Row("esol", "gin", way, "scaffold", dict.fromkeys(range(3), v), 0) for way, v in (("plain", 2.0), ("iem", 1.5))
    ]
    assert gaps_of(lower)[0].test.mean == pytest.approx(25.0), "a smaller RMSE is better"
    assert gaps_of(lower)[0].beyond


def test_a_method_is_compared_with_the_student_alone_and_with_its_controls():
    begun = ["priors start", "priors start+shuffled", "priors start+priors"]
    assert opponents("priors start+iem") == begun
    assert opponents("priors start+2d") == ["priors start", "priors start+2d shuffled", "priors start+priors"]
    assert opponents("priors start+flat") == ["priors start", "priors start+priors"]
    assert opponents("priors start+te") == ["priors start"]
    assert opponents("priors start+shuffled") == opponents("priors start+2d shuffled") == ["priors start"]
    assert opponents("start") == opponents("images 5%") == opponents("te") == opponents("ecfp") == ["plain"]
    assert opponents("ke") == ["plain", "priors"]
    assert opponents("plain") == opponents("probe") == opponents("ecfp+rf") == []


def test_the_validation_part_chooses_with_or_without_pictures():
    def row(dataset, method, test, valid, student="gin"):
        return Row(dataset, student, method, "scaffold", dict(enumerate(test)), 0, valid=dict(enumerate(valid)))

    rows = [
        row("bace", "plain", [0.6, 0.7, 0.8], [0.5, 0.9, 0.5]),
        row("bace", "iem", [0.7, 0.6, 0.9, 1.0], [0.6, 0.8, 0.6, 0.9]),  # nobody went without in the fourth
        row("bace", "shuffled", [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]),
        row("esol", "plain", [1.0, 2.0], [1.0, 2.0]),
        row("esol", "iem", [3.0, 1.0], [0.5, 3.0]),
        row("esol", "iem", [3.0, 1.0], [0.5, 3.0], "gcn"),
    ]
    bace, esol = choices_of(rows)
    assert bace.chosen.seeds == {0: 0.7, 1: 0.7, 2: 0.9}
    assert bace.times == 2
    assert bace.taught.mean == pytest.approx(2.2 / 3)
    assert esol.chosen.seeds == {0: 3.0, 1: 2.0}, "a smaller RMSE is better"
    text = markdown(Findings.of(rows))
    assert "| BACE | gin | iem | scaffold | 70.0 ± 10.0 (3) | 73.3 ± 15.3 (3) | 76.7 ± 11.5 (3) | 2 of 3 |" in text


def test_the_summary_says_what_pictures_change_and_what_the_control_does():
    seeds = range(3)
    rows = [
        Row(table, "gin", way, "scaffold", {seed: base + 0.001 * seed * scale for seed in seeds}, 0)
        for table, values in (("bace", (0.7, 0.72, 0.71)), ("bbbp", (0.6, 0.64, 0.66)))
        for way, base, scale in zip(("plain", "iem", "shuffled"), values, (1, 2, 3), strict=True)
    ]
    views = summary(Findings.of(rows))
    said = views.replace("Views of a 3D conformer against", "Pictures against")
    assert said != views
    assert "Pictures against the student alone: of 2 comparisons 2 came out better; 2 got better and 0 worse" in said
    assert "Mean change of ROC-AUC: +3.1 points over 2 comparisons." in said
    assert "Pictures against 'both enhancers, pictures of other molecules': of 2 comparisons 1 came out better" in said
    flat = [row._replace(method="2d") if row.method == "iem" else row for row in rows]
    words = summary(Findings.of(flat))
    assert "The 2D depiction against the student alone: of 2 comparisons 2 came out better" in words


def test_committed_lines_make_a_report_again(tmp_path, capsys):
    lines = tmp_path / "results.jsonl"
    lines.write_bytes((Path(__file__).parents[1] / "docs" / "results.jsonl").read_bytes())
    assert main(["benchmark", "report", str(lines)]) == 0
    again = tmp_path / "results" / "results.jsonl"
    assert sorted(again.read_text().splitlines()) == sorted(lines.read_text().splitlines())
    assert "Views of a 3D conformer after a head start" in (tmp_path / "results" / "results.md").read_text()
    assert "With or without?" in (tmp_path / "results" / "report.html").read_text()
    lines.write_text(lines.read_text() + "{}\n")
    capsys.readouterr()
    assert main(["benchmark", "report", str(lines)]) == 1
    assert "results.jsonl is no result of a run ('settings'); delete it" in capsys.readouterr().err
    assert main(["benchmark", "report", str(tmp_path / "nowhere")]) == 1
    assert "nowhere holds no finished run" in capsys.readouterr().err


def test_ranks_are_over_the_tables_that_all_have():
    rows = [
        Row("bace", "gin", "plain", "scaffold", {0: 0.7}, 0),
        Row("bace", "gin", "iem", "scaffold", {0: 0.8}, 0),
        Row("esol", "gin", "plain", "scaffold", {0: 1.0}, 0),
        Row("esol", "gin", "iem", "scaffold", {0: 2.0}, 0),
        Row("esol", "none", "ecfp+rf", "scaffold", {0: 0.1}, 0),
    ]
    assert ranks(rows) == [("gin plain", 1.5, 2), ("gin iem", 1.5, 2)]
    rows += [
        Row("bace", "gin", "flat", "scaffold", {0: 0.9}, 0),
        Row("esol", "gin", "flat", "scaffold", {0: 0.5}, 0),
    ]
    assert ranks(rows) == [("gin flat", 1.0, 2), ("gin plain", 2.5, 2), ("gin iem", 2.5, 2)]


def test_a_head_start_that_nobody_made_is_named_with_its_remedy(tmp_path, capsys):
    words = ["benchmark", "controls", "--datasets", "freesolv", "--students", "gcn:layers=2"]
    assert main([*words, "--methods", "priors start", "--out", str(tmp_path / "runs")]) == 1
    said = capsys.readouterr().err
    assert "iem teach CORPUS --student gcn:layers=2 --teacher none --out starts/priors-gcn:layers=2, and say" in said


def test_a_run_depends_on_where_its_student_begins():
    protocol = Protocol.of(split="scaffold", teacher="default", preset="default")
    begun, plain = (protocol.settings(Run("freesolv", "gin", way, 0)) for way in ("priors start", "plain"))
    assert begun["start"] == find_start("priors", "gin").digest[:16]
    assert "start" not in plain
    assert (begun["recipe"]["lr"], plain["recipe"]["lr"]) == (3e-4, 1e-3)
    assert begun["recipe"]["norms"] == "kept"
    assert "norms" not in plain["recipe"]  # as in runs before there was a choice
    other = Protocol.of(split="scaffold", teacher="default", preset="default", norms="batch")
    assert other.settings(Run("freesolv", "gin", "plain", 0)) == plain
    assert other.settings(Run("freesolv", "gin", "priors start", 0))["recipe"].keys() == plain["recipe"].keys()


def test_the_critical_difference_is_that_of_the_literature():
    assert critical_difference(5, 30) == pytest.approx(2.728 * np.sqrt(5 * 6 / (6 * 30)), abs=1e-3)  # Demšar, table 5
    assert critical_difference(2, 10) == pytest.approx(1.960 * np.sqrt(2 * 3 / 60), abs=1e-3)


def test_a_bar_joins_what_the_tables_cannot_tell_apart():
    ranks = [("one", 1.2), ("two", 2.0), ("three", 2.8), ("four", 4.5)]
    wide, narrow = critical_differences(ranks, 1.5), critical_differences(ranks, 0.1)
    bars = [picture.count("stroke-width: 3") for picture in (wide, narrow)]
    assert bars == [2, 0], "one to two and two to three"
    assert all(name in wide for name, _ in ranks)


def test_runs_of_other_settings_are_not_mixed():
    def result(seed, version, test):
        settings = {
            "dataset": "esol",
            "student": "gin",
            "method": "plain",
            "split": "scaffold",
            "seed": seed,
            "version": version,
        }
        return {"settings": settings, "test": test, "valid": test / 2, "targets_dropped": 0}

    [row], causes = rows_of([result(0, "1", 1.0), result(1, "1", 2.0), result(0, "2", 9.0)])
    assert row.seeds == {0: 1.0, 1: 2.0}
    assert row.valid == {0: 0.5, 1: 1.0}
    assert causes["version"] == ["1", "2"]


def test_students_that_were_trained_in_another_way_are_not_compared():
    def result(method, seed, epochs):
        settings = {"dataset": "esol", "student": "gin", "method": method, "split": "scaffold", "seed": seed}
        settings |= {"version": "1", "recipe": {"epochs": epochs} | ({"ke": 0.1} if method == "iem" else {})}
        return {"settings": settings, "test": 1.0 + seed, "valid": 1.0 + seed, "targets_dropped": 0}

    same = [result(way, seed, 40) for way in ("plain", "iem") for seed in range(3)]
    assert len(gaps_of(rows_of(same)[0])) == 1
    other = same[:3] + [result("iem", seed, 100) for seed in range(3)]
    assert not gaps_of(rows_of(other)[0])


def test_published_numbers():
    averages = [np.mean([mean for mean, _ in TABLE1[row]]) for row in (("gin", "plain"), ("gin", "iem"))]
    assert averages == [pytest.approx(66.68, abs=0.01), pytest.approx(70.16, abs=0.01)]  # as printed in the last column
    assert reported("esol", "gin", "plain") == TABLE2["gin", "plain"][0] == (1.472, 0.038)
    assert reported("bace", "gin", "iem") == (0.777, 0.035)
    assert reported("freesolv", "gin", "iem") is None


def test_pictures_are_withheld_from_whole_molecules_and_not_drawn(monkeypatch):
    keys = ["CCO", "CCN", "CCO", "CCC", "CCCl", "CCBr"]
    features = np.arange(12, dtype=np.float32).reshape(6, 2)
    looked = []

    def look(method, room, rows):
        looked.append(len(rows))
        return features[rows]

    monkeypatch.setattr(schooling, "_representation", look)
    room = Classroom(
        SimpleNamespace(keys=keys), "regression", Split(np.arange(5), np.array([5]), np.array([5])), "", None, Path()
    )
    half = seen_by(METHODS["images 50%"], room, 0)
    gone = np.isnan(half).any(axis=1)
    assert gone[5]
    assert gone[0] == gone[2]
    assert len({key for key, missing in zip(keys, gone, strict=True) if not missing}) == 2
    np.testing.assert_array_equal(half[~gone], features[~gone])
    assert looked == [(~gone).sum()]
    mixed = seen_by(METHODS["shuffled"], room, 0)
    assert sorted(mixed[:5, 0]) == sorted(features[:5, 0])
    assert not np.array_equal(mixed[:5], features[:5])
    np.testing.assert_array_equal(seen_by(METHODS["iem"], room, 0)[:5], features[:5])


def test_answers_are_in_deviations_of_the_training_part():
    values = np.array([[1.0, 5.0], [3.0, 5.0], [5.0, 5.0], [100.0, 7.0]])
    known = np.array([[True, True], [True, True], [False, True], [True, True]])
    scaled, asked = standardised({"x": (values, known)}, np.array([0, 1, 2]))["x"]
    assert scaled[:2, 0].tolist() == [-1, 1]
    assert scaled[2, 0] == 0
    assert scaled[3, 0] == 98
    assert asked.tolist() == [[True, False], [True, False], [False, False], [True, False]], (
        "what is constant is not asked"
    )


def test_baselines_learn_and_say_probabilities():
    size = np.array([[len(text), float("O" in text)] for text in SMILES])
    values, train = fingerprints(SMILES), np.arange(len(SMILES))
    forest = fit_predict("rf", values, size[:, :1], train, task="regression", seed=0)
    assert r2_score(size[:, 0], forest[:, 0]) > 0.7
    labels = np.column_stack([size[:, 1], np.ones(len(SMILES)), np.full(len(SMILES), np.nan)])
    chances = fit_predict("gb", values, labels, train, task="classification", seed=0)
    assert ((chances >= 0) & (chances <= 1)).all()
    assert (chances[:, 1] == 1).all()
    assert (chances[:, 2] == 0).all()
    assert descriptors(["CCO", "[Na+].[Cl-]", "*CC"]).shape[1] > 200


def test_the_linear_probe_does_not_look_at_the_test_part():
    rng = np.random.default_rng(0)
    values = np.vstack([np.eye(5), -np.eye(5), rng.uniform(-1, 1, size=(50, 5))])  # the training part has the extremes
    labels = values @ rng.normal(size=(5, 1))
    split = Split(np.arange(40), np.arange(40, 50), np.arange(50, 60))
    outputs = probe_outputs(values, labels, split, "regression")
    assert np.abs(outputs - labels).max() < 0.01
    spoiled = labels.copy()
    spoiled[50:] = 99
    np.testing.assert_array_equal(probe_outputs(values, spoiled, split, "regression"), outputs)


def test_a_feature_that_sleeps_in_the_training_part_does_not_rule_the_linear_probe():
    rng = np.random.default_rng(0)
    values = np.vstack([np.eye(5), -np.eye(5), rng.uniform(-1, 1, size=(50, 5))])
    labels = values @ rng.normal(size=(5, 1))
    split = Split(np.arange(40), np.arange(40, 50), np.arange(50, 60))
    asleep = np.where(np.arange(60)[:, None] < 40, rng.uniform(0, 1e-6, size=(60, 1)), 1)
    outputs = probe_outputs(np.hstack([values, asleep]), labels, split, "regression")
    np.testing.assert_allclose(outputs, labels, atol=0.1)


@pytest.mark.slow
@pytest.mark.skipif(os.cpu_count() == 1, reason="one core")
def test_runs_side_by_side_give_what_one_after_the_other_gives(protocol, tmp_path):
    """On the real table, because other processes know nothing of a small one."""
    runs = planned("controls", ("freesolv",), (), ("plain",), 2)
    protocol = replace(protocol, recipe=replace(protocol.recipe, epochs=1, batch_size=64))
    run_all(runs, protocol, out=tmp_path / "two", list_runs=False, jobs=2, engine="cores", address=None)
    run_all(runs, protocol, out=tmp_path / "one", list_runs=False, jobs=1, engine="cores", address=None)
    both = [{result["key"]: result["test"] for result in read_results(tmp_path / name)} for name in ("two", "one")]
    assert both[0] == both[1]
    assert len(both[0]) == 2
    rows, _ = rows_of(read_results(tmp_path / "one"))
    assert markdown(Findings.of(rows)).startswith("1 score; nothing to compare")
