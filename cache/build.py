"""A build in progress: a folder to write into, receipts for what is done, and the commit."""

import sys
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from cache.contents import hash_files, plain_files
from cache.cost import Cost, CostMeter
from cache.durable import remove_partials
from cache.keys import KeySpec, normalise
from cache.leases import Owner
from cache.manifest import MANIFEST_COPY, MANIFEST_FILE, Artifact, FileEntry, Manifest
from cache.place import Place
from cache.provenance import describe_environment
from cache.schema import describe_arrays
from cache.sources import source_digest, source_files
from cache.units import Pause, Units
from cache.work import Receipt, Work
from scene.errors import InputError

SAVE_S = 1.0
"""How much of an attempt's cost may go unrecorded when it is killed; its work is safe all the same."""


class ArtifactMadeError(Exception):
    """Another process finished the artifact that this one works on. `Store.get_or_build` handles it."""


@dataclass(frozen=True)
class Task:
    """What a build makes.

    Attributes:
        spec: what decides the content.
        parents: key of the input artifact by role.
        sources: packages whose source is kept in the provenance.
        origin: JSON values that tell a repair how to make it again; never part of the key.
    """

    spec: KeySpec
    parents: Mapping[str, str]
    sources: tuple[str, ...] = ()
    origin: Mapping[str, Any] = field(default_factory=dict)


class Build:
    """What a stage sees of its artifact while it computes it. Made by `cache.store.Store.build`.

    Attributes:
        path: write here. Whatever lies here at the commit is the artifact.
        artifact: None until there is one: set by `commit`, or where another process finished the same key meanwhile.
    """

    def __init__(self, task: Task, work: Work, place: Place, owner: Owner, meter: CostMeter) -> None:
        self.path = work.data
        self.artifact: Artifact | None = None
        self._task, self._work, self._place, self._owner, self._meter = task, work, place, owner, meter
        self._lock = threading.Lock()
        self._recorded: dict[str, Any] = {}
        self._done: set[str] = set()
        self._claimed_at_s: dict[str, float] = {}
        self._leads = False
        self._source_digest = source_digest(task.sources)
        earlier = list(work.attempts())
        self._attempt = f"{len(earlier):06d}-{owner.id}"
        if any(attempt["source_digest"] != self._source_digest for _, attempt in earlier):
            what = "goes on from units made by another state of the source under the same version"
            print(f"warning: {task.spec.stage} {task.spec.key[:12]} {what}", file=sys.stderr)
        self._save()

    @property
    def done_units(self) -> list[str]:
        """Names of the units that are done, by this process or another, now or earlier."""
        return self._work.done_units()

    def is_done(self, unit: str) -> bool:
        """Whether `unit` is done, and what it wrote still there."""
        if unit not in self._done:
            receipt = self._work.receipt(unit)
            if receipt is None:
                return False
            if not self._place.has(receipt.files):
                self._work.forget(unit)
                return False
            self._done.add(unit)
        return True

    def units(self, names: Iterable[str]) -> Units:
        """The units of this artifact, to be claimed one by one; see `Units`."""
        names = list(names)
        self.expect(len(names))
        return Units(names, self.is_done, self._claim, self.lead)

    def mark_done(self, unit: str, files: Iterable[Path | str] = ()) -> None:
        """Says that everything `unit` writes is written: these files, and all files below these folders.

        They are hashed here, once, and survive a kill and a power cut from here on.

        Raises:
            LeaseLostError: if others took this process for dead.
            FileNotFoundError: for a path that is not there.
        """
        entries = hash_files(self.path, plain_files(self.path, files))
        self._owner.check()
        self._place.keep(entries)
        wall_s = time.monotonic() - self._claimed_at_s.pop(unit, time.monotonic())
        self._work.put_receipt(unit, Receipt(entries, round(wall_s, 3)))
        self._done.add(unit)
        self._owner.release(self._work.claim_of(unit))
        if time.monotonic() - self._saved_at_s >= SAVE_S:
            self._save()

    def expect(self, total_units: int) -> None:
        """Says how many units there will be, so that others can be told how far the build is."""
        self._work.put_total(total_units)

    def record(self, **values: Any) -> None:
        """Keeps JSON values in the manifest's provenance (`recorded`), also over a kill; the last value of a name wins.

        Raises:
            InputError, TypeError: for what is no JSON value, see `cache.keys.normalise`.
        """
        plain = normalise(values, "record")
        with self._lock:
            self._recorded.update(plain)
        self._save()

    def lead(self) -> None:
        """Returns once this process alone is to finish the artifact.

        Until then another one leads; if it finishes, this one raises, if it dies, this one takes over. The files of
        units that others did are in `path` when this returns.

        Raises:
            ArtifactMadeError: the other process finished.
        """
        if self._leads:
            return
        pause, told = Pause(), False
        while not self._owner.claim(self._work.lead):
            self.raise_if_made()
            if not told:
                stage, key = self._task.spec.stage, self._task.spec.key[:12]
                sys.stderr.write(f"{stage} {key} is being built by another process: waiting\n")  # in one piece
                told = True
            pause()
        self.raise_if_made()
        self._leads = True
        self._remove_manifests()
        receipts = [self._work.receipt(unit) for unit in self.done_units]
        self._place.gather({path: entry for receipt in receipts if receipt for path, entry in receipt.files.items()})

    def commit(self, statistics: Mapping[str, Any] | None = None, schema: Mapping[str, Any] | None = None) -> Artifact:
        """Makes the artifact out of what lies in `path`. It exists after the one rename at the end and not before.

        Args:
            statistics: JSON values for the manifest.
            schema: what the arrays are; by default read off the Zarr metadata in `path`.

        Raises:
            InputError, TypeError: for statistics that are no JSON values.
            ValueError: if `path` holds a link, a special file, or a file named as the manifest.
            InputError: if a file is not as it was when its unit was marked done.
            ArtifactMadeError, LeaseLostError: if another process finished, or is about to.
        """
        if self.artifact is not None:
            return self.artifact
        plain_statistics = normalise(statistics or {}, "statistics")
        self.lead()
        self._owner.check()
        remove_partials(self.path)
        files, wall_s = self._all_files()
        manifest = Manifest(
            self._task.spec,
            dict(self._task.parents),
            files,
            normalise(describe_arrays(self.path) if schema is None else schema, "schema"),
            plain_statistics,
            self._provenance(wall_s),
        )
        self.artifact = self._place.publish(manifest)
        return self.artifact

    def raise_if_made(self, error: BaseException | None = None) -> None:
        """Raises ArtifactMadeError, because of `error`, if another process has finished the artifact."""
        if self.artifact is None and (found := self._place.find()) is not None:
            self.artifact = found
            raise ArtifactMadeError from error

    def close(self) -> None:
        """Ends the attempt: what it cost is written down for the next one, unless the artifact is there."""
        if self.artifact is None:
            with suppress(OSError, InputError):  # a full disk, no network; what ended the attempt matters more
                for unit in list(self._claimed_at_s):
                    self._owner.release(self._work.claim_of(unit))
                self._save()
                self._owner.release(self._work.lead)

    def _claim(self, unit: str) -> bool:
        claim = self._work.claim_of(unit)
        if unit in self._claimed_at_s or not self._owner.claim(claim):  # a claim of one's own holds for one taker
            return False
        if self.is_done(unit):
            self._owner.release(claim)
            return False
        self.raise_if_made()  # the receipts go when the artifact is there
        self._claimed_at_s[unit] = time.monotonic()
        return True

    def _remove_manifests(self) -> None:
        """Those of a commit that was killed, or of damage; what the stage itself calls so is refused later."""
        for file in (self.path / MANIFEST_FILE, self.path / MANIFEST_COPY):
            with suppress(InputError):
                if file.is_file() and Manifest.from_json(file.read_bytes(), str(file)).key == self._task.spec.key:
                    file.unlink()

    def _all_files(self) -> tuple[dict[str, FileEntry], dict[str, float]]:
        """Every file with its unit, hashed now unless its unit was; and the seconds of each unit."""
        files: dict[str, FileEntry] = {}
        wall_s: dict[str, float] = {}
        for unit in self.done_units:
            receipt = self._work.receipt(unit)
            if receipt is None or not self._place.has(receipt.files):
                self._work.forget(unit)
                fix = "run again: this unit is computed anew"
                raise InputError("files changed after their unit was done", where=f"{self.path}, {unit}", fix=fix)
            wall_s[unit] = receipt.wall_s
            files |= {path: replace(entry, unit=unit) for path, entry in receipt.files.items()}
        found = plain_files(self.path, [self.path])
        unclaimed = [file for file in found if file.relative_to(self.path).as_posix() not in files]
        rest = hash_files(self.path, unclaimed)
        self._place.keep(rest)
        return files | rest, wall_s

    def _save(self) -> None:
        with self._lock:
            content = {
                "cost": asdict(self._meter.read()),
                "recorded": self._recorded,
                "source_digest": self._source_digest,
                "parents": dict(self._task.parents),
                "owner": self._owner.id,
            }
            self._work.put_attempt(self._attempt, content)
            self._saved_at_s = time.monotonic()

    def _provenance(self, unit_wall_s: Mapping[str, float]) -> dict[str, Any]:
        earlier = [content for name, content in self._work.attempts() if not name.endswith(self._attempt)]
        cost = sum((Cost(**attempt["cost"]) for attempt in earlier), self._meter.read(fresh=True))
        recorded = {name: value for attempt in earlier for name, value in attempt["recorded"].items()}
        return {
            **describe_environment(),
            "origin": normalise(self._task.origin, "origin"),
            "source_digest": self._source_digest,
            "sources": source_files(self._task.sources),
            "cost": {"attempts": len(earlier) + 1, **asdict(cost)},
            "units": len(unit_wall_s),
            "unit_wall_s": dict(unit_wall_s),
            "recorded": recorded | self._recorded,
        }
