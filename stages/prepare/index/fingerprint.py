"""What the index depends on outside the cache."""

import hashlib
import os
from pathlib import Path

from cache.digests import outside_digest
from stages.prepare.index import IndexSettings
from stages.prepare.index.splits import SPLITS_FILE
from stages.prepare.index.tables import COLUMNS, locate_tables


def fingerprint(settings: IndexSettings, data_root: Path) -> dict[str, str]:
    """Digests of the tables that are read, of the split file, and of the names and sizes of the camera images.

    Images are not read (trainval holds 30 GB of them): an edit that keeps name and size goes unnoticed, a missing,
    restored or truncated file does not.

    Raises:
        InputError: if the data root holds no such data set.
    """
    tables_dir = locate_tables(data_root, settings.version)
    files = [tables_dir / f"{table}.json" for table in sorted(COLUMNS)]
    if settings.split == "dataset":
        files.append(data_root / SPLITS_FILE)
    digests = {file.name: _file_digest(file) for file in files}
    for camera in settings.cameras:
        digests[f"samples/{camera}"] = _listing_digest(data_root / "samples" / camera)
    return digests


def _file_digest(file: Path) -> str:
    return outside_digest(file) if file.is_file() else "missing"


def _listing_digest(folder: Path) -> str:
    if not folder.is_dir():
        return "missing"
    with os.scandir(folder) as entries:
        lines = sorted(f"{entry.name}\t{entry.stat().st_size}\n" for entry in entries if entry.is_file())
    return hashlib.sha256("".join(lines).encode()).hexdigest()
