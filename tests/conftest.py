"""Shared fixtures: real molecules, and the benchmark tables where they are at hand."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

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
