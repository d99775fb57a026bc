"""The store: a folder of finished artifacts, each under its key, and of builds in progress.

    <root>/bevprior-cache.json                  marks the folder as ours, with the number of this layout
    <root>/artifacts/<stage>/<key>/             manifest.json and the artifact's files
    <root>/tmp/<stage>-<key>/, .lock            a build in progress, and who is at it

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

from cache.build import Build, WorkFolder, open_build
from cache.durable import sync_folder, write_atomically
from cache.failures import explain_write_errors
from cache.keys import KEY, KeySpec
from cache.manifest import MANIFEST_FILE, Artifact
from scene.errors import InputError

__all__ = ["Artifact", "Progress", "Store"]

LAYOUT = 1
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
        work = WorkFolder(self._work(spec))
        done = len(work.done_units())
        begun = done > 0 or (work.data.exists() and any(work.data.iterdir()))
        return Progress("partial" if begun else "missing", done, work.state().get("total"))

    @contextmanager
    def build(self, spec: KeySpec, parents: Mapping[str, str], *, sources: Sequence[str] = ()) -> Iterator[Build]:
        """A build of the artifact of `spec`: one process at a time, from where the last attempt stopped.

        A second process waits, and then finds `Build.artifact` set. Leaving the block without a commit, by an
        exception or a kill, keeps the work.

        Args:
            spec: what decides the content.
            parents: key of the input artifact by role, for the same roles as `spec.inputs`.
            sources: packages whose source is kept in the provenance.

        Raises:
            ValueError: if the roles of `parents` and `spec.inputs` differ.
            InputError: for a full disk or lost permission: nothing that looks whole is left.
        """
        if set(parents) != set(spec.inputs):
            raise ValueError(f"{spec.stage}: parents {sorted(parents)} are not the inputs {sorted(spec.inputs)}")
        with explain_write_errors(self.root):
            self._create()
            with (
                self._exclusive(spec),
                open_build(self._work(spec), spec, parents, sources, self._publish) as build,
            ):
                build.artifact = self.get(spec.key)
                yield build
                if build.artifact is not None:
                    WorkFolder(self._work(spec)).remove()
                    # Safe while it is held: whoever waits for it sees that its file is gone, and takes a new one.
                    self._lock_file(spec).unlink(missing_ok=True)

    def get_or_build(
        self,
        spec: KeySpec,
        parents: Mapping[str, str],
        fill: Callable[[Build], Mapping[str, Any]],
        *,
        sources: Sequence[str] = (),
    ) -> tuple[Artifact, bool]:
        """The artifact of `spec` and whether it was there already; if not, `fill` writes it and gives statistics."""
        if (artifact := self.get(spec.key)) is not None:
            artifact.check_complete()
            return artifact, True
        with self.build(spec, parents, sources=sources) as build:
            if build.artifact is not None:
                return build.artifact, True
            return build.commit(fill(build)), False

    def _folders(self, name: str = "*") -> Iterator[Path]:
        """Folders that hold a manifest: these, and no others, are artifacts."""
        for folder in self._artifacts.glob(f"*/{name}"):
            if KEY.fullmatch(folder.name) and (folder / MANIFEST_FILE).exists():
                yield folder

    def _work(self, spec: KeySpec) -> Path:
        return self._tmp / f"{spec.stage}-{spec.key}"

    def _lock_file(self, spec: KeySpec) -> Path:
        return self._tmp / f"{spec.stage}-{spec.key}.lock"

    @contextmanager
    def _exclusive(self, spec: KeySpec) -> Iterator[None]:
        """One process per key. The lock is the operating system's: it ends with its process, however that ends."""
        import filelock  # 40 ms, and only builds need it

        lock = filelock.FileLock(self._lock_file(spec), poll_interval=0.1, fallback_to_soft=False)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            print(f"{spec.stage} {spec.key[:12]} is being built by another process: waiting", file=sys.stderr)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _publish(self, data: Path) -> Artifact:
        """Moves a finished folder to its place by one rename; the folder's own manifest says which."""
        manifest = Artifact.read_manifest(data)
        target = self._artifacts / manifest.spec.stage / manifest.key
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and not (target / MANIFEST_FILE).exists():
            shutil.rmtree(target)  # half a copy of an artifact, of no use to anyone
        if not target.exists():
            data.rename(target)
            sync_folder(target.parent)
        return Artifact.open(target)

    def _check_root(self) -> None:
        marker = self.root / MARKER_FILE
        if marker.exists():
            try:
                layout = json.loads(marker.read_bytes())["layout"]
            except (ValueError, KeyError, TypeError) as error:
                raise InputError("not the marker of a cache", where=str(marker), fix="name another folder") from error
            if layout > LAYOUT:
                fix = "upgrade this program or use another cache folder"
                raise InputError(f"cache written by a newer version (layout {layout})", where=str(self.root), fix=fix)
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
