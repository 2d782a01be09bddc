"""The results in the manual are what the committed lines of the benchmark say."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TABLES = runpy.run_path(str(ROOT / "benchmarks" / "tables.py"))


@pytest.fixture(scope="module")
def found():
    return TABLES["findings"]()


@pytest.mark.parametrize(("make", "page"), TABLES["PAGES"].items(), ids=lambda value: getattr(value, "__name__", None))
def test_tables_of_the_manual_are_those_of_the_lines(found, make, page):
    whole = f"{make(found)}\n\n"
    assert whole in (ROOT / page).read_text(encoding="utf-8"), "run benchmarks/tables.py, and adapt the words"
