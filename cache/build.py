"""A build in progress: a folder to write into, markers of what is done, and the commit."""

import json
import os
import shutil
import stat
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from cache.cost import Cost, CostMeter
from cache.durable import remove_partials, sha256_of, sync_filesystem, sync_folder, write_atomically
from cache.keys import KeySpec, normalise
from cache.manifest import MANIFEST_FILE, Artifact, FileEntry, Manifest
from cache.provenance import describe_environment
from cache.schema import describe_arrays
from cache.sources import source_digest, source_files


class WorkFolder:
    """The folder of one unfinished build: `data/` becomes the artifact, `.progress/` is what we know about it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data = path / "data"
        self.markers = path / ".progress" / "done"
        self._state_file = path / ".progress" / "state.json"
        self._discarded = path.with_name(f"{path.name}.discarded")

    def create(self) -> None:
        """Makes the folders; clears away what killed attempts left half-written or half-removed."""
        shutil.rmtree(self._discarded, ignore_errors=True)
        if not self.data.exists():  # committed, then killed: these markers speak of an artifact, not of this folder
            shutil.rmtree(self.path, ignore_errors=True)
        self.data.mkdir(parents=True, exist_ok=True)
        self.markers.mkdir(parents=True, exist_ok=True)
        remove_partials(self.path)
        (self.data / MANIFEST_FILE).unlink(missing_ok=True)

    def remove(self) -> None:
        """Removes the folder at one instant: no markers may outlive the data that they speak of."""
        with suppress(FileNotFoundError):
            self.path.rename(self._discarded)
        shutil.rmtree(self._discarded, ignore_errors=True)

    def state(self) -> dict[str, Any]:
        """What the attempts so far wrote down; empty where nothing readable is there."""
        try:
            state: dict[str, Any] = json.loads(self._state_file.read_bytes())
        except (OSError, ValueError):
            return {}
        return state

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Replaces the state. Not synced: losing it costs a line of provenance, no work."""
        write_atomically(self._state_file, json.dumps(state).encode(), durable=False)

    def marker(self, unit: str) -> Path:
        """The marker file of a unit of work."""
        return self.markers / f"{quote(unit, safe='')}.done"

    def done_units(self) -> list[str]:
        """Names of the units that are done, sorted."""
        if not (self.data.exists() and self.markers.exists()):
            return []
        return sorted(unquote(marker.stem) for marker in self.markers.iterdir())


class Build:
    """What a stage sees of its artifact while it computes it. Made by `cache.store.Store.build`.

    Attributes:
        path: write here. Whatever lies here at the commit is the artifact.
        artifact: None until there is one: set by `commit`, or from the start where another process finished the same
            key while this one waited for it.
    """

    def __init__(
        self,
        work: WorkFolder,
        spec: KeySpec,
        parents: Mapping[str, str],
        sources: Sequence[str],
        publish: Callable[[Path], Artifact],
        meter: CostMeter,
    ) -> None:
        self.path = work.data
        self.artifact: Artifact | None = None
        self._work, self._spec, self._parents, self._sources = work, spec, dict(parents), tuple(sources)
        self._publish, self._meter, self._lock = publish, meter, threading.Lock()
        state = work.state()
        self._total: int | None = state.get("total")
        self._recorded: dict[str, Any] = state.get("recorded", {})
        self._earlier = [Cost(**cost) for cost in state.get("attempts", [])]
        self._source_digest = source_digest(sources)
        if state.get("source_digest", self._source_digest) != self._source_digest:
            what = "goes on from units made by another state of the source under the same version"
            print(f"warning: {spec.stage} {spec.key[:12]} {what}", file=sys.stderr)

    @property
    def done_units(self) -> list[str]:
        """Names of the units that are done, by this attempt or an earlier one."""
        return self._work.done_units()

    def is_done(self, unit: str) -> bool:
        """Whether `unit` was marked done, by this attempt or an earlier one."""
        return self._work.marker(unit).exists()

    def mark_done(self, unit: str) -> None:
        """Says that everything `unit` writes is written. Survives a kill and a power cut, with the data behind it."""
        sync_filesystem(self.path)  # the data first, by whichever process it was written
        marker = self._work.marker(unit)
        os.close(os.open(marker, os.O_CREAT | os.O_WRONLY, 0o644))
        sync_folder(marker.parent)
        self._save()

    def expect(self, total_units: int) -> None:
        """Says how many units there will be, so that others can be told how far the build is."""
        self._total = total_units
        self._save()

    def record(self, **values: Any) -> None:
        """Keeps JSON values in the manifest's provenance (`recorded`), also over a kill; the last value of a name wins.

        Raises:
            InputError, TypeError: for what is no JSON value, see `cache.keys.normalise`.
        """
        plain = normalise(values, "record")
        with self._lock:
            self._recorded.update(plain)
        self._save()

    def commit(self, statistics: Mapping[str, Any] | None = None, schema: Mapping[str, Any] | None = None) -> Artifact:
        """Makes the artifact out of what lies in `path`. It exists after the one rename at the end and not before.

        Args:
            statistics: JSON values for the manifest.
            schema: what the arrays are; by default read off the Zarr metadata in `path`.

        Raises:
            InputError, TypeError: for statistics that are no JSON values.
            ValueError: if `path` holds a link, a special file, or a file named as the manifest.
        """
        if self.artifact is not None:
            return self.artifact
        plain_statistics = normalise(statistics or {}, "statistics")
        remove_partials(self.path)
        sync_filesystem(self.path)
        files = _hash_files(self.path)
        manifest = Manifest(
            self._spec,
            self._parents,
            files,
            normalise(describe_arrays(self.path) if schema is None else schema, "schema"),
            plain_statistics,
            self._provenance(),
        )
        write_atomically(self.path / MANIFEST_FILE, manifest.to_json().encode())
        self.artifact = self._publish(self.path)
        return self.artifact

    def close(self) -> None:
        """Ends the attempt: what it cost is written down for the next one, unless the artifact is there."""
        if self.artifact is None:
            with suppress(OSError):  # a full disk; what ended the attempt matters more
                self._save()

    def _save(self) -> None:
        with self._lock:
            attempts = [asdict(cost) for cost in (*self._earlier, self._meter.read())]
            state = {"total": self._total, "recorded": self._recorded, "attempts": attempts}
            self._work.save_state({**state, "source_digest": self._source_digest})

    def _provenance(self) -> dict[str, Any]:
        cost = sum(self._earlier, self._meter.read(fresh=True))
        return {
            **describe_environment(),
            "source_digest": self._source_digest,
            "sources": source_files(self._sources),
            "cost": {"attempts": len(self._earlier) + 1, **asdict(cost)},
            "units": len(self.done_units),
            "recorded": self._recorded,
        }


@contextmanager
def open_build(
    path: Path,
    spec: KeySpec,
    parents: Mapping[str, str],
    sources: Sequence[str],
    publish: Callable[[Path], Artifact],
) -> Iterator[Build]:
    """A new attempt at the build in folder `path`, which the caller has locked."""
    work = WorkFolder(path)
    work.create()
    with CostMeter() as meter:
        build = Build(work, spec, parents, sources, publish, meter)
        try:
            yield build
        finally:
            build.close()


def _hash_files(folder: Path) -> dict[str, FileEntry]:
    """Every file below `folder` with its size and digest; hashing releases the interpreter lock, so threads help."""
    paths = []
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        relative = path.relative_to(folder).as_posix()
        if not stat.S_ISDIR(mode) and (not stat.S_ISREG(mode) or relative == MANIFEST_FILE):
            raise ValueError(f"an artifact holds plain files only, and none named {MANIFEST_FILE}: {path}")
        if stat.S_ISREG(mode):
            paths.append(path)
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        entries = pool.map(lambda path: FileEntry(path.stat().st_size, sha256_of(path)), paths)
        return {path.relative_to(folder).as_posix(): entry for path, entry in zip(paths, entries, strict=True)}
