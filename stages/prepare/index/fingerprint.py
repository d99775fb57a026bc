"""What the index depends on outside the cache."""

from pathlib import Path

from cache.digests import listing_digest, outside_digest
from scene.sweep import LIDAR
from stages.prepare.index import IndexSettings
from stages.prepare.index.splits import SPLITS_FILE
from stages.prepare.index.tables import COLUMNS, locate_tables


def fingerprint(settings: IndexSettings, data_root: Path) -> dict[str, str]:
    """Digests of the tables that are read, of the split file, and of the names and sizes of images and LiDAR sweeps.

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
    for sensor in (*settings.cameras, LIDAR):
        digests[f"samples/{sensor}"] = listing_digest(data_root / "samples" / sensor)
    return digests


def _file_digest(file: Path) -> str:
    return outside_digest(file) if file.is_file() else "missing"
