"""Named byte strings that several processes change together: the few operations that a folder and a bucket both have.

Everything that the store coordinates by, claims, receipts, pins, runs and manifests, is such an object. A change is a
compare-and-swap, so two writers never both believe that they were first.
"""

import fcntl
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from cache.durable import PARTIAL, sync_files, write_atomically

ABSENT: Final = "absent"
"""Expectation of `Objects.put`: no object of that name."""


class ConflictError(Exception):
    """The object is not in the state that the caller expected: another process was first."""


@dataclass(frozen=True)
class Object:
    """An object's bytes, and the version that a compare-and-swap expects."""

    data: bytes
    version: str


def check_name(name: str) -> None:
    """Refuses what is not a relative name with forward slashes: nothing outside the objects' own place is touched.

    Raises:
        ValueError: if the name is empty or absolute, or one of its parts is empty, `.` or `..`.
    """
    if not set(name.split("/")).isdisjoint({"", ".", ".."}) or "\\" in name or "\0" in name:
        raise ValueError(f"not the name of an object: {name!r}")


class Objects(Protocol):
    """Objects by name: relative, with forward slashes. Every method refuses other names with ValueError."""

    def read(self, name: str) -> Object | None:
        """The object, None where there is none."""

    def size(self, name: str) -> int | None:
        """The object's size in bytes, None where there is none."""

    def put(self, name: str, data: bytes, *, expect: str | None = None, durable: bool = True) -> str:
        """Writes an object, whole or not at all; its new version.

        Args:
            name: of the object.
            data: its bytes.
            expect: the version that it must have, or `ABSENT`; None overwrites whatever is there.
            durable: whether it must survive a power cut once this returns. A power cut before that may leave a new
                object damaged: what is put so says its own digest (`cache.documents`). An older one stays.

        Raises:
            ConflictError: if the expectation does not hold.
        """

    def delete(self, name: str, *, expect: str | None = None) -> None:
        """Removes an object, if it has the expected version; nothing happens where there is none.

        Raises:
            ConflictError: if it has another version.
        """

    def scan(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Name and size in bytes of each object below `prefix/`, sorted by name."""

    def folders(self, prefix: str) -> Sequence[str]:
        """Names directly below `prefix/` that have objects below them, sorted; the last part only."""

    def delete_all(self, prefix: str) -> None:
        """Removes every object below `prefix/`."""


class LocalObjects:
    """Objects as files below a folder.

    A swap holds an operating-system lock on the file's folder, which ends with its process, however that ends.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, name: str) -> Object | None:
        """See `Objects.read`."""
        try:
            data = self._file(name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return Object(data, _version(data))

    def size(self, name: str) -> int | None:
        """See `Objects.size`."""
        try:
            state = self._file(name).lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return state.st_size if stat.S_ISREG(state.st_mode) else None

    def put(self, name: str, data: bytes, *, expect: str | None = None, durable: bool = True) -> str:
        """See `Objects.put`."""
        file = self._file(name)
        for _ in range(_ATTEMPTS):
            file.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # the folder was removed since; the next attempt makes it again
                if expect is None:
                    write_atomically(file, data, durable=durable)
                    return _version(data)
                new = expect == ABSENT
                with locked(file.parent):
                    self._check(name, expect)
                    write_atomically(file, data, durable=durable and not new)
                if durable and new:  # bytes, name and new folders together: half the time of one after the other
                    sync_files(self.root, [name])
                return _version(data)
        raise ConflictError(name)

    def delete(self, name: str, *, expect: str | None = None) -> None:
        """See `Objects.delete`."""
        file = self._file(name)
        with suppress(FileNotFoundError, NotADirectoryError):
            if expect is None:
                file.unlink()
                return
            with locked(file.parent):
                if file.exists():
                    self._check(name, expect)
                    file.unlink()

    def scan(self, prefix: str) -> Iterator[tuple[str, int]]:
        """See `Objects.scan`."""
        yield from sorted(_walk(str(self._file(prefix)), prefix))

    def folders(self, prefix: str) -> Sequence[str]:
        """See `Objects.folders`."""
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(self._file(prefix)) as entries:
            folders = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
            return sorted(entry.name for entry in folders if any(_walk(entry.path, prefix)))
        return []

    def delete_all(self, prefix: str) -> None:
        """See `Objects.delete_all`."""
        shutil.rmtree(self._file(prefix), ignore_errors=True)

    def _file(self, name: str) -> Path:
        check_name(name)
        return self.root / name

    def _check(self, name: str, expect: str) -> None:
        found = self.read(name)
        if (ABSENT if found is None else found.version) != expect:
            raise ConflictError(name)


_ATTEMPTS = 5


def _version(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _walk(folder: str, prefix: str) -> Iterator[tuple[str, int]]:
    """By strings and not by `Path`, which takes longer to make than the kernel takes to answer."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            name = f"{prefix}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path, name)
            elif not entry.name.endswith(PARTIAL):
                with suppress(FileNotFoundError):  # removed since it was listed
                    yield name, entry.stat(follow_symlinks=False).st_size


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Excludes others that lock the same folder; the operating system gives the lock back if this process dies."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)  # which gives the lock back


def is_locked(folder: Path) -> bool:
    """Whether a process has locked the folder; a folder that is not there is not."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
