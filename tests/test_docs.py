"""The manual agrees with the package: numbers that stand in both are compared, names and links are followed."""

import importlib
import inspect
import re
from dataclasses import asdict
from pathlib import Path

import pytest

import iem
from iem.data.catalogue import DATASETS
from iem.workflows.pretraining.recipe import PRESETS

DOCS = Path(__file__).parent.parent / "docs"


def table(headings: str, rows: list[tuple[str, ...]]) -> list[str]:
    """A Markdown table; numbers to the right."""
    right = [all(re.fullmatch(r"[\d,–]+", row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [headings, "|" + "|".join("--:" if side else "---" for side in right) + "|"]
    return lines + [f"| {' | '.join(row)} |" for row in rows]


def overview() -> list[str]:
    """The first table of ``datasets.md``, as the catalogue has it."""
    rows = []
    for name, one in DATASETS.items():
        counts = (f"{one.tasks:,}", f"{one.rows:,}", f"{one.parsable:,}", f"{one.paper:,}" if one.paper else "–")
        rows.append((f"`{name}`", one.task, *counts, one.unit or "–", f"`{one.split}`"))
    return table("| name | task | targets | rows | molecules | paper | unit | scaffold split |", rows)


def provenance() -> list[str]:
    """The second table of ``datasets.md``."""
    rows = []
    for name, one in DATASETS.items():
        citation = re.sub(r"doi:(\S+?)(,|$)", r"[doi:\1](https://doi.org/\1)\2", one.citation)
        source = f"[{one.repository}@{one.commit[:7]}]({one.url})"
        rows.append((f"`{name}`", one.about, citation, source, one.licence))
    return table("| name | what was measured | citation | source file | licence |", rows)


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("wanted", [overview(), provenance()], ids=["overview", "provenance"])
def test_tables_of_the_benchmarks_are_the_catalogue(wanted):
    assert "\n".join([*wanted, "\n"]) in page("datasets.md"), "put this into docs/datasets.md:\n" + "\n".join(wanted)


@pytest.mark.parametrize("name", DATASETS)
def test_every_count_that_differs_is_explained(name):
    """Rows that do not parse, and molecules that the paper counts otherwise, each in the list of the page."""
    one = DATASETS[name]
    [explanation] = re.findall(rf"^\* `{name}`: ((?:.|\n  )+)", page("datasets.md"), re.MULTILINE) or [""]
    for count in {one.rows - one.parsable, abs((one.paper or one.parsable) - one.parsable)} - {0}:
        assert re.search(rf"\b{count}\b", explanation), f"{count} of {name} is not explained"


def presets() -> list[str]:
    """The table of ``teacher.md``: settings in which the two presets differ."""

    def words(value: object) -> str:
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, tuple):
            return ", ".join(value)
        return f"{value:,}" if isinstance(value, int) else str(value)

    default, paper = (asdict(PRESETS[name]) for name in ("default", "paper"))
    differing = [name for name in default if default[name] != paper[name]]
    rows = [(f"`{name}`", words(default[name]), words(paper[name])) for name in differing]
    return table("| setting | `default` | `paper` |", rows)


def test_table_of_the_presets_is_theirs():
    assert "\n".join([*presets(), "\n"]) in page("teacher.md"), "put this into docs/teacher.md:\n" + "\n".join(
        presets()
    )


def test_python_reference_has_every_public_name():
    shown = re.findall(r"^::: (\S+)", page("reference/api.md"), re.MULTILINE)
    for name in iem.__all__:
        home = iem._HOME[name]
        assert {f"{home}.{name}", home} & set(shown), f"{name} is not in docs/reference/api.md"


MODULES = [
    *("benchmark", "corpus", "draw", "evaluate", "export", "fit", "predict"),
    *("prepare", "pretrain", "priors", "tables", "teach", "teachers"),
]
VERBS = [
    function
    for module in (importlib.import_module(f"iem.workflows.{name}") for name in MODULES)
    for function in vars(module).values()
    if inspect.isfunction(function) and function.__module__ == module.__name__
]
PARAMETERS = [parameter for verb in VERBS for parameter in inspect.signature(verb).parameters.values()]
OTHERS = {"--help", "--no-compare"}
"""Of every program, and the one flag that is on by itself."""
OTHER_PROGRAMS = re.compile(r"\b(chemprop|pip|tensorboard|torchrun|git|benchmarks/\w+\.py) ")


def code_in(text: str) -> list[str]:
    """Commands and names in a page of Markdown: lines of blocks, and spans."""
    blocks = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks.findall(text) for line in re.sub(r"\\\n\s*", " ", block).splitlines()]
    return lines + re.findall(r"`([^`]+)`", blocks.sub("", text))


def test_every_flag_can_be_given():
    """A flag that is on by itself could not be switched off: only ``fit`` has ``--no-`` forms."""
    assert [parameter.name for parameter in PARAMETERS if parameter.default is True] == []


@pytest.mark.parametrize(
    "path",
    [*sorted(DOCS.glob("*.md")), *(DOCS.parent / f"{name}.md" for name in ("README", "CHANGELOG"))],
    ids=lambda path: path.name,
)
def test_options_in_the_manual_exist(path):
    known = OTHERS | {f"--{parameter.name.replace('_', '-')}" for parameter in PARAMETERS}
    ours = " ".join(code for code in code_in(path.read_text(encoding="utf-8")) if not OTHER_PROGRAMS.search(code))
    assert sorted(set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", ours)) - known) == []
