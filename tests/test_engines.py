"""Where tasks are done: in order, some at a time, errors as they are, and no process outlives its run."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from iem.errors import ConfigError, OutputError
from iem.workflows.engines import in_order, open_engine


def twice(number):
    time.sleep(0.05 * (number == 0))  # the first one is the last to come back
    return 2 * number


def fail(number):
    if number == 3:
        raise OutputError("no space")
    return number


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_the_order_of_the_items_which_are_read_as_needed(jobs):
    read = []

    def items():
        for number in range(50):
            read.append(number)
            yield number

    with open_engine("cores", jobs=jobs, address=None) as engine:
        for item, result in in_order(engine, twice, items(), lambda number: (number,)):
            assert result == 2 * item
            assert len(read) <= item + 2 + 3 * jobs
    assert read == list(range(50))


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_of_a_task_is_that_of_the_run(jobs):
    with pytest.raises(OutputError, match="no space"), open_engine("cores", jobs=jobs, address=None) as engine:
        list(in_order(engine, fail, range(10), lambda number: (number,)))


def test_nobody_waits_for_tasks_that_are_under_way_after_an_error():
    def interrupted():
        with open_engine("cores", jobs=2, address=None) as engine:
            for _ in in_order(engine, time.sleep, [0.01, *[60] * 9], lambda seconds: (seconds,)):
                raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert time.monotonic() - started < 20


def test_a_killed_process_is_a_clear_error():
    with (
        pytest.raises(ConfigError, match=r"--jobs is 2, but a process was killed.*memory.*same command"),
        open_engine("cores", jobs=2, address=None) as engine,
    ):
        list(in_order(engine, os._exit, [9], lambda code: (code,)))


def is_alive(process):
    try:
        os.kill(process, 0)
        return not Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].startswith(" Z")
    except ProcessLookupError:
        return False
    except FileNotFoundError:  # a system without /proc
        return True


def test_processes_end_with_the_one_that_started_them():
    code = """
import os, sys, time
from iem.workflows.engines import in_order, open_engine
with open_engine("cores", jobs=2, address=None) as engine:
    items = [(os.getpid, ()), (time.sleep, (60,)), (time.sleep, (60,)), (time.sleep, (60,))]
    futures = [engine.submit(task, *arguments) for task, arguments in items]
    print(futures[0].result(), flush=True)
    os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    worker = int(done.stdout)
    deadline = time.monotonic() + 20
    while is_alive(worker):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "spark"}, "--engine is 'spark', but it must be cores or ray"),
        ({"jobs": 0}, "--jobs is 0"),
        ({"address": "auto"}, "--address is 'auto', but only --engine ray has one"),
    ],
)
def test_what_cannot_work_is_refused_by_name(options, message):
    with (
        pytest.raises(ConfigError, match=message),
        open_engine(**({"name": "cores", "jobs": 1, "address": None} | options)),
    ):
        pass
