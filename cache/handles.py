"""The files of arrays that this process has open: few, shared by all readers and threads, and not by a fork."""

import os
import threading
from collections import OrderedDict

LIMIT = 256
"""Files open at once, our choice: a quarter of what Linux grants a process by default."""


class OpenFile:
    """A file, open until the last one who reads it lets go of it.

    Attributes:
        fd: its descriptor.
        size: in bytes, when it was opened.
        index: (offset, bytes) of each chunk, where someone has read and checked it.
    """

    __slots__ = ("fd", "index", "size")

    def __init__(self, path: str) -> None:
        self.fd = -1
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size = os.fstat(self.fd).st_size
        self.index: list[tuple[int, int]] | None = None

    def __del__(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)


class Handles:
    """Open files by path, the least recently used of more than `limit` let go of. Thread-safe."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._files: OrderedDict[str, OpenFile] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: str) -> OpenFile:
        """The file, opened where it is not open yet.

        Raises:
            OSError: if it cannot be opened.
        """
        with self._lock:
            if (file := self._files.get(path)) is not None:
                self._files.move_to_end(path)
                return file
        file = OpenFile(path)
        with self._lock:
            file = self._files.setdefault(path, file)
            while len(self._files) > self._limit:
                self._files.popitem(last=False)
        return file

    def forget(self, path: str) -> None:
        """Lets the next `get` open the file anew: after damage, someone may have replaced it."""
        with self._lock:
            self._files.pop(path, None)

    def clear(self) -> None:
        """Lets go of all files."""
        with self._lock:
            self._files.clear()

    def start_anew(self) -> None:
        """In the child of a fork: no lock that a thread of the parent held, no file that the parent opened."""
        self._lock = threading.Lock()
        self._files = OrderedDict()


HANDLES = Handles(LIMIT)
os.register_at_fork(after_in_child=HANDLES.start_anew)
