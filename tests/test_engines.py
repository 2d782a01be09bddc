"""Where tasks are done: in order, some at a time, errors as they are, and no process outlives its run."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from joblib.externals.loky.backend.process import LokyProcess

from iem.errors import ConfigError, OutputError, UnavailableError
from iem.workflows.prepare import prepare
from iem.workflows.running.engines import in_order, open_engine


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


def deaf(number):
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_control_c_is_for_the_parent_alone():
    """A worker that is still importing would say a traceback."""
    with open_engine("cores", jobs=2, address=None) as engine:
        assert [result for _, result in in_order(engine, deaf, range(20), lambda number: (number,))] == [True] * 20
        assert not deaf(0)


def test_control_c_waits_until_the_pool_knows_the_processes_that_it_began(monkeypatch):
    """One of which it does not know would outlive it, and say a traceback."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    begun = []
    start = LokyProcess.start

    def interrupted(process):
        start(process)
        begun.append(process)
        signal.pthread_kill(other.ident, signal.SIGINT)  # as if another thread received it
        time.sleep(0.05)

    monkeypatch.setattr(LokyProcess, "start", interrupted)
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    try:
        with pytest.raises(KeyboardInterrupt), open_engine("cores", jobs=2, address=None) as engine:
            engine.submit(time.sleep, 60)
    finally:
        done.set()
        signal.signal(signal.SIGINT, before)
    assert len(begun) == 2
    assert all(process.exitcode is not None for process in begun)


EMBEDS = """
import os, signal, time
from threading import Thread
from rdkit import Chem
from rdkit.Chem.rdDistGeom import EmbedMultipleConfs
from iem.workflows.running.engines import open_engine

signal.signal(signal.SIGINT, signal.default_int_handler)
mol = Chem.AddHs(Chem.MolFromSmiles("CCOc1ccccc1"))
threads = [Thread(target=EmbedMultipleConfs, args=(Chem.Mol(mol), 20)) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
with open_engine("cores", jobs=1, address=None):
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
    except KeyboardInterrupt:
        print("heard")
"""


def test_control_c_is_heard_after_rdkit_took_it():
    done = subprocess.run([sys.executable, "-c", EMBEDS], capture_output=True, text=True, check=True)
    assert done.stdout == "heard\n"


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


def test_a_task_that_the_pool_has_not_yet_looked_at_makes_no_traceback(monkeypatch):
    said = []
    monkeypatch.setattr(threading, "excepthook", said.append)

    def interrupted():
        with open_engine("cores", jobs=2, address=None) as engine:
            engine.submit(twice, 1).result()
            for _ in range(5):
                engine.submit(time.sleep, 60)
            raise KeyboardInterrupt

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            interrupted()
    assert said == []


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
from iem.workflows.running.engines import in_order, open_engine
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


def test_a_cluster_that_is_not_there_is_a_clear_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(UnavailableError, match=r"pip install 'iem\[cluster\]'"),
        open_engine("ray", jobs=-1, address=None),
    ):
        pass


class Cluster(NamedTuple):
    """Two machines with one core each, both on this one."""

    address: str
    raylets: set[int]
    """The processes that start the workers."""

    def workers(self, task):
        """Processes that are at some task."""
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                if parent in self.raylets and task in (folder / "cmdline").read_text():
                    yield int(folder.name)


@pytest.fixture(scope="module")
def cluster():
    pytest.importorskip("ray", reason="Ray is not installed (extra [cluster])")
    from ray.cluster_utils import Cluster as Machines

    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *sys.path]))  # workers need our tasks
    machines = Machines()
    memory = 80_000_000  # bytes
    machines.add_node(num_cpus=1, object_store_memory=memory, include_dashboard=False)
    machines.add_node(num_cpus=1, object_store_memory=memory)
    nodes = machines.list_all_nodes()
    yield Cluster(machines.address, {node.all_processes["raylet"][0].process.pid for node in nodes})
    machines.shutdown()
    monkeypatch.undo()


def where(number):
    import ray

    time.sleep(0.5)
    return ray.get_runtime_context().get_node_id()


@pytest.mark.slow
def test_a_cluster_does_tasks_on_all_its_machines_and_passes_errors_on(cluster):
    with open_engine("ray", jobs=-1, address=cluster.address) as engine:
        assert len({node for _, node in in_order(engine, where, range(8), lambda number: (number,))}) == 2
        results = in_order(engine, fail, range(10), lambda number: (number,))
        assert [next(results)[1] for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OutputError) as caught, open_engine("ray", jobs=-1, address=cluster.address) as engine:
        list(in_order(engine, fail, range(10), lambda number: (number,)))
    assert str(caught.value) == "no space"
    with (
        pytest.raises(UnavailableError, match=r"no Ray cluster can be reached at 127\.0\.0\.1:9"),
        open_engine("ray", jobs=-1, address="127.0.0.1:9"),
    ):
        pass


@pytest.mark.slow
def test_a_cluster_makes_the_same_corpus_though_a_worker_is_killed(cluster, tmp_path):
    source, folder = tmp_path / "some.smi", tmp_path / "cluster"
    source.write_text("\n".join("C" * chain + ending for chain in range(1, 9) for ending in ("O", "N(C)C")))
    killed = []

    def kill_one():
        while not killed:
            time.sleep(0.01)
            if list(folder.glob("part-*")):
                for worker in cluster.workers("make_shard"):
                    os.kill(worker, 9)
                    killed.append(worker)

    threading.Thread(target=kill_one, daemon=True).start()
    prepare(str(source), out=folder, shard_size=1, engine="ray", address=cluster.address)
    assert killed
    prepare(str(source), out=tmp_path / "alone", shard_size=1, jobs=1)
    one, other = ({path.name: path.read_bytes() for path in place.iterdir()} for place in (folder, tmp_path / "alone"))
    assert one == other
