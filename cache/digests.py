"""SHA-256 of large files outside the cache, remembered while they stay as they were.

A key needs the digests of the data set's tables, gigabytes that are the same from one plan to the next. A digest that
was computed holds as long as the file has the same size, inode, and times of its last change, to the nanosecond; the
kernel sets one of these (ctime) itself at every change, and no program can set it back. What was changed within the
last seconds is not remembered: a second change in the same tick of the clock would not show.
"""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from cache.documents import DamagedError, seal, unseal
from cache.durable import sha256_of, write_atomically

MEMORY_FILE = ".digests.json"
"""In the cache's folder, on this machine alone; without it, or damaged, all is hashed again."""

WORTH_BYTES = 1 << 20
SETTLED_S = 2.0

State = list[int]


class _Memory:
    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, tuple[State, str]] = {}
        self._changed = False
        with suppress(OSError, DamagedError, KeyError, TypeError, ValueError):
            content = unseal(file.read_bytes())["files"]
            self._known = {str(path): (list(state), str(digest)) for path, (state, digest) in content.items()}

    def digest(self, file: Path) -> str:
        path, before = str(file.absolute()), _state(file)
        state, digest = self._known.get(path, ([], ""))
        if state == before:
            return digest
        digest = sha256_of(file)
        settled_ns = time.time_ns() - SETTLED_S * 1e9
        if before[0] >= WORTH_BYTES and _state(file) == before and max(before[2:]) < settled_ns:
            self._known[path] = before, digest
            self._changed = True
        return digest

    def save(self) -> None:
        """Two that save at once lose what one of them has learnt, nothing else."""
        if self._changed and self._file.parent.is_dir():
            files = {path: known for path, known in self._known.items() if Path(path).exists()}
            with suppress(OSError):  # a cache that cannot be written is read all the same
                write_atomically(self._file, seal({"files": files}), durable=False)


def _state(file: Path) -> State:
    state = file.stat()
    return [state.st_size, state.st_ino, state.st_mtime_ns, state.st_ctime_ns]


_MEMORY: ContextVar[_Memory | None] = ContextVar("digests", default=None)


@contextmanager
def remembering(folder: Path) -> Iterator[None]:
    """Within, `outside_digest` remembers in this cache folder; a folder that is not there is not made."""
    memory = _Memory(folder / MEMORY_FILE)
    token = _MEMORY.set(memory)
    try:
        yield
    finally:
        _MEMORY.reset(token)
        memory.save()


def outside_digest(file: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal; inside `remembering` it is read only if it changed since."""
    memory = _MEMORY.get()
    return sha256_of(file) if memory is None else memory.digest(file)


def listing_digest(folder: Path) -> str:
    """SHA-256 of the names and sizes of a folder's files, "missing" where there is no such folder. None is read."""
    if not folder.is_dir():
        return "missing"
    with os.scandir(folder) as entries:
        lines = sorted(f"{entry.name}\t{entry.stat().st_size}\n" for entry in entries if entry.is_file())
    return hashlib.sha256("".join(lines).encode()).hexdigest()
