"""The files of an artifact in the making: which there are, and what they hold."""

import os
import stat
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cache.durable import PARTIAL, sha256_of
from cache.manifest import MANIFEST_COPY, MANIFEST_FILE, FileEntry

WORTH_THREADS = 16
"""From so many files on they are hashed by several threads."""


def plain_files(root: Path, paths: Iterable[Path | str]) -> list[Path]:
    """The plain files among `paths` (absolute, or relative to `root`) and below the folders among them, sorted.

    What a killed writer left half-written is not among them: the commit removes it.

    Raises:
        ValueError: for a link, a special file, or a file in `root` that is called like the manifest.
        FileNotFoundError: for a path that is not there.
    """
    found: set[Path] = set()
    for path in (root / given for given in paths):
        for file in [path, *path.rglob("*")] if path.is_dir() else [path]:
            if file.name.endswith(PARTIAL):  # it may be gone before it is looked at
                continue
            mode = file.lstat().st_mode
            relative = file.relative_to(root).as_posix()
            if stat.S_ISDIR(mode):
                continue
            if not stat.S_ISREG(mode) or relative in (MANIFEST_FILE, MANIFEST_COPY):
                raise ValueError(f"an artifact holds plain files only, and none named {MANIFEST_FILE}: {file}")
            found.add(file)
    return sorted(found)


def hash_files(root: Path, files: Sequence[Path]) -> dict[str, FileEntry]:
    """Size and digest of each file by its path below `root`; hashing releases the interpreter lock, so threads help."""
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        entries = list((pool.map if len(files) >= WORTH_THREADS else map)(_entry, files))
    return {file.relative_to(root).as_posix(): entry for file, entry in zip(files, entries, strict=True)}


def _entry(file: Path) -> FileEntry:
    return FileEntry(file.stat().st_size, sha256_of(file))
