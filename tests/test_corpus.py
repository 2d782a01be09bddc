"""Corpora: the same bytes after any interruption, nothing excluded inside, and a reader that trusts no file."""

import gzip
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ASPIRIN
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem
from rdkit.Chem import rdDistGeom

from iem.chem.conformers import ConformerSettings, conformer
from iem.chem.molecules import canonical, parse
from iem.chem.priors import priors
from iem.cli import main
from iem.data import answered, intake
from iem.data import corpus as corpus_module
from iem.data.answered import SLOW, KeptAnswers, keep_answers
from iem.data.corpus import MANIFEST, REJECTED, Corpus, read_shard
from iem.data.datasets import answers
from iem.data.intake import Named, Names, Row, batches
from iem.data.mapped import write_mapped
from iem.data.survey import survey
from iem.errors import ArtifactError, ConfigError, OutputError
from iem.workflows.corpora import preparing
from iem.workflows.corpora.preparing import make_shard
from iem.workflows.prepare import prepare

NASTY = ["[Na+].[Cl-]", "N[Pt](N)(Cl)Cl", "*CC", "C1CC23C1C1C2CCN31", "[H][H]", "O", "C[Hg]C", "C(=O)NCC" * 60]
ORDINARY = [
    *(
        ASPIRIN,
        "CN1C=NC2=C1C(=O)N(C(=O)N2C)C",
        "CC(C)Cc1ccc(cc1)[C@@H](C)C(=O)O",
        "NC(=O)c1cccnc1",
        "CC(=O)Nc1ccc(O)cc1",
    ),
    *("C[C@H](N)C(=O)O", "OC[C@H]1OC(O)[C@H](O)[C@@H](O)[C@@H]1O", "c1ccc2ccccc2c1", "ClC(Cl)=C(Cl)Cl", "CCN(CC)CC"),
    *(
        "FC(F)(F)c1ccccc1Br",
        "O=C1CCCCCN1",
        "CS(C)=O",
        "C#CCO",
        "N#Cc1ccccc1",
        "CC(C)(C)OC(=O)N",
        "Oc1ccccc1",
        "CCOP(=O)(O)O",
    ),
]
SMILES = [*ORDINARY, *NASTY, "CCO", *("C" * count for count in range(2, 14))]
TEXT = [*SMILES, "C1CC", "OCC", "C(O)C", "not a molecule", "", "CN(C)(C)(C)C"]
KILLED = """
import os, random, shutil, signal, sys, time
from pathlib import Path
from iem.workflows.corpora import preparing  # loaded once: each run is a fork, which starts at once
from iem.workflows.prepare import prepare

source, folder, wanted, kills = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
whole = {path.name: path.read_bytes() for path in wanted.iterdir()}
rng = random.Random(0)


def run(seconds):
    process = os.fork()
    if not process:
        prepare(source, out=folder, shard_size=4, jobs=1)
        os._exit(0)
    deadline = time.monotonic() + seconds
    while not (ended := os.waitpid(process, os.WNOHANG))[0]:
        if time.monotonic() > deadline:
            os.kill(process, signal.SIGKILL)
            ended = os.waitpid(process, 0)
            break
        time.sleep(0.001)
    found = {path.name: path.read_bytes() for path in folder.glob("[!.]*")}
    broken = [name for name, content in found.items() if content != whole[name]]
    assert not broken, f"half written: {broken}"
    return os.WIFSIGNALED(ended[1])


killed = finished = 0
while killed < kills:
    if run(rng.expovariate(2)):
        killed += 1
    else:  # from the beginning
        finished += 1
        assert {path.name for path in folder.iterdir()} == set(whole)
        shutil.rmtree(folder)
run(999)
assert {path.name for path in folder.iterdir()} == set(whole)
print(killed, finished)
"""


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("source") / "some.smi"
    path.write_text("\n".join(TEXT))
    return path


@pytest.fixture(scope="module")
def whole(source, tmp_path_factory):
    """The corpus of an unbroken run; tests only read it."""
    folder = tmp_path_factory.mktemp("whole") / "corpus"
    prepare(str(source), out=folder, shard_size=4, jobs=1)
    return folder


@pytest.fixture
def copy(whole, tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name, content in contents(whole).items():
        (folder / name).write_bytes(content)
    return folder


def test_every_molecule_is_there_once_with_its_geometry_and_priors(whole):
    corpus = Corpus(whole)
    assert sorted(record.smiles for record in corpus) == sorted({canonical(parse(smiles)) for smiles in SMILES})
    assert len(corpus) == len(SMILES)
    for record in corpus:
        mol = parse(record.smiles)
        geometry = conformer(mol)
        wanted = priors(mol, geometry)
        assert record.geometry.status == geometry.status
        np.testing.assert_array_equal(record.geometry.numbers, geometry.numbers)
        np.testing.assert_array_equal(record.geometry.bonds, geometry.bonds)
        np.testing.assert_allclose(record.geometry.coordinates, geometry.coordinates, rtol=1e-3, atol=1e-3)
        for name, target in record.priors.items():
            np.testing.assert_array_equal(target.known, wanted[name].known)
            np.testing.assert_array_equal(target.values, wanted[name].values)
        posed = answers(("geometry",), record, mol)["geometry"]
        np.testing.assert_array_equal(posed.known, wanted["geometry"].known)
        # half precision may swap the sign of an axis along which a molecule is symmetric, and the axes of a small one
        mine, theirs = (abs(one.values.reshape(-1, 3)) for one in (posed, wanted["geometry"]))
        if len(mol.GetAtoms()) > 8:
            np.testing.assert_allclose(mine, theirs, atol=5e-3)
        np.testing.assert_allclose(np.linalg.norm(mine, axis=1), np.linalg.norm(theirs, axis=1), atol=5e-3)
    assert corpus[-1].smiles == corpus[len(corpus) - 1].smiles
    with pytest.raises(IndexError):
        corpus[len(corpus)]


@pytest.mark.parametrize("jobs", [1, 2])
def test_slow_questions_are_answered_once_for_all_molecules(whole, tmp_path, monkeypatch, jobs):
    monkeypatch.setenv("IEM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(answered, "PART", 4)
    corpus, asked, ticks = Corpus(whole), [], []
    keep_answers(corpus, ("atom", "substructure", *SLOW), jobs=jobs, starts=asked.append, tick=ticks.append)
    assert asked == list(SLOW)
    assert sum(ticks) == len(corpus) * len(SLOW)
    elsewhere = pickle.loads(pickle.dumps(corpus))  # as another process gets it
    for index, record in enumerate(Corpus(whole)):
        mol = parse(record.smiles)
        assert not set(SLOW) & set(record.priors)
        for kept in (corpus[index], corpus[index - len(corpus)], elsewhere[index]):
            for name, truth in answers(SLOW, record, mol).items():
                np.testing.assert_array_equal(kept.priors[name].values, truth.values)
                np.testing.assert_array_equal(kept.priors[name].known, truth.known)

    keep_answers(Corpus(whole), SLOW, starts=asked.append)
    assert asked == list(SLOW), "asked again"
    file = KeptAnswers(corpus, "shape").path
    file.write_bytes(file.read_bytes()[:-100])  # cut off, as by a full disk
    keep_answers(Corpus(whole), SLOW, starts=asked.append)
    assert asked == [*SLOW, "shape"]


def test_answers_that_cannot_be_kept_are_one_sentence(whole, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    corpus = Corpus(whole)
    monkeypatch.setenv("IEM_CACHE", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="IEM_CACHE says where"):
        keep_answers(corpus, ("shape",))


def test_the_manifest_and_the_rejected_rows_say_what_happened(whole):
    corpus, manifest = Corpus(whole), json.loads((whole / MANIFEST).read_text())
    rejected = pq.read_table(whole / REJECTED).to_pylist()
    assert manifest["counts"]["molecules"] == len(corpus) == sum(corpus.statuses.values())
    assert manifest["counts"]["statuses"] == dict(corpus.statuses)
    assert {row["stage"] for row in rejected} == {"parse", "duplicate"}
    assert [row for row in rejected if row["input"] == "C1CC"] == [
        {"row": TEXT.index("C1CC"), "input": "C1CC", "stage": "parse", "reason": "unclosed ring"}
    ]
    assert {TEXT[row["row"]] for row in rejected if row["stage"] == "duplicate"} == {"OCC", "C(O)C"}
    assert corpus.statuses["flat"] == 2


def test_two_processes_write_what_one_writes(source, whole, tmp_path):
    prepare(str(source), out=tmp_path / "corpus", shard_size=4, jobs=2)
    assert contents(tmp_path / "corpus") == contents(whole)


@pytest.mark.slow
def test_killed_again_and_again_the_same_command_ends_at_the_same_bytes(source, whole, tmp_path):
    """At 25 random moments, and no file ever stands half written under its name."""
    command = [sys.executable, "-c", KILLED, str(source), str(tmp_path / "corpus"), str(whole), "25"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert contents(tmp_path / "corpus") == contents(whole)


@pytest.mark.slow
def test_killed_with_several_processes_it_ends_at_the_same_bytes(source, whole, tmp_path):
    folder = tmp_path / "corpus"
    command = [sys.executable, "-m", "iem", "prepare", str(source), "--out", str(folder), "--shard-size", "4"]
    for finished in (1, 4):
        process = subprocess.Popen([*command, "--jobs", "2"], stderr=subprocess.DEVNULL)
        while process.poll() is None and len(list(folder.glob("part-*"))) < finished:
            time.sleep(0.002)
        process.kill()
        assert process.wait() == -signal.SIGKILL, "it must be killed, not finish"
        with pytest.raises(ArtifactError, match="prepare"):
            Corpus(folder)
    (folder / ".part-00000.parquet.99.partial").write_bytes(b"left behind")
    subprocess.run([*command, "--jobs", "2"], check=True, stderr=subprocess.DEVNULL)
    assert contents(folder) == contents(whole)


@pytest.fixture
def small_disk(tmp_path):
    """A folder with little room, and a way to give it more."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def room(kilobytes, *how):
        options = ",".join([*how, f"size={kilobytes}k"])
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        return subprocess.run(command, capture_output=True).returncode == 0

    if sys.platform != "linux" or os.geteuid() or not room(28):
        pytest.skip("only root can make a small disk")
    yield folder, lambda kilobytes: room(kilobytes, "remount")
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_full_disk_is_a_clear_error_and_what_is_finished_is_kept(source, whole, small_disk, capsys, jobs):
    disk, grow = small_disk
    command = ["prepare", str(source), "--out", str(disk / "corpus"), "--shard-size", "4", "--jobs", str(jobs)]
    assert main(command) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert re.fullmatch(
        r"iem: cannot write .*/corpus/\S+: .*No space left on device.*; free some space, then repeat the command; "
        r"finished shards are kept: the same command goes on from there",
        message,
    )
    kept = {path.name: path.stat().st_mtime_ns for path in (disk / "corpus").glob("part-*")}
    assert 1 <= len(kept) < len(list(whole.glob("part-*")))
    assert grow(4_000)
    assert main(command) == 0
    assert contents(disk / "corpus") == contents(whole)
    assert {name: (disk / "corpus" / name).stat().st_mtime_ns for name in kept} == kept


def block(smiles, *, seed=3, hydrogens=True, title="", properties=()):
    """A record of an SDF with coordinates in space (flat ones for seed None)."""
    mol = Chem.MolFromSmiles(smiles)
    if seed is None:
        Chem.rdDepictor.Compute2DCoords(mol)
    else:
        mol = Chem.AddHs(mol)
        assert rdDistGeom.EmbedMolecule(mol, randomSeed=seed) == 0
        mol = mol if hydrogens else Chem.RemoveHs(mol)
    mol.SetProp("_Name", title)
    fields = "".join(f">  <{name}>\n{value}\n\n" for name, value in properties)
    return f"{Chem.MolToMolBlock(mol)}{fields}$$$$\n"


def turned_into_the_plane(smiles):
    """A planar molecule with all its hydrogens, lying in the plane of the paper, as quantum chemists have them."""
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    rdDistGeom.EmbedMolecule(mol, randomSeed=1)
    points = mol.GetConformer().GetPositions() - mol.GetConformer().GetPositions().mean(axis=0)
    axes = np.linalg.svd(points)[2]
    for atom, point in enumerate(points @ axes.T):
        mol.GetConformer().SetAtomPosition(atom, (*point[:2].tolist(), 0.0))
    return f"{Chem.MolToMolBlock(mol)}$$$$\n"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("jobs", [1, 2])
def test_coordinates_of_an_sdf_are_used_as_they_are(tmp_path, packed, jobs):
    """Hydrogens or none, planar or not; drawings and lists beside it are embedded; the first of two is kept."""
    records = [
        block("OC(=O)c1ccccc1OC(C)=O", title="aspirin", properties=[("gap", "0.2")]),
        block("CN1C=NC2=C1C(=O)N(C(=O)N2C)C", hydrogens=False),
        block("C[C@H](N)C(=O)O", seed=None),
        block("OC(=O)c1ccccc1OC(C)=O", seed=9, title="again"),
        turned_into_the_plane("c1ccccc1"),
        "broken\nno block\n$$$$\n",
        "\n  none\n\n  0  0  0  0  0  0  0  0  0  0999 V2000\nM  END\n$$$$\n",
    ]
    path = tmp_path / ("some.sdf.gz" if packed else "some.sdf")
    content = "".join(records).encode()
    path.write_bytes(gzip.compress(content) if packed else content)
    (tmp_path / "more.smi").write_text("CCO\nc1ccccc1\n")
    prepare(str(path), str(tmp_path / "more.smi"), out=tmp_path / "corpus", shard_size=3, jobs=jobs)
    found = {record.smiles: record.geometry for record in Corpus(tmp_path / "corpus")}
    status = {smiles: geometry.status for smiles, geometry in found.items()}
    caffeine, benzene = canonical(parse("CN1C=NC2=C1C(=O)N(C(=O)N2C)C")), "c1ccccc1"
    assert status == {
        canonical(parse(ASPIRIN)): "given",
        caffeine: "given",
        "C[C@H](N)C(=O)O": "etkdg",
        benzene: "given",
        "CCO": "etkdg",
    }
    written = Chem.MolFromMolBlock(records[0])
    order = written.GetSubstructMatch(parse(canonical(written)))
    wanted = written.GetConformer().GetPositions()[list(order)]
    np.testing.assert_allclose(found[canonical(parse(ASPIRIN))].coordinates, wanted - wanted.mean(axis=0), atol=4e-3)
    assert not found[benzene].coordinates[:, 2].any()
    rejected = pq.read_table(tmp_path / "corpus" / REJECTED).to_pylist()
    assert [(row["row"], row["input"], row["stage"]) for row in rejected] == [
        *((3, "again", "duplicate"), (5, "broken", "parse"), (6, "", "parse"), (8, "c1ccccc1", "duplicate"))
    ]


def test_other_coordinates_make_another_shard(tmp_path):
    (tmp_path / "corpus").mkdir()
    path = tmp_path / "corpus" / "part-00000.parquet"
    settings = ConformerSettings()
    geometry = conformer(parse(ASPIRIN))._replace(status="given")
    row = Row(0, canonical(parse(ASPIRIN)), geometry)
    first = make_shard(path, [row], settings)
    assert first.made
    assert make_shard(path, [row], settings) == first._replace(made=False)
    moved = row._replace(geometry=geometry._replace(coordinates=geometry.coordinates * 2))
    assert make_shard(path, [moved], settings).digest != first.digest
    assert make_shard(path, [row._replace(geometry=None)], settings).statuses == {"etkdg": 1}


def test_a_sample_of_an_sdf_follows_from_the_seed_too(tmp_path):
    (tmp_path / "some.sdf").write_text("".join(block("C" * count) for count in range(1, 13)))

    def sample(seed, name):
        prepare(str(tmp_path / "some.sdf"), out=tmp_path / name, limit=5, seed=seed, jobs=1)
        return [record.smiles for record in Corpus(tmp_path / name)]

    assert len(sample(0, "one")) == 5
    assert sample(0, "again") == sample(0, "one") != sample(1, "two")


def test_left_out_rows_stand_in_order_whatever_came_in_between(tmp_path):
    """Shards of two, and more left-out rows than molecules."""
    texts = [*("CCO", "C1CC", "OCC", "CCN"), "C" * 1001, *("CCO", "CCC", "x", "C(C)O"), "N" * 1002, *("CCS", "CCO")]
    (tmp_path / "some.smi").write_text("\n".join(texts))
    prepare(str(tmp_path / "some.smi"), out=tmp_path / "corpus", shard_size=2, jobs=1)
    rejected = pq.read_table(tmp_path / "corpus" / REJECTED).to_pylist()
    assert [row["row"] for row in rejected] == [1, 2, 4, 5, 7, 8, 9, 11]
    assert [row["stage"] for row in rejected if len(row["input"]) > 100] == ["conformer", "conformer"]
    assert [record.smiles for record in Corpus(tmp_path / "corpus")] == ["CCO", "CCN", "CCC", "CCS"]


def test_rows_without_end_take_eight_bytes_each(monkeypatch):
    """Whatever streams past, only names are kept: sixteen bytes a molecule at most, while two halves are merged."""
    count = 120_000
    rows = (
        [Named(number, "C", f"{number}", "C", "", None) for number in range(first, first + 1000)]
        for first in range(0, count, 1000)
    )
    tracemalloc.start()
    assert sum(len(batch.rows) for batch in batches(rows, 1000, ())) == count
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * count + 1_500_000, "a set of Python's would take 12 MB"
    monkeypatch.setattr(intake, "MOST_REJECTED", 500)
    some = list(batches(([Named(0, "C", "C", "C", "", None)] * 100 for _ in range(20)), 3, ()))
    assert [(len(batch.rows), len(batch.rejected)) for batch in some] == [(1, 500), (0, 500), (0, 500), (0, 499)]


@settings(deadline=None)
@given(st.lists(st.lists(st.text(max_size=2), max_size=8), max_size=8))
def test_names_are_known_from_the_second_time_on(pieces):
    names, seen = Names(), set()
    for piece in pieces:
        wanted = []
        for name in piece:
            wanted.append(name not in seen)
            seen.add(name)
        assert names.add(piece) == wanted


def test_a_finished_corpus_is_left_as_it_is(source, whole, copy, capsys, monkeypatch):
    monkeypatch.setattr(preparing, "stream_rows", None)  # nothing is read again
    before = {path.name: path.stat().st_mtime_ns for path in copy.iterdir()}
    prepare(str(source), out=copy, shard_size=4, jobs=1)
    assert {path.name: path.stat().st_mtime_ns for path in copy.iterdir()} == before
    assert "finished and undamaged" in capsys.readouterr().err


def test_two_inputs_of_one_name_are_two_inputs(tmp_path):
    for folder, text in (("a", "CCO"), ("b", "CCN")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "some.smi").write_text(text)
    inputs = [str(tmp_path / folder / "some.smi") for folder in "ab"]
    prepare(*inputs, out=tmp_path / "corpus", jobs=1)
    assert len(Corpus(tmp_path / "corpus")) == 2
    with pytest.raises(OutputError, match="holds a run on other molecules"):
        prepare(inputs[1], out=tmp_path / "corpus", jobs=1)


def test_another_column_or_another_excluded_table_is_another_corpus(tmp_path):
    (tmp_path / "some.csv").write_text("drug,solvent\nCCN,OCCC\nCCCC,CCO\n")
    table = tmp_path / "mine.csv"
    table.write_text("smiles,y\nCCO,1\n")
    options = {"out": tmp_path / "corpus", "exclude": (str(table),), "jobs": 1}
    prepare(str(tmp_path / "some.csv"), smiles="solvent", **options)
    with pytest.raises(ConfigError, match="--smiles"):
        prepare(str(tmp_path / "some.csv"), smiles="drug", **options)
    table.write_text("smiles,y\nCCCO,1\n")
    with pytest.raises(OutputError, match=r"with other tables left out \(--exclude\)"):
        prepare(str(tmp_path / "some.csv"), smiles="solvent", **options)


def test_finished_shards_are_not_made_again(source, whole, copy):
    (copy / MANIFEST).unlink()
    before = {path.name: path.stat().st_mtime_ns for path in copy.glob("part-*")}
    prepare(str(source), out=copy, shard_size=4, jobs=1)
    assert {path.name: path.stat().st_mtime_ns for path in copy.glob("part-*")} == before
    assert contents(copy) == contents(whole)


@pytest.mark.parametrize("damage", ["flipped bit", "footer", "truncated", "missing", "another shard", "text"])
def test_a_damaged_shard_is_found_and_made_again(source, whole, copy, damage):
    """Also by those who have mapped the corpus before."""
    assert len(Corpus(copy)) == len(SMILES)
    path = copy / "part-00002.parquet"
    content = bytearray(path.read_bytes())
    if damage == "flipped bit":
        content[len(content) // 3] ^= 4
        path.write_bytes(content)
    elif damage == "footer":  # where Parquet itself has no checksum
        path.write_bytes(content.replace(b"parquet-cpp", b"parquet-cpq"))
    elif damage == "truncated":
        path.write_bytes(content[:-100])
    elif damage == "missing":
        path.unlink()
    elif damage == "another shard":
        path.write_bytes((copy / "part-00003.parquet").read_bytes())
    else:
        path.write_text("not Parquet")
    with pytest.raises(ArtifactError, match="part-00002"):
        Corpus(copy)
    prepare(str(source), out=copy, shard_size=4, jobs=1)
    assert contents(copy) == contents(whole)


def test_a_flipped_bit_anywhere_is_found_even_without_the_manifest(copy):
    path = copy / "part-00000.parquet"
    table = pq.read_table(path)
    causes = table.schema.metadata[b"causes"].decode()
    assert read_shard(path, causes).equals(table)
    assert read_shard(path, "other causes") is None
    content = path.read_bytes()
    for place in range(10, len(content) // 2, 997):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        found = read_shard(path, causes)
        assert found is None or found.equals(table), place


def test_relaxation_is_a_setting(tmp_path):
    """Without it the coordinates are those of the embedding, with it those of ``conformer``."""
    (tmp_path / "some.smi").write_text(ASPIRIN)
    for relax in (0, 200):
        prepare(str(tmp_path / "some.smi"), out=tmp_path / str(relax), relax=relax, jobs=1)
    embedded, relaxed = (Corpus(tmp_path / name)[0].geometry.coordinates for name in ("0", "200"))
    expected = conformer(parse(ASPIRIN), ConformerSettings(relax=0)).coordinates
    np.testing.assert_allclose(embedded, expected, atol=0.01)  # half precision
    assert np.abs(embedded - relaxed).max() > 0.05
    assert "mmff94(0)" in json.loads((tmp_path / "0" / MANIFEST).read_text())["settings"]["conformers"]


def test_a_corpus_may_do_without_conformers(source, copy, tmp_path):
    prepare(str(source), out=tmp_path / "flat", flat=True, shard_size=4, jobs=1)
    found, wanted = Corpus(tmp_path / "flat"), Corpus(copy)
    assert set(found.statuses) == {"flat"}
    assert [record.smiles for record in found] == [record.smiles for record in wanted]
    for record, other in zip(found, wanted, strict=True):
        assert not record.geometry.coordinates[:, 2].any()
        for name in ("atom", "bond", "property"):
            np.testing.assert_array_equal(record.priors[name].values, other.priors[name].values)


def test_molecules_may_come_through_a_pipe(source, tmp_path):
    prepare(str(source), out=tmp_path / "named", flat=True, jobs=1)
    words = [sys.executable, "-m", "iem", "prepare", "-", "--out", str(tmp_path / "piped"), "--flat", "--jobs", "1"]
    for told in (b"the corpus is in", b"is finished and undamaged"):
        said = subprocess.run(words, input=source.read_bytes(), capture_output=True, check=True)
        assert told in said.stderr
    assert Corpus(tmp_path / "piped").digest == Corpus(tmp_path / "named").digest


def test_other_settings_are_refused_by_name(source, copy):
    before = contents(copy)
    with pytest.raises(ConfigError, match="--seed") as caught:
        prepare(str(source), out=copy, shard_size=4, seed=1, jobs=1)
    assert "--out" in str(caught.value)
    with pytest.raises(ConfigError, match="--shard-size"):
        prepare(str(source), out=copy, shard_size=5, jobs=1)
    with pytest.raises(OutputError, match=r"holds a run with other conformers \(--seed, --timeout, --relax, --flat\)"):
        prepare(str(source), out=copy, shard_size=4, timeout=3, jobs=1)
    source_changed = source.with_name("changed") / source.name
    source_changed.parent.mkdir(exist_ok=True)
    source_changed.write_text("CCO")
    with pytest.raises(OutputError, match="holds a run on other molecules"):
        prepare(str(source_changed), out=copy, shard_size=4, jobs=1)
    assert contents(copy) == before


def test_excluded_molecules_stay_out_whatever_their_stereo_and_counter_ion(tmp_path):
    table, source, folder = tmp_path / "benchmark.csv", tmp_path / "some.smi", tmp_path / "corpus"
    table.write_text("smiles,y\nC[C@@H](N)C(=O)O,1\nC1CC,0\nCC(C)NCC(O)COc1cccc2ccccc12.Cl,1\n")
    other = ["CCO", "CC(C)NCC(O)COc1ccccc1"]
    out = ["C[C@H](N)C(=O)O", "OC(=O)C(C)N", "[2H]NC(C)C(=O)O", "CC(C)NC[C@H](O)COc1cccc2ccccc12"]
    out += ["CC(C)NC[C@@H](O)COc1cccc2ccccc12.OC(=O)/C=C/C(=O)O"]
    source.write_text("\n".join([*out, *other]))
    prepare(str(source), out=folder, exclude=(str(table),), jobs=1)
    assert {record.smiles for record in Corpus(folder)} == {canonical(parse(smiles)) for smiles in other}
    rejected = pq.read_table(folder / REJECTED).to_pylist()
    assert [(row["input"], row["stage"]) for row in rejected] == [(smiles, "exclude") for smiles in out]


def test_a_named_table_can_be_excluded(table_path, tmp_path):
    table_path("esol")
    source = tmp_path / "some.smi"
    source.write_text("CCO\nCC(C)NCC(O)COc1ccc(cc1)C(=O)OCCOC\n")
    prepare(str(source), out=tmp_path / "corpus", exclude=("esol",), jobs=1)
    assert len(Corpus(tmp_path / "corpus")) == 1  # ethanol is in ESOL


def test_excluded_tables_are_read_once_and_again_when_they_change(tmp_path, monkeypatch):
    from iem.workflows.corpora import preparing

    monkeypatch.setenv("IEM_CACHE", str(tmp_path / "cache"))
    read = []
    original = preparing.stream_rows

    def counted(sources, smiles):
        read.append(list(sources))
        return original(sources, smiles)

    monkeypatch.setattr(preparing, "stream_rows", counted)
    table, source = tmp_path / "mine.csv", tmp_path / "some.smi"
    table.write_text("smiles\nCCO\n")
    source.write_text("CCO\nCCN\nCCC\n")
    for number, text in enumerate(("CCO", "CCO", "CCN\nCCC")):
        table.write_text(f"smiles\n{text}\n")
        prepare(str(source), out=tmp_path / str(number), exclude=(str(table),), jobs=1)
    kept = [sorted(record.smiles for record in Corpus(tmp_path / str(number))) for number in range(3)]
    assert kept == [["CCC", "CCN"], ["CCC", "CCN"], ["CCO"]]
    assert read.count([str(table)]) == 2
    for path in Path(os.environ["IEM_CACHE"]).rglob("*.arrow"):
        path.write_bytes(path.read_bytes()[:-20])  # what was kept of it is damaged, and made anew
    prepare(str(source), out=tmp_path / "again", exclude=(str(table),), jobs=1)
    assert [record.smiles for record in Corpus(tmp_path / "again")] == ["CCO"]


def test_a_limit_is_a_random_sample_that_follows_from_the_seed(tmp_path):
    (tmp_path / "some.smi").write_text("\n".join(f"[{mass}CH4]" for mass in range(1, 401)))

    def sample(seed, name):
        prepare(str(tmp_path / "some.smi"), out=tmp_path / name, limit=60, seed=seed, jobs=1)
        return sorted(parse(record.smiles).GetAtomWithIdx(0).GetIsotope() for record in Corpus(tmp_path / name))

    one = sample(0, "one")
    assert len(set(one)) == 60
    assert one != sample(1, "two")
    assert one == sample(0, "again")
    assert 0.7 < np.mean(one) / 200.5 < 1.3, "from the whole of the input, not from its start"


def test_lists_and_tables_in_any_spelling_give_the_same_molecules(tmp_path):
    def made(name, *texts):
        for number, text in enumerate(texts):
            (tmp_path / f"{name}{number}.{name}").write_text(text)
        files = [str(tmp_path / f"{name}{number}.{name}") for number in range(len(texts))]
        prepare(*files, out=tmp_path / name, jobs=1)
        return sorted((record.smiles, record.geometry.coordinates.tobytes()) for record in Corpus(tmp_path / name))

    respelt = [Chem.MolToRandomSmilesVect(Chem.MolFromSmiles(smiles), 1, 5)[0] for smiles in ORDINARY]
    plain = made("smi", "\n".join(ORDINARY[:9]), "\n".join(ORDINARY[5:]))
    table = made("csv", "name,smiles,y\n" + "\n".join(f"a,{smiles},1" for smiles in reversed(respelt)))
    assert plain == table
    assert len(plain) == len(ORDINARY)


def test_molecules_are_mapped_into_memory_and_not_copied(whole, monkeypatch):
    first = Corpus(whole)
    monkeypatch.setattr(corpus_module, "open_shard", None)  # a second opening decodes nothing
    before = pa.total_allocated_bytes()
    corpus = Corpus(whole)
    assert [record.smiles for record in corpus] == [record.smiles for record in first]
    assert not corpus[0].geometry.numbers.flags.writeable
    assert pa.total_allocated_bytes() <= before


def test_another_process_gets_the_name_of_the_file_and_not_its_content(whole):
    corpus = Corpus(whole)
    before = corpus[7].smiles
    packed = pickle.dumps(corpus)
    assert len(packed) < 3000
    assert pickle.loads(packed)[7].smiles == before
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer)[7].smiles)"
    done = subprocess.run([sys.executable, "-c", code], input=packed, capture_output=True, check=True)
    assert done.stdout.decode().strip() == before


@pytest.mark.parametrize("damage", ["cut off", "text", "empty", "another table"])
def test_a_damaged_mapping_is_made_anew(copy, damage, monkeypatch, tmp_path):
    monkeypatch.setenv("IEM_CACHE", str(tmp_path / "cache"))
    names = [record.smiles for record in Corpus(copy)]
    (path,) = (tmp_path / "cache").rglob("*.arrow")
    content = path.read_bytes()
    path.unlink()  # other processes may have it mapped
    if damage == "another table":
        write_mapped(path, pa.schema([("a", pa.int8())]), [pa.table({"a": pa.array([1] * len(names), pa.int8())})])
    else:
        path.write_bytes({"cut off": content[:-9], "text": b"not Arrow at all", "empty": b""}[damage])
    assert [record.smiles for record in Corpus(copy)] == names
    assert path.read_bytes() == content


def test_a_cache_that_cannot_be_written_is_a_clear_error(copy, monkeypatch, tmp_path, capsys):
    (tmp_path / "cache").write_text("a file")
    monkeypatch.setenv("IEM_CACHE", str(tmp_path / "cache"))
    with pytest.raises(OutputError, match=r"cannot write .*\$IEM_CACHE says where the cache is"):
        Corpus(copy)


@pytest.mark.parametrize(
    ("name", "content", "words", "message"),
    [
        ("bad.smi", b"C1CC\nC2CC\n", [], "no molecule is left of 2 rows: unclosed ring"),
        ("empty.smi", b"", [], "empty.smi is empty"),
        ("empty.sdf", b"", [], "empty.sdf is empty"),
        ("bad.sdf", b"rubbish\n", [], "no molecule is left of 1 row: the record is not a readable mol block"),
        ("cut.sdf.gz", gzip.compress(b"C" * 9999, mtime=0)[:-9], [], "cut.sdf.gz is damaged"),
        ("some.csv", b"a,b\n1,2\n", [], "name the right one with --smiles"),
        ("some.csv", b"smiles,b\nCCO,2\n", ["--smiles", "c"], "no SMILES column 'c'"),
        ("some.smi", b"CCO\n", ["absent.smi"], "there is no file 'absent.smi'"),
        ("some.smi", b"CCO\n", ["."], "cannot read .: Is a directory"),
        ("some.smi", b"CCO\n", ["--exclude", "absent.csv"], "there is no file 'absent.csv'"),
        ("some.smi", b"CCO\n", ["--limit", "0"], "--limit is 0"),
        ("some.smi", b"CCO\n", ["--shard-size", "-1"], "--shard-size is -1"),
        ("some.smi", b"CCO\n", ["--timeout", "0.5"], "timeout is 0.5"),
        ("some.smi", b"CCO\n", ["--seed", "-1"], "seed is -1"),
        ("some.smi", b"CCO\n", ["--jobs", "0"], "--jobs is 0"),
        ("some.smi", b"CCO\n", ["--engine", "spark"], "--engine is 'spark'"),
    ],
)
def test_bad_input_is_one_clear_sentence_and_leaves_nothing_behind(tmp_path, capsys, name, content, words, message):
    (tmp_path / name).write_bytes(content)
    jobs = [] if "--jobs" in words else ["--jobs", "1"]
    assert main(["prepare", str(tmp_path / name), "--out", str(tmp_path / "corpus"), *jobs, *words]) == 1
    said = capsys.readouterr().err
    assert said.startswith("iem: ")
    assert said.count("\n") == 1
    assert message in said
    assert not (tmp_path / "corpus").exists()


def test_no_input_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="INPUT"):
        prepare(out=tmp_path / "corpus", jobs=1)


def test_a_place_that_is_taken_is_left_alone(source, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.tex").write_text("mine")
    for name in ("file", "folder"):
        with pytest.raises(OutputError, match="--out"):
            prepare(str(source), out=tmp_path / name, jobs=1)
    assert (tmp_path / "file").read_text() == (tmp_path / "folder" / "thesis.tex").read_text() == "mine"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / MANIFEST).unlink(), "has no manifest.json"),
        (lambda folder: (folder / MANIFEST).write_text("{"), "cannot be read"),
        (lambda folder: (folder / MANIFEST).write_text("{}"), "was not written by iem"),
        (lambda folder: edit(folder, schema=99), "format version 99"),
        (lambda folder: edit(folder, finished=False), "not finished"),
        (lambda folder: edit(folder, shards={}), "has no molecules"),
        (lambda folder: (folder / "part-00001.parquet").unlink(), "cannot read .*part-00001"),
        (lambda folder: (folder / "part-00001.parquet").write_bytes(b""), "part-00001.parquet is damaged"),
    ],
)
def test_a_reader_says_what_is_wrong_with_a_folder(copy, change, message):
    change(copy)
    with pytest.raises(ArtifactError, match=message):
        Corpus(copy)


def edit(folder: Path, **changes):
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | changes))


def test_a_survey_counts_what_is_in_the_shards(whole):
    found, corpus = survey(whole, sample=5), Corpus(whole)
    manifest = json.loads((whole / MANIFEST).read_text())
    assert found.statuses == dict(corpus.statuses)
    assert (found.molecules, found.shards) == (len(corpus), len(manifest["shards"]))
    for status, counts in found.atoms.items():
        sizes = [len(record.geometry.numbers) for record in corpus if record.geometry.status == status]
        assert counts.tolist() == [sizes.count(size) for size in range(len(counts))]
    symbols = [{atom.GetSymbol() for atom in parse(record.smiles).GetAtoms()} for record in corpus]
    assert found.elements == {symbol: sum(symbol in each for each in symbols) for symbol in found.elements}
    assert set(found.elements) == set().union(*symbols)
    known = [record.priors["property"] for record in corpus]
    wanted = np.stack([np.where(target.known, target.values, np.nan) for target in known])
    np.testing.assert_array_equal(found.properties, wanted)
    assert found.left_out == {"parse": 3, "duplicate": 2}
    assert [row.row for row in found.examples] == [row["row"] for row in pq.read_table(whole / REJECTED).to_pylist()]
    places = np.linspace(0, len(corpus) - 1, 5).astype(int)
    assert [record.smiles for record in found.sample] == [corpus[int(place)].smiles for place in places]
    assert len(survey(whole, sample=999).sample) == len(corpus)


def test_corpus_shows_it_and_writes_a_page(copy, capsys):
    assert main(["corpus", str(copy), "--pictures", "4"]) == 0
    shown = capsys.readouterr().out
    for part in ("39 molecules in 10 shards", "5 rows left out", "first attempt", "heavy atoms", "MolWt (Da)"):
        assert part in shown
    page = (copy / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 4
    assert page.count("<svg") == 3
    assert "http" not in re.sub(r"http://www\.w3\.org/[\w/.-]*", "", page), "no request leaves the page"
    assert "39 molecules in 10 shards" in page
    assert "unclosed ring" in page
    assert "C1CC<" in page
    prepare_again = sorted(path.name for path in copy.iterdir())
    assert main(["corpus", str(copy), "--pictures", "0", "--out", str(copy.parent / "other.html")]) == 0
    assert "Some molecules" not in (copy.parent / "other.html").read_text()
    assert sorted(path.name for path in copy.iterdir()) == prepare_again


def test_a_corpus_of_one_salt_has_a_page_too(tmp_path, capsys):
    """No Balaban index is known, and everything is the same size."""
    (tmp_path / "some.smi").write_text("[Na+].[Cl-]\n")
    assert main(["prepare", str(tmp_path / "some.smi"), "--out", str(tmp_path / "corpus"), "--jobs", "1"]) == 0
    assert main(["corpus", str(tmp_path / "corpus")]) == 0
    assert "BalabanJ" in capsys.readouterr().out
    assert "<p>None.</p>" in (tmp_path / "corpus" / "report.html").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["absent"], "absent is not a corpus: it has no manifest.json; make one with iem prepare"),
        (["--pictures", "-1"], "--pictures is -1"),
        (["--out", "."], "--out . is a folder; name an HTML file"),
    ],
)
def test_corpus_says_what_is_wrong_with_what_was_asked(copy, capsys, words, message):
    assert main(["corpus", *([] if words == ["absent"] else [str(copy)]), *words]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", ["part-00003.parquet", REJECTED])
def test_corpus_names_the_file_that_is_damaged(copy, capsys, name):
    (copy / name).write_bytes(b"PAR1")
    assert main(["corpus", str(copy)]) == 1
    assert name in capsys.readouterr().err
