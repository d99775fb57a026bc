"""The store: a folder of finished artifacts, each under its key, and of builds in progress.

    <root>/bevprior-cache.json                  marks the folder as ours, with the number of this layout
    <root>/artifacts/<stage>/<key>/             manifest.json and the artifact's files
    <root>/tmp/<stage>-<key>/                   a build in progress, see `cache.work.Work`
    <root>/owners/                              the processes that are at work, see `cache.leases`
    <root>/pins/, runs/                         what the garbage collector keeps
    <root>/trash/                               what it is removing

No path, host or time is in a key or manifest's digest: the folder can be moved, copied or mounted elsewhere.
"""

import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cache.build import ArtifactMadeError, Build, Place, Task
from cache.cost import CostMeter
from cache.durable import sync_files, sync_folder, write_atomically
from cache.failures import explain_write_errors
from cache.keys import KEY, KeySpec
from cache.leases import LeaseLostError, Owner
from cache.manifest import MANIFEST_COPY, MANIFEST_FILE, Artifact, FileEntry, Manifest, is_whole
from cache.objects import LocalObjects, Objects, locked
from cache.work import Work
from scene.errors import InputError

__all__ = ["Artifact", "Progress", "Store"]

LAYOUT = 2
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


class Store:
    """Artifacts below one folder. Opening a store writes nothing; the folder is made by the first build.

    Raises:
        InputError: for a folder that holds something else, or a cache of a newer layout.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self.name = str(root)
        self.objects: Objects = LocalObjects(self.root)
        self._artifacts, self._tmp = self.root / "artifacts", self.root / "tmp"
        with explain_write_errors(self.root):
            self._check_root()

    def get(self, key: str) -> Artifact | None:
        """The artifact with this key, None where there is none.

        Raises:
            InputError: if it is there but cannot be used, see `Artifact.open`.
        """
        return next((Artifact.open(folder) for folder in self._folders(key)), None)

    def find(self, prefix: str) -> Artifact:
        """The artifact whose key begins with `prefix`.

        Raises:
            InputError: if there is none, or more than one.
        """
        folders = sorted(self._folders(f"{prefix}*")) if re.fullmatch("[0-9a-f]+", prefix) else []
        if len(folders) == 1:
            return Artifact.open(folders[0])
        if not folders:
            raise InputError(
                f"no artifact has the key {prefix!r}", where=str(self.root), fix="`bevprior ls` lists them"
            )
        names = ", ".join(f"{folder.parent.name} {folder.name[:12]}" for folder in folders[:4])
        raise InputError(f"the key {prefix!r} is ambiguous", where=names, fix="give more digits")

    def artifacts(self) -> list[Artifact]:
        """All artifacts by stage and key.

        Raises:
            InputError: if one cannot be used, see `Artifact.open`.
        """
        return [Artifact.open(folder) for folder in sorted(self._folders())]

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
            with locked(self._tmp):
                if self.get(spec.key) is not None:
                    raise ArtifactMadeError
                work.create()
            with Owner(self.objects) as owner, CostMeter() as meter:
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

    def _folders(self, name: str = "*") -> Iterator[Path]:
        """Folders that hold a manifest: these, and no others, are artifacts."""
        for folder in self._artifacts.glob(f"*/{name}"):
            if KEY.fullmatch(folder.name) and (folder / MANIFEST_FILE).exists():
                yield folder

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
