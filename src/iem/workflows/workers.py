"""Worker processes that end with their parent, whatever ends it."""

import os
import threading
import time
from concurrent.futures import Executor

from joblib.externals.loky import get_reusable_executor


def executor(workers: int) -> Executor:
    """Processes for work that returns much.

    Where the parent was killed, a worker would wait for ever to hand over its result, and keep its memory.
    """
    return get_reusable_executor(max_workers=workers, initializer=_follow, initargs=(os.getpid(),))


def _follow(parent: int) -> None:
    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
