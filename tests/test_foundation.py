"""Registry, cache and artefact folders."""

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from iem import artifact
from iem.cache import FeatureBank, address
from iem.errors import ArtifactError, ConfigError, IEMError, MoleculeError, OutputError, UnknownNameError
from iem.files import write_bytes
from iem.registry import Registry


def test_registry_builds_names_and_hands_objects_back():
    registry = Registry("thing")
    registry.add("list")(list)
    assert registry.build("list") == []
    assert registry.build({1: 2}) == {1: 2}
    with pytest.raises(UnknownNameError, match="Did you mean 'list'"):
        registry.build("lst")
    with pytest.raises(IEMError, match="already registered"):
        registry.add("list")(tuple)


def test_only_names_of_the_package_are_known_everywhere():
    registry = Registry("thing")
    registry.add("ours")(IEMError)
    registry.add("theirs")(nn.Linear)
    assert registry.is_own("ours")
    assert not registry.is_own("theirs")
    assert not registry.is_own("nobody's")


@pytest.mark.parametrize(
    "error",
    [
        *(IEMError("it diverged"), ConfigError("--lr", 0.1, "it must be less"), MoleculeError("C", "parse", "why")),
        *(UnknownNameError("no student"), ArtifactError("damaged"), OutputError("the disk is full")),
    ],
)
def test_errors_cross_process_borders_whole(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_addresses_tell_apart_what_concatenation_would_mix():
    assert address("ab", "c") != address("a", "bc")
    assert address("ab", "c") == address("ab", "c")


def test_feature_bank_survives_its_process_and_a_damaged_shard(tmp_path):
    bank = FeatureBank(("teacher", "renderer"), root=tmp_path)
    bank.put({"CCO": (np.arange(3, dtype=np.float32), "etkdg"), "[Na]": (np.full(3, np.nan, np.float32), "no")})
    again = FeatureBank(("teacher", "renderer"), root=tmp_path)
    assert "CCO" in again
    np.testing.assert_array_equal(again["CCO"][0], [0, 1, 2])
    assert np.isnan(again["[Na]"][0]).all()
    assert again["[Na]"][1] == "no"
    assert "CCO" not in FeatureBank(("another teacher", "renderer"), root=tmp_path)
    for shard in bank.folder.glob("*.npz"):
        shard.write_bytes(shard.read_bytes()[:50])
    assert "CCO" not in FeatureBank(("teacher", "renderer"), root=tmp_path)


def test_molecule_errors_cross_process_borders():
    code = (
        "from joblib import Parallel, delayed; from iem.errors import MoleculeError; "
        "[e] = Parallel(2)([delayed(MoleculeError)('C', 'parse', 'why')]); print(e.stage, e)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "parse parse failed for 'C': why"
    assert isinstance(MoleculeError("C", "parse", "why"), IEMError)


@pytest.fixture
def folder(tmp_path):
    artifact.save(tmp_path, nn.Linear(2, 1).state_dict(), {"note": "…"}, kind="model")
    return tmp_path


def test_artifact_round_trip(folder):
    tensors, card = artifact.load(folder, kind="model")
    module = nn.Linear(2, 1)
    artifact.load_into(module, tensors, origin="x")
    torch.testing.assert_close(module.weight, tensors["weight"])
    assert card["note"] == "…"
    assert card["versions"]["torch"] == torch.__version__.split("+")[0]
    assert not list(folder.glob(".*"))


def test_half_precision_on_disk_is_widened_and_layout_does_not_matter(tmp_path):
    module = nn.Conv2d(2, 3, 2).to(memory_format=torch.channels_last)
    tensors = {name: tensor.half() for name, tensor in module.state_dict().items()}
    artifact.save(tmp_path, tensors, {}, kind="model")
    other = nn.Conv2d(2, 3, 2)
    artifact.load_into(other, artifact.load(tmp_path, kind="model")[0], origin="x")
    assert other.weight.dtype == torch.float32
    torch.testing.assert_close(other.weight, module.weight.half().float())


def truncate(folder):
    weights = folder / artifact.WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-4])


def edit(**changes):
    def apply(folder):
        card = json.loads((folder / artifact.CARD).read_text()) | changes
        (folder / artifact.CARD).write_text(json.dumps(card))

    return apply


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate, "is damaged"),
        (edit(schema=99), "format version 99"),
        (edit(program="other"), "was not written by iem"),
        (edit(kind="teacher"), "holds a teacher, but a model is needed"),
        (lambda folder: (folder / artifact.CARD).write_text("{"), "cannot be read"),
        (lambda folder: (folder / artifact.CARD).unlink(), "has no card.json"),
        (lambda folder: (folder / artifact.WEIGHTS).unlink(), "cannot read"),
    ],
    ids=["truncated", "version", "program", "kind", "json", "no card", "no weights"],
)
def test_damaged_artifacts_are_refused_with_the_reason(folder, damage, message):
    damage(folder)
    with pytest.raises(ArtifactError, match=message):
        artifact.load(folder, kind="model")


def test_weights_are_loaded_by_name_and_shape():
    wrong = {"weight": torch.zeros(3, 2), "surplus": torch.zeros(1)}
    with pytest.raises(ArtifactError, match=r"missing: bias; not expected: surplus; weight is \(3, 2\)"):
        artifact.load_into(nn.Linear(2, 1), wrong, origin="here")


def test_an_unwritable_place_is_a_sentence(tmp_path):
    with pytest.raises(OutputError, match="cannot write"):
        write_bytes(tmp_path / "absent" / "file", b"")
