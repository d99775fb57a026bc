"""What is in a cache: finding, reading and removing artifacts."""

import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cache.durable import sha256_of
from cache.keys import KEY
from cache.manifest import MANIFEST_COPY, MANIFEST_FILE, Artifact, FileEntry
from cache.objects import LocalObjects, Objects
from scene.errors import InputError

ARTIFACTS, TRASH = "artifacts", "trash"


@dataclass(frozen=True, order=True)
class Entry:
    """Where an artifact is, or what is left of one.

    Attributes:
        stage, key: of the artifact, as its folder is called.
    """

    stage: str
    key: str

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{ARTIFACTS}/{self.stage}/{self.key}"


class Catalogue:
    """The artifacts of a cache, damaged ones too.

    Args:
        objects: of the cache.
        root: its folder; of a remote cache, the mirror on this machine.
        name: what a person calls it: a path or a URL.
    """

    def __init__(self, objects: Objects, root: Path, name: str) -> None:
        self.objects, self.root, self.name = objects, root, name

    def get(self, key: str) -> Artifact | None:
        """The artifact with this key, None where there is none.

        Raises:
            InputError: if it is there but cannot be used, see `Artifact.open`.
        """
        stages = self.objects.folders(ARTIFACTS)
        return next((self.open(entry) for stage in stages if self.exists(entry := Entry(stage, key))), None)

    def find(self, prefix: str) -> Artifact:
        """The artifact whose key begins with `prefix`.

        Raises:
            InputError: if there is none, or more than one; or for a damaged one, see `Artifact.open`.
        """
        return self.open(self.find_entry(prefix))

    def find_entry(self, prefix: str) -> Entry:
        """As `find`, without a look inside: for what may be damaged.

        Raises:
            InputError: if there is none, or more than one.
        """
        found = self.entries(prefix) if re.fullmatch("[0-9a-f]+", prefix) else []
        if len(found) == 1:
            return found[0]
        if not found:
            fix = "`bevprior ls` lists them"
            raise InputError(f"no artifact has the key {prefix!r}", where=self.name, fix=fix)
        names = ", ".join(f"{entry.stage} {entry.key[:12]}" for entry in found[:4])
        raise InputError(f"the key {prefix!r} is ambiguous", where=names, fix="give more digits")

    def entries(self, prefix: str = "") -> list[Entry]:
        """Every artifact whose key begins with `prefix`, by stage and key; damaged ones too."""
        return [entry for entry in self._folders(prefix) if self._is_ours(entry)]

    def remains(self) -> list[Entry]:
        """Folders with files and no manifest: of a copy, an upload or a removal that goes on or was killed."""
        return [entry for entry in self._folders() if not self._is_ours(entry)]

    def artifacts(self) -> list[Artifact]:
        """All artifacts by stage and key.

        Raises:
            InputError: if one cannot be used, see `Artifact.open`.
        """
        return [self.open(entry) for entry in self.entries() if self.exists(entry)]

    def exists(self, entry: Entry) -> bool:
        """Whether there is a manifest: what has one, and nothing else, is an artifact."""
        return self.objects.size(f"{entry.name}/{MANIFEST_FILE}") is not None

    def open(self, entry: Entry) -> Artifact:
        """The artifact.

        Raises:
            InputError: see `Artifact.open`.
        """
        return Artifact.open(self.root / entry.name)

    def read(self, entry: Entry, file: str) -> bytes | None:
        """A file of an artifact, None where it is not."""
        found = self.objects.read(f"{entry.name}/{file}")
        return None if found is None else found.data

    def files(self, entry: Entry) -> Iterator[tuple[str, int]]:
        """Name and size of each file that is there, listed in the manifest or not, manifest included."""
        for name, size in self.objects.scan(entry.name):
            yield name.removeprefix(f"{entry.name}/"), size

    def measure(self, entry: Entry, file: str, *, digest: bool) -> FileEntry | None:
        """A file's size and, if asked for, digest, as they are; None where it is no plain file."""
        path = f"{self.root}/{entry.name}/{file}"
        try:
            state = os.lstat(path)
            if stat.S_ISREG(state.st_mode):
                return FileEntry(state.st_size, sha256_of(path) if digest else "")
        except (FileNotFoundError, NotADirectoryError):
            pass
        return None

    def discard(self, entry: Entry) -> str:
        """Makes an artifact be no more, at one instant; its files are below the folder with the returned name."""
        name = f"{TRASH}/{entry.stage}-{entry.key}-{secrets.token_hex(4)}"
        (self.root / name).parent.mkdir(exist_ok=True)
        (self.root / entry.name).rename(self.root / name)
        return name

    def trash(self) -> list[tuple[str, int]]:
        """Name and bytes of everything below trash/ on this machine, emptied folders too."""
        folder = self.root / TRASH
        names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        here = LocalObjects(self.root)
        return [(name, sum(size for _, size in here.scan(f"{TRASH}/{name}"))) for name in names]

    def empty_trash(self, name: str) -> None:
        """Removes one of them."""
        LocalObjects(self.root).delete_all(f"{TRASH}/{name}")

    def age_s(self, name: str) -> float:
        """Seconds since an artifact, a build or an object was last changed, by the wall clock."""
        marks = (self.root / name / MANIFEST_FILE, self.root / name / "attempts", self.root / name)
        times = [path.stat().st_mtime for path in marks if path.exists()]
        return time.time() - max(times, default=0.0)

    def bytes_of(self, name: str) -> int:
        """Bytes of all files below a folder of the cache."""
        return sum(size for _, size in self.objects.scan(name))

    def _folders(self, prefix: str = "") -> Iterator[Entry]:
        for stage in self.objects.folders(ARTIFACTS):
            for key in self.objects.folders(f"{ARTIFACTS}/{stage}"):
                if KEY.fullmatch(key) and key.startswith(prefix):
                    yield Entry(stage, key)

    def _is_ours(self, entry: Entry) -> bool:
        return self.exists(entry) or self.objects.size(f"{entry.name}/{MANIFEST_COPY}") is not None
