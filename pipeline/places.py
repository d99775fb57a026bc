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
    where = given or os.environ.get("BEVPRIOR_CACHE") or ".cache"
    if "://" not in where:
        return Store(Path(where).absolute())
    from cache.remote_store import RemoteStore  # which starts a network client

    mirrors = Path(os.environ.get("BEVPRIOR_MIRROR") or ".cache-mirror").absolute()
    return RemoteStore(where, mirrors / hashlib.sha256(where.rstrip("/").encode()).hexdigest()[:12])


def shown(path: Path) -> str:
    """A path as a message shows it: relative to the working directory where it lies below it."""
    path = path.resolve()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
