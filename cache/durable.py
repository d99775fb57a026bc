"""Writing so that a kill, a full disk or a power cut leaves the old state or the new one, never half."""

import ctypes
import hashlib
import os
import threading
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PARTIAL = ".partial"
"""Suffix of a file that is being written (zarr's local store uses the same); such a file is never part of a result."""


def partial_of(file: Path) -> Path:
    """The name under which this thread writes what will be `file`: beside it, so that a rename brings it there."""
    return file.with_name(f"{file.name}.{os.getpid()}-{threading.get_ident()}{PARTIAL}")


def write_atomically(file: Path, data: bytes | memoryview, *, durable: bool = True) -> None:
    """Puts `data` at `file` by a rename; with `durable`, it is on the disk when this returns."""
    partial = partial_of(file)
    try:
        with partial.open("wb") as stream:
            stream.write(data)
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        partial.replace(file)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(file.parent)


def sync_folder(folder: Path) -> None:
    """Makes the names in `folder` durable."""
    _sync(folder)


def sync_files(root: Path, files: Collection[str]) -> None:
    """Makes these files below `root`, and their names, durable, whichever process wrote them.

    All at once, in threads: the file system's journal and the disk's cache are then written out once or twice for all,
    and not once for each. Everything is on the disk when this returns, in no order before.
    """
    if len(files) > WORTH_ONE_CALL:
        _sync_filesystem(root)
        return
    folders = {folder for file in files for folder in (root / file).parents if folder.is_relative_to(root)}
    paths = [*(root / file for file in files), *folders]
    with ThreadPoolExecutor(_SYNC_THREADS) as pool:
        for _ in pool.map(_sync, paths):  # the first failure is raised here
            pass


_SYNC_THREADS = 8


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


WORTH_ONE_CALL = 32
"""From so many files on, syncing the whole file system is quicker than syncing one after the other."""


def _sync_filesystem(folder: Path) -> None:
    """Makes everything written so far to the file system of `folder` durable, whichever process wrote it."""
    try:
        syncfs = ctypes.CDLL(None, use_errno=True).syncfs
    except AttributeError:  # not Linux
        os.sync()
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if syncfs(descriptor) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(folder))
    finally:
        os.close(descriptor)


def sha256_of(file: Path | str) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    digest = hashlib.sha256()
    descriptor = os.open(file, os.O_RDONLY)
    try:
        while block := os.read(descriptor, _BLOCK):
            digest.update(block)
    finally:
        os.close(descriptor)
    return digest.hexdigest()


_BLOCK = 1 << 18
"""Bytes that are read at once. Most files of a cache are smaller: reading is then one call, hashing another."""


def remove_partials(folder: Path) -> None:
    """Deletes what killed writers left behind."""
    for file in folder.rglob(f"*{PARTIAL}"):
        file.unlink(missing_ok=True)
