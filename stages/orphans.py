"""Worker processes end with the process that started them, however that ends."""

import multiprocessing
import multiprocessing.connection
import os
import threading
from collections.abc import Callable


def end_with_parent(before: Callable[[], object] = lambda: None) -> None:
    """Ends this process, started by multiprocessing, as soon as its parent is no more, after a call of `before`.

    A killed parent cannot end its workers, and a worker of a process pool that waits for work waits for ever then: it
    holds both ends of its queue.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        before()
        os._exit(1)

    threading.Thread(target=watch, name="end with parent", daemon=True).start()
