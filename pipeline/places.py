"""Where things lie: the project's configurations, the cache, the published reports."""

import os
from pathlib import Path

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
REPORTS = Path("reports")


def cache_folder(given: Path | None) -> Path:
    """The cache folder: as given, else $BEVPRIOR_CACHE, else `.cache` in the working directory."""
    return (given or Path(os.environ.get("BEVPRIOR_CACHE") or ".cache")).absolute()


def shown(path: Path) -> str:
    """A path as a message shows it: relative to the working directory where it lies below it."""
    path = path.resolve()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
