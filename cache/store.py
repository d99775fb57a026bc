"""The store: a folder of finished artifacts, each under its key, and of builds in progress.

    <root>/bevprior-cache.json                  marks the folder as ours, with the number of this layout
    <root>/artifacts/<stage>/<key>/             manifest.json and the artifact's files
    <root>/tmp/<stage>-<key>/                   a build in progress, see `cache.work.Work`
    <root>/owners/                              the processes that are at work, see `cache.leases`
    <root>/pins/, runs/                         what the garbage collector keeps
    <root>/trash/                               what it is removing

No path, host or time is in a key or manifest's digest: the folder can be moved, copied or mounted elsewhere.
"""

import hashlib
import json
import re
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cache.build import ArtifactMadeError, Build, Place, Task
from cache.cost import CostMeter
from cache.durable import sha256_of, sync_files, sync_folder, write_atomically
from cache.failures import explain_write_errors
from cache.keys import KEY, KeySpec
from cache.leases import LeaseLostError, Owner
from cache.manifest import MANIFEST_COPY, MANIFEST_FILE, Artifact, FileEntry, Manifest, is_whole
from cache.objects import LocalObjects, Objects, locked
from cache.work import Receipt, Work
from scene.errors import InputError

__all__ = ["Artifact", "Entry", "Progress", "Store"]

LAYOUT = 2
ARTIFACTS, TRASH = "artifacts", "trash"
MARKER_FILE = "bevprior-cache.json"


@dataclass(frozen=True)
class Progress:
    """How far an artifact is.

    Attributes:
        state: "cached" is finished, "partial" has work that a build goes on from, "missing" has none.
        done: units of work done.
        total: units of work in all, None where the stage has not said.
    """

    state: Literal["cached", "partial", "missing"]
    done: int = 0
    total: int | None = None


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


class Store:
    """Artifacts below one folder. Opening a store writes nothing; the folder is made by the first build.

    Raises:
        InputError: for a folder that holds something else, or a cache of a newer layout.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self.name = str(root)
        self.objects: Objects = LocalObjects(self.root)
        self._artifacts, self._tmp = self.root / ARTIFACTS, self.root / "tmp"
        with explain_write_errors(self.root):
            self._check_root()

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
        stages = self.objects.folders(ARTIFACTS)
        found = (Entry(stage, key) for stage in stages for key in self.objects.folders(f"{ARTIFACTS}/{stage}"))
        return [
            entry
            for entry in found
            if KEY.fullmatch(entry.key) and entry.key.startswith(prefix) and self._is_ours(entry)
        ]

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
        path = self.root / entry.name / file
        if path.is_symlink() or not path.is_file():
            return None
        return FileEntry(path.stat().st_size, sha256_of(path) if digest else "")

    def receive(self, artifact: Artifact, progress: Callable[[int], object] = lambda _: None) -> None:
        """Copies an artifact of another cache into this one, every file checked on the way.

        Raises:
            InputError: if a file is not what its manifest says.
        """
        with explain_write_errors(self.root):
            self._create()
            with scratch_folder(self.root / TRASH, f"{artifact.stage}-{artifact.key}") as folder:
                for file, entry in artifact.manifest.files.items():
                    copy_checked(artifact.path / file, folder / file, entry.sha256, artifact)
                    progress(entry.bytes)
                sync_files(folder, artifact.manifest.files)
                LocalPlace(folder, self.root / ARTIFACTS / artifact.stage / artifact.key).publish(artifact.manifest)

    def prepared(self) -> Path:
        """The cache's folder on this machine, made where it is not there."""
        with explain_write_errors(self.root):
            self._create()
        return self.root

    @contextmanager
    def builds_held(self) -> Iterator[None]:
        """No build begins or ends meanwhile."""
        with explain_write_errors(self.root):
            self._tmp.mkdir(parents=True, exist_ok=True)
            with locked(self._tmp):
                yield

    def discard(self, entry: Entry) -> str:
        """Makes an artifact be no more, at one instant; its files are below the folder with the returned name."""
        name = f"{TRASH}/{entry.stage}-{entry.key}-{secrets.token_hex(4)}"
        (self.root / name).parent.mkdir(exist_ok=True)
        (self.root / entry.name).rename(self.root / name)
        return name

    def age_s(self, name: str) -> float:
        """Seconds since an artifact, a build or an object was last changed, by the wall clock."""
        marks = (self.root / name / MANIFEST_FILE, self.root / name / "attempts", self.root / name)
        times = [path.stat().st_mtime for path in marks if path.exists()]
        return time.time() - max(times, default=0.0)

    def bytes_of(self, name: str) -> int:
        """Bytes of all files below a folder of the cache."""
        return sum(size for _, size in self.objects.scan(name))

    def reopen(self, artifact: Artifact, receipts: Mapping[str, Receipt]) -> None:
        """Makes an artifact a build again, in which these units are done, at one instant."""
        work = self._work(artifact.manifest.spec)
        with explain_write_errors(self.root), locked(self._tmp):
            work.remove()
            for unit, receipt in receipts.items():
                work.put_receipt(unit, receipt)
            work.folder.mkdir(parents=True, exist_ok=True)
            artifact.path.rename(work.data)  # before that, the receipts of a folder without data mean nothing

    def progress(self, spec: KeySpec) -> Progress:
        """How far the artifact of `spec` is; reads little and writes nothing."""
        if (artifact := self.get(spec.key)) is not None:
            units = artifact.manifest.provenance.get("units", 0)
            return Progress("cached", units, units)
        work = self._work(spec)
        done = len(work.done_units())
        begun = done > 0 or (work.data.exists() and any(work.data.iterdir()))
        return Progress("partial" if begun else "missing", done, work.total())

    def materialise(self, artifact: Artifact) -> Artifact:
        """The artifact with all its files on this machine.

        Raises:
            InputError: if a file is missing or cut short.
        """
        artifact.check_complete()
        return artifact

    @contextmanager
    def build(
        self,
        spec: KeySpec,
        parents: Mapping[str, str],
        *,
        sources: Sequence[str] = (),
        origin: Mapping[str, Any] | None = None,
    ) -> Iterator[Build]:
        """This process's part in making the artifact of `spec`, from where earlier attempts stopped.

        Leaving the block without a commit, by an exception or a kill, keeps the work.

        Args:
            spec: what decides the content.
            parents: key of the input artifact by role, for the same roles as `spec.inputs`.
            sources: packages whose source is kept in the provenance.
            origin: JSON values that tell a repair how to make it again.

        Raises:
            ValueError: if the roles of `parents` and `spec.inputs` differ.
            ArtifactMadeError: if the artifact is there already.
            InputError: for a full disk or lost permission: nothing that looks whole is left.
        """
        if set(parents) != set(spec.inputs):
            raise ValueError(f"{spec.stage}: parents {sorted(parents)} are not the inputs {sorted(spec.inputs)}")
        task = Task(spec, parents, tuple(sources), origin or {})
        with explain_write_errors(self.root):
            self._create()
            work = self._work(spec)
            with Owner(self.objects) as owner, CostMeter() as meter:
                with locked(self._tmp):  # from here on the garbage collector knows which inputs are in use
                    if self.get(spec.key) is not None:
                        raise ArtifactMadeError
                    work.create()
                    build = Build(task, work, self._place(spec, work), owner, meter)
                try:
                    yield build
                finally:
                    build.close()
                    if build.artifact is not None:
                        with locked(self._tmp):
                            work.remove()

    def get_or_build(
        self,
        spec: KeySpec,
        parents: Mapping[str, str],
        fill: Callable[[Build], Mapping[str, Any]],
        *,
        sources: Sequence[str] = (),
        origin: Mapping[str, Any] | None = None,
        shared: bool = False,
    ) -> tuple[Artifact, bool]:
        """The artifact of `spec`, and whether it was there already, or another process finished it.

        Args:
            spec, parents, sources, origin: see `build`.
            fill: writes it and gives statistics.
            shared: whether `fill` claims its units (`Build.units`), so that several processes can be in it at once;
                else one is, and the others wait.
        """
        while True:
            if (artifact := self.get(spec.key)) is not None:
                artifact.check_complete()
                return artifact, True
            try:
                with self.build(spec, parents, sources=sources, origin=origin) as build:
                    if not shared:
                        build.lead()
                    return build.commit(fill(build)), False
            except ArtifactMadeError:
                continue
            except LeaseLostError as error:
                print(f"warning: {spec.stage} {spec.key[:12]}: {error}; joining them again", file=sys.stderr)

    def _is_ours(self, entry: Entry) -> bool:
        return self.exists(entry) or self.objects.size(f"{entry.name}/{MANIFEST_COPY}") is not None

    def _work(self, spec: KeySpec) -> Work:
        name = f"{spec.stage}-{spec.key}"
        return Work(self.objects, self._tmp / name, name)

    def _place(self, spec: KeySpec, work: Work) -> Place:
        return LocalPlace(work.data, self._artifacts / spec.stage / spec.key)

    def _check_root(self) -> None:
        marker = self.root / MARKER_FILE
        if marker.exists():
            try:
                layout = json.loads(marker.read_bytes())["layout"]
            except (ValueError, KeyError, TypeError) as error:
                raise InputError("not the marker of a cache", where=str(marker), fix="name another folder") from error
            if layout != LAYOUT:
                whose = "a newer" if layout > LAYOUT else "an older"
                fix = "use that version, or another cache folder"
                raise InputError(f"cache written by {whose} version (layout {layout})", where=str(self.root), fix=fix)
        elif self.root.exists():
            ours = (".", "lost+found", MARKER_FILE)  # hidden files, a new disk, a marker that is just being written
            foreign = not self.root.is_dir() or any(not entry.name.startswith(ours) for entry in self.root.iterdir())
            if foreign and not marker.exists():  # another process may have made the cache since the first look
                fix = "name an empty or a new folder"
                raise InputError("not a cache, and not empty", where=str(self.root), fix=fix)

    def _create(self) -> None:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise InputError("a file is where a folder should be", where=str(self.root), fix="name another") from error
        if not (self.root / MARKER_FILE).exists():
            write_atomically(self.root / MARKER_FILE, json.dumps({"layout": LAYOUT}).encode())
        self._artifacts.mkdir(exist_ok=True)
        self._tmp.mkdir(exist_ok=True)


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
            self._data.rename(self._target)
            sync_folder(self._target.parent)
        return Artifact.open(self._target)

    def find(self) -> Artifact | None:
        """See `cache.build.Place`."""
        return Artifact.open(self._target) if (self._target / MANIFEST_FILE).exists() else None


@contextmanager
def scratch_folder(parent: Path, name: str) -> Iterator[Path]:
    """A folder that is gone afterwards, or that garbage collection takes away after a kill."""
    folder = parent / f"{name}-{secrets.token_hex(4)}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def copy_checked(source: Path, target: Path, sha256: str, artifact: Artifact) -> None:
    """Copies one file of an artifact, hashing what is written.

    Raises:
        InputError: if the bytes are not those of the manifest.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with source.open("rb") as reading, target.open("xb") as writing:
        while block := reading.read(_BLOCK):
            digest.update(block)
            writing.write(block)
    if digest.hexdigest() != sha256:
        where = f"{artifact.stage} {artifact.key[:12]}, {source}"
        raise InputError("a file of the artifact is damaged", where=where, fix=artifact.remedy)


_BLOCK = 1 << 20
