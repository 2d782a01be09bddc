"""Shared fixtures: real molecules, and the benchmark tables where they are at hand."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("iem", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("iem")

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"


@pytest.fixture(autouse=True, scope="session")
def private_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or writes the cache of the person who runs it."""
    os.environ["IEM_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def table_path() -> Callable[[str], Path]:
    """Path of a benchmark table in ``$IEM_DATA``; the test is skipped, by name, where it is not."""

    def find(name: str) -> Path:
        path = Path(os.environ.get("IEM_DATA", "")) / f"{name}.csv.gz"
        if not path.is_file():
            pytest.skip(f"the table {name!r} is not in $IEM_DATA")
        return path

    return find


@pytest.fixture(scope="session")
def corpus_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Sequence[str]], Path]:
    """Makes a corpus of some molecules, given by SMILES."""

    def make(smiles: Sequence[str]) -> Path:
        import iem

        folder = tmp_path_factory.mktemp("corpus")
        (folder / "some.smi").write_text("\n".join(smiles))
        iem.prepare(str(folder / "some.smi"), out=folder / "corpus", jobs=1)
        return folder / "corpus"

    return make


SMALL_CORPUS = (
    *("CCO", "CCCO", "CC(C)O", "CCCCO", "c1ccccc1O", "Cc1ccccc1O", "CC(=O)Oc1ccccc1C(=O)O", "CCN", "CCCN", "c1ccncc1"),
    *("C1CCCCC1", "OC1CCCCC1", "CC(=O)C", "CCC(=O)C", "CC#N", "c1ccsc1", "FC(F)(F)c1ccccc1", "Clc1ccccc1", "BrCCBr"),
    *("CN1C=NC2=C1C(=O)N(C(=O)N2C)C", "OCC(O)C(O)C(O)C(O)C=O", "NC(Cc1ccccc1)C(=O)O", "C[Si](C)(C)C", "CSC", "O=C=O"),
)


@pytest.fixture(scope="session")
def small_corpus(corpus_of: Callable[[Sequence[str]], Path]) -> Path:
    """Twenty-five molecules for trainings of teachers and students."""
    return corpus_of(SMALL_CORPUS)


PRIOR_SIZES = {"atom": 19, "bond": 4, "geometry": 60, "property": 8}


@pytest.fixture(scope="session")
def teacher_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained teacher for pictures of 32 pixels, as ``iem pretrain`` would write it."""
    import torch

    from iem import artifact
    from iem.nn.encoders import ImageEncoder
    from iem.nn.heads import prior_heads

    folder = tmp_path_factory.mktemp("teacher")
    torch.manual_seed(0)
    encoder, heads = ImageEncoder(), prior_heads(512, PRIOR_SIZES)
    for part in encoder.modules():
        if isinstance(part, torch.nn.BatchNorm2d):  # timm switches blocks off to begin with; all that is then seen
            torch.nn.init.ones_(part.weight)  # of a picture is its corner, which is white
    tensors = {f"encoder_3d.{name}": value for name, value in encoder.state_dict().items()}
    tensors |= {f"heads.{name}": value for name, value in heads.state_dict().items()}
    card = {"architecture": "resnet18", "views": ["3d"], "priors": PRIOR_SIZES, "size": 32, "view_set": "paper"}
    artifact.save(folder, tensors, card, kind="teacher")
    return folder
