"""The store: a folder of finished artifacts, each under its key, and of builds in progress.

    <root>/bevprior-cache.json                  marks the folder as ours, with the number of this layout
    <root>/artifacts/<stage>/<key>/             manifest.json and the artifact's files
    <root>/tmp/<stage>-<key>/                   a build in progress, see `cache.work.Work`
    <root>/owners/                              the processes that are at work, see `cache.leases`
    <root>/pins/, runs/                         what the garbage collector keeps
    <root>/trash/                               what it is removing

No path, host or time is in a key or manifest's digest: the folder can be moved, copied or mounted elsewhere.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cache.build import ArtifactMadeError, Build, Task
from cache.catalogue import ARTIFACTS, TRASH, Catalogue, Entry
from cache.copying import copy_checked, scratch_folder
from cache.cost import CostMeter
from cache.durable import sync_files
from cache.failures import explain_write_errors
from cache.folder import check_folder, create_folder
from cache.keys import KeySpec
from cache.leases import LeaseLostError, Owner
from cache.manifest import Artifact
from cache.objects import LocalObjects, locked
from cache.place import LocalPlace, Place
from cache.work import TMP, Receipt, Work

__all__ = ["ARTIFACTS", "TRASH", "Artifact", "Entry", "Progress", "Store"]


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


class Store(Catalogue):
    """Artifacts below one folder. Opening a store writes nothing; the folder is made by the first build.

    Raises:
        InputError: for a folder that holds something else, or a cache of a newer layout.
    """

    def __init__(self, root: Path | str) -> None:
        super().__init__(LocalObjects(Path(root)), Path(root), str(root))
        with explain_write_errors(self.root):
            check_folder(self.root)

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

    def mend_copy(self, entry: Entry) -> bool:  # noqa: ARG002
        """Lets go of this machine's copy of an artifact that is elsewhere, if it is damaged; whether it was."""
        return False

    def check(self, artifact: Artifact) -> None:
        """Checks what is cheap to check of an artifact that is taken from the cache.

        Raises:
            InputError: if a file is missing or cut short.
        """
        artifact.check_complete()

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
            ArtifactMadeError: if the artifact is there already, or another process finishes it: the folder that this
                one writes to is then gone at any moment, whatever error comes of that.
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
                except Exception as error:
                    build.raise_if_made(error)
                    raise
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
                self.check(artifact)
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

    def reopen(self, artifact: Artifact, receipts: Mapping[str, Receipt]) -> None:
        """Makes an artifact a build again, in which these units are done, at one instant."""
        work = self._work(artifact.manifest.spec)
        with explain_write_errors(self.root), locked(self._tmp):
            work.remove()
            self.objects.put(work.repaired, artifact.manifest.to_json())
            for unit, receipt in receipts.items():
                work.put_receipt(unit, receipt)
            work.folder.mkdir(parents=True, exist_ok=True)
            artifact.path.rename(work.data)  # before that, the receipts of a folder without data mean nothing

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

    def _work(self, spec: KeySpec) -> Work:
        name = f"{spec.stage}-{spec.key}"
        return Work(self.objects, self._tmp / name, name)

    def _place(self, spec: KeySpec, work: Work) -> Place:
        return LocalPlace(work.data, self.root / ARTIFACTS / spec.stage / spec.key)

    @property
    def _tmp(self) -> Path:
        return self.root / TMP

    def _create(self) -> None:
        create_folder(self.root)
        (self.root / ARTIFACTS).mkdir(exist_ok=True)
        self._tmp.mkdir(exist_ok=True)
