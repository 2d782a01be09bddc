"""Tasks on the cores of this machine or of a Ray cluster: handed over in order, some at a time, results in order."""

import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from functools import lru_cache
from multiprocessing import Pipe, resource_tracker
from multiprocessing.connection import Connection
from signal import SIG_BLOCK, SIG_SETMASK, SIGINT, getsignal, pthread_sigmask, signal
from socket import create_connection
from threading import Thread, current_thread, main_thread
from typing import Any, NamedTuple, TypeVar

from joblib import effective_n_jobs
from joblib.externals.loky import ProcessPoolExecutor

from iem.errors import ConfigError, UnavailableError

ENGINES = ("cores", "ray")
AHEAD = 3
"""Tasks that are handed over for each core, so that a long one at the head keeps nobody waiting."""
RETRIES = 5
"""Further attempts at a task whose worker or machine was lost, on a cluster."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class Engine(NamedTuple):
    """Where tasks are done."""

    submit: Callable[..., "Future[Any]"]
    """Takes a function and its arguments."""
    depth: int
    """Tasks that may be under way."""
    result: Callable[["Future[Any]"], Any] = Future.result
    """Waits for what a task returns, or raises its error."""


@contextmanager
def open_engine(name: str, *, jobs: int, address: str | None) -> Iterator[Engine]:
    """The place where tasks are done, for the length of a block.

    Args:
        name: one of ``ENGINES``.
        jobs: processes on this machine; 1 stays in this process, -1 takes every core. A Ray cluster that runs already
            uses all its cores.
        address: of a Ray cluster; None starts Ray on this machine.

    Raises:
        ConfigError: an unknown engine, no jobs, an address without Ray; a process that was killed.
        UnavailableError: Ray is not installed, cannot be reached, or lost what it needs.
    """
    if name not in ENGINES:
        raise ConfigError("--engine", name, f"it must be {' or '.join(ENGINES)}")
    if jobs == 0:
        raise ConfigError("--jobs", jobs, "at least one process is needed; -1 is one per core")
    if address is not None and name != "ray":
        raise ConfigError("--address", address, "only --engine ray has one")
    count = effective_n_jobs(jobs)
    _heed_interrupts()
    if name == "ray":
        with _ray(count, address) as engine:
            yield engine
    elif count == 1:
        yield Engine(_at_once, 0)
    else:
        with _cores(count) as engine:
            yield engine


def in_order(
    engine: Engine, task: Callable[..., Result], items: Iterable[Item], arguments: Callable[[Item], tuple[Any, ...]]
) -> Iterator[tuple[Item, Result]]:
    """Do a task for every item, and pass item and result on in the order of the items.

    Args:
        engine: where it is done.
        task: a function at the top of a module.
        items: read as they are needed, so there may be any number.
        arguments: of the task, for an item.
    """
    under_way: deque[tuple[Item, Future[Result]]] = deque()
    for item in items:
        under_way.append((item, engine.submit(task, *arguments(item))))
        if len(under_way) > engine.depth:
            first, future = under_way.popleft()
            yield first, engine.result(future)
    for first, future in under_way:
        yield first, engine.result(future)


def _at_once(task: Callable[..., Any], *arguments: Any) -> "Future[Any]":
    done: Future[Any] = Future()
    done.set_result(task(*arguments))
    return done


def _heed_interrupts() -> None:
    """Let Ctrl-C reach Python again: RDKit takes it while it embeds, and where it embeds in two threads, never gives it
    back.
    """
    if current_thread() is main_thread() and (handler := getsignal(SIGINT)) is not None:
        signal(SIGINT, handler)


@contextmanager
def _cores(count: int) -> Iterator[Engine]:
    with warnings.catch_warnings():
        # A worker that has grown is replaced and its task done by another: nothing that a person must know.
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs")
        listener, speaker = Pipe(duplex=False)
        resource_tracker.ensure_running()  # where the first worker starts it, it unblocks what is blocked below
        pool = ProcessPoolExecutor(
            count, timeout=300, initializer=_live_with, initargs=(listener,), env={"OMP_NUM_THREADS": "1"}
        )

        def submit(task: Callable[..., Any], *arguments: Any) -> "Future[Any]":
            with _undisturbed():
                return pool.submit(task, *arguments)

        try:
            yield Engine(submit, AHEAD * count)
            pool.shutdown()
        except BrokenProcessPool as error:
            rule = "a process was killed, most likely because memory ran out; run the same command again with fewer"
            raise ConfigError("--jobs", count, rule) from error
        finally:  # after an error nobody waits for tasks that are under way: their processes end with the pipe
            speaker.close()
            pool.shutdown()  # kill_workers=True says a traceback where a task has not yet been handed over
            listener.close()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ctrl-C waits for the end of the block, so that no process begins of which the pool does not know; and processes
    that begin in it inherit that Ctrl-C is not for them: they end with the pipe, and say nothing.
    """
    waiting: list[tuple[Any, ...]] = []
    handler = None
    if current_thread() is main_thread() and callable(getsignal(SIGINT)):
        handler = signal(SIGINT, lambda *received: waiting.append(received))  # another thread may receive it
    before = pthread_sigmask(SIG_BLOCK, {SIGINT})
    try:
        yield
    finally:
        pthread_sigmask(SIG_SETMASK, before)
        if callable(handler):
            signal(SIGINT, handler)
            for received in waiting:
                handler(*received)


def _live_with(listener: Connection) -> None:
    """Let this process end at once when the one that started it closes its side of a pipe, or is killed."""

    def listen() -> None:
        with suppress(EOFError, OSError):
            listener.recv()
        os._exit(1)

    Thread(target=listen, daemon=True).start()


@contextmanager
def _ray(count: int, address: str | None) -> Iterator[Engine]:
    try:
        import ray
        from ray.exceptions import RayError, RayTaskError
    except ImportError as error:
        raise UnavailableError("--engine ray needs Ray; install it with: pip install 'iem[cluster]'") from error
    started = not ray.is_initialized()  # a person's own connection is used, and left open
    if started:
        where = {"address": address} if address else {"num_cpus": count, "include_dashboard": False}
        try:
            if address and ":" in address:  # Ray itself would knock for many minutes
                host, _, port = address.removeprefix("ray://").rpartition(":")
                create_connection((host, int(port)), timeout=10).close()
            ray.init(**where, log_to_driver=False, logging_level="ERROR")
        except (OSError, RuntimeError, ValueError) as error:
            where_to = f"at {address}" if address else "on this machine"
            raise UnavailableError(f"no Ray cluster can be reached {where_to} ({error}); check --address") from error
    remote = lru_cache(ray.remote(max_retries=RETRIES))

    def submit(task: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        return remote(task).remote(*arguments).future()

    def result(future: "Future[Any]") -> Any:
        try:
            return future.result()
        except RayTaskError as error:
            if "failed to import on the worker" in str(error.cause):
                remedy = "install the same version on all machines"
                raise UnavailableError(f"a machine of the Ray cluster has no iem; {remedy}") from error
            raise error.cause from None
        except RayError as error:
            raise UnavailableError(f"the Ray cluster failed ({error}); run the same command again to go on") from error

    try:
        yield Engine(submit, AHEAD * int(ray.cluster_resources().get("CPU", 1)), result)
    finally:
        if started:
            ray.shutdown()
