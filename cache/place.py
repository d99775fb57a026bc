"""Where the files of a build go, and how they become an artifact."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from cache.durable import sync_files, sync_folder, write_atomically
from cache.manifest import MANIFEST_COPY, MANIFEST_FILE, Artifact, FileEntry, Manifest, is_whole


class Place(Protocol):
    """Where the files of a build go: nowhere else on a local disk, to a bucket from a machine that may vanish."""

    def keep(self, files: Mapping[str, FileEntry]) -> None:
        """Returns once these files of the work folder survive a power cut."""

    def has(self, files: Mapping[str, FileEntry]) -> bool:
        """Whether these files, which some process kept, are still there with their sizes."""

    def gather(self, files: Mapping[str, FileEntry]) -> None:
        """Returns once these files, which some process kept, are in the work folder."""

    def publish(self, manifest: Manifest) -> Artifact:
        """Makes the artifact out of the work folder; it exists from one instant on."""

    def find(self) -> Artifact | None:
        """The artifact, if it is there already."""


class LocalPlace:
    """Artifacts beside the work folder, on one file system. See `cache.build.Place`."""

    def __init__(self, data: Path, target: Path) -> None:
        self._data, self._target = data, target

    def keep(self, files: Mapping[str, FileEntry]) -> None:
        """Syncs them."""
        sync_files(self._data, files)

    def has(self, files: Mapping[str, FileEntry]) -> bool:
        """See `cache.build.Place`."""
        return all(is_whole(self._data / path, entry) for path, entry in files.items())

    def gather(self, files: Mapping[str, FileEntry]) -> None:
        """They are where they were written."""

    def publish(self, manifest: Manifest) -> Artifact:
        """Moves the folder by one rename."""
        for name in (MANIFEST_COPY, MANIFEST_FILE):
            write_atomically(self._data / name, manifest.to_json())
        self._target.parent.mkdir(parents=True, exist_ok=True)
        if self._target.exists() and not (self._target / MANIFEST_FILE).exists():
            shutil.rmtree(self._target)  # half a copy of an artifact, of no use to anyone
        if not self._target.exists():
            try:
                self._data.rename(self._target)
            except OSError:
                if not (self._target / MANIFEST_FILE).exists():  # or another process was quicker
                    raise
            sync_folder(self._target.parent)
        return Artifact.open(self._target)

    def find(self) -> Artifact | None:
        """See `cache.build.Place`."""
        return Artifact.open(self._target) if (self._target / MANIFEST_FILE).exists() else None
