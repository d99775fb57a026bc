"""What the ground depends on outside the cache."""

from pathlib import Path

from cache.digests import listing_digest
from scene.sweep import LIDAR
from stages.prepare.ground import GroundSettings


def fingerprint(settings: GroundSettings, data_root: Path) -> dict[str, str]:  # noqa: ARG001 (what every stage's gets)
    """The names and sizes of the LiDAR sweeps. They are not read: an edit that keeps name and size goes unnoticed."""
    return {f"samples/{LIDAR}": listing_digest(data_root / "samples" / LIDAR)}
