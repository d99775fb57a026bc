"""Worker processes that do not outlive the process that started them, however that ended."""

import multiprocessing
import multiprocessing.connection
import os
import threading


def end_with_parent() -> None:
    """Call in a worker process of `multiprocessing`. Without it, one that waits for work waits for ever."""
    threading.Thread(target=_wait, name="end-with-parent", daemon=True).start()


def _wait() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker process"
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)
