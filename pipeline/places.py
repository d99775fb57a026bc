"""Where things lie: the project's configurations, the cache, the published reports."""

import hashlib
import os
from pathlib import Path

from cache.store import Store

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
REPORTS = Path("reports")


def open_cache(given: str | None) -> Store:
    """The cache: as given, else $BEVPRIOR_CACHE, else `.cache` in the working directory.

    Raises:
        scene.errors.InputError: for a place that holds something else, or cannot be reached.
    """
    where = _named(given)
    if "://" not in where:
        return Store(cache_folder(where))
    from cache.remote_store import RemoteStore  # which starts a network client

    return RemoteStore(where, cache_folder(where))


def cache_folder(given: str | None) -> Path:
    """The folder of that cache; for one in a bucket, the mirror on this machine, below $BEVPRIOR_MIRROR."""
    where = _named(given)
    if "://" not in where:
        return Path(where).absolute()
    mirrors = Path(os.environ.get("BEVPRIOR_MIRROR") or ".cache-mirror").absolute()
    return mirrors / hashlib.sha256(where.rstrip("/").encode()).hexdigest()[:12]


def _named(given: str | None) -> str:
    return given or os.environ.get("BEVPRIOR_CACHE") or ".cache"


def shown(path: Path) -> str:
    """A path as a message shows it: relative to the working directory where it lies below it."""
    path = path.resolve()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
