"""The package as a whole: light to import, complete, layered, and as the README says."""

import importlib
import json
import pkgutil
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import iem

ROOT = Path(__file__).parent.parent
HEAVY = {"torch", "rdkit", "pandas", "numba", "lightning", "timm", "matplotlib", "sklearn", "pyarrow", "scipy"}
MODULES = sorted(module.name for module in pkgutil.walk_packages(iem.__path__, "iem.") if module.name != "iem.__main__")


def loaded_by(code: str) -> set[str]:
    """Top-level modules in a fresh interpreter after running some code."""
    tail = "\nimport sys, json\nsys.stderr.write(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code + tail], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in json.loads(done.stderr.splitlines()[-1])}


@pytest.mark.parametrize("name", ["corpora.preparing", "pictures.artists", "inference.graphs"])
def test_modules_of_workers_load_no_deep_learning(name):
    assert not loaded_by(f"import iem.workflows.{name}") & {"torch", "timm", "lightning"}


def test_this_file_can_tell_a_heavy_import():
    assert "scipy" in loaded_by("import scipy.stats")


def test_importing_iem_loads_no_heavy_library():
    assert not loaded_by("import iem") & HEAVY


@pytest.mark.parametrize("words", [["--help"], ["fit", "--help"], ["predict", "--help"], ["--version"]])
def test_help_loads_no_heavy_library(words):
    assert not loaded_by(f"import iem.cli\nassert iem.cli.main({words}) == 0") & HEAVY


@pytest.mark.parametrize("name", iem.__all__)
def test_every_public_name_resolves(name):
    assert getattr(iem, name).__doc__


def test_no_public_name_is_that_of_a_module():
    """Python sets a module as an attribute of its package, over whatever had the name."""
    assert not set(iem.__all__) & {module.name for module in pkgutil.iter_modules(iem.__path__)}


def test_verbs_take_text_for_a_path_and_for_a_list_of_one(tmp_path):
    picture, nowhere, molecules = str(tmp_path / "a.png"), str(tmp_path / "nowhere"), tmp_path / "some.smi"
    for _ in range(2):  # the second call meets what the first one imported
        iem.draw("CCO", out=picture, size=32)
    molecules.write_text("CCO\nCCN\n")
    molecules.with_suffix(".csv").write_text("smiles\nCCN\n")
    iem.prepare(str(molecules), out=str(tmp_path / "corpus"), exclude=str(molecules.with_suffix(".csv")), jobs=1)
    with pytest.raises(iem.IEMError, match="nowhere is not a corpus"):
        iem.pretrain(nowhere, out=nowhere)
    with pytest.raises(iem.IEMError, match=r"no model folder at .*nowhere"):
        iem.predict(nowhere, "CCO", out=picture)
    with pytest.raises(iem.IEMError, match="'log S'"):
        iem.fit("freesolv", out=nowhere, teacher="none", target="log S")


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(AttributeError, match=r"it offers .*fit"):
        iem.fitt  # noqa: B018


@pytest.mark.parametrize("name", MODULES)
def test_every_module_imports_and_says_what_it_is_for(name):
    assert importlib.import_module(name).__doc__


def test_version_is_that_of_the_metadata(capsys):
    from iem.cli import main

    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == version("iem")


def test_imports_go_downwards_only():
    done = subprocess.run([Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/index.md",
        "docs/quickstart.md",
        "docs/corpus.md",
        "docs/datasets.md",
        "docs/students.md",
        "docs/teacher.md",
        "Makefile",
    ],
)
def test_documented_commands_exist_with_their_options(page):
    from iem.cli import app

    commands = re.findall(r"^\s*(?:zcat .*\| |\$\(BIN\)/)?iem (\w.*)", (ROOT / page).read_text(), re.MULTILINE)
    assert commands
    for command in commands:
        words, verb = command.partition("#")[0].split(), app
        assert words[0] in app, f"{page} shows iem {command}"
        while words and words[0] in verb:
            verb = verb[words.pop(0)]
        options = {name for argument in verb.assemble_argument_collection() for name in argument.names}
        for option in re.findall(r"--[a-z-]+", " ".join(words)):
            assert option in options, f"{page} shows iem {command}"


def test_documented_names_of_the_python_interface_exist():
    for page in ("README.md", "docs/quickstart.md"):
        for name in re.findall(r"\biem\.([a-zA-Z_]+)\(", (ROOT / page).read_text()):
            assert name in iem.__all__, f"{page} shows iem.{name}"
