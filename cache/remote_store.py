"""A cache in a bucket, with a mirror of what this machine has used: stages read and write local files alone.

The bucket holds the same names as the folder of a local cache, and it alone says what exists: an artifact is there once
its manifest is. A unit's files go up when it is marked done, so a machine that vanishes loses what it was at.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from cache.catalogue import Entry
from cache.copying import scratch_folder
from cache.durable import sha256_of
from cache.failures import explain_write_errors
from cache.folder import MARKER, MARKER_FILE, check_marker
from cache.keys import KeySpec
from cache.manifest import MANIFEST_COPY, MANIFEST_FILE, Artifact, FileEntry, Manifest, is_whole
from cache.objects import ABSENT, ConflictError
from cache.place import LocalPlace, Place
from cache.remote import RemoteObjects
from cache.store import TRASH, Store
from cache.verify import verify
from cache.work import TMP, Receipt, Work
from scene.errors import InputError


class RemoteStore(Store):
    """Artifacts below `s3://bucket/prefix`.

    Args:
        url: of the cache.
        mirror: a folder of this machine; several processes may share it. It may be deleted at any time but during a
            run: what is needed comes again.
        progress: whether transfers show a bar.

    Raises:
        InputError: for a bucket that cannot be used, or a prefix that holds something else.
    """

    def __init__(self, url: str, mirror: Path, *, progress: bool = True) -> None:
        self.local = Store(mirror)
        super().__init__(mirror)
        self.remote = RemoteObjects(url)
        self.objects, self.name, self._progress = self.remote, self.remote.url, progress
        self._made = False
        if not self._is_made() and not self.remote.is_empty() and not self._is_made():  # made since the first look
            raise InputError("not a cache, and not empty", where=self.name, fix="name an empty or a new prefix")

    def open(self, entry: Entry) -> Artifact:
        """The artifact; its files may not be here, see `materialise`.

        Raises:
            InputError: see `Artifact.open`.
        """
        where = f"{self.name}/{entry.name}"
        manifest = Manifest.from_json(self.read(entry, MANIFEST_FILE) or b"", where)
        if manifest.key != entry.key:
            raise InputError(f"the prefix holds the artifact {manifest.key[:12]}", where=where, fix="`bevprior verify`")
        return Artifact(self.root / entry.name, manifest)

    def check(self, artifact: Artifact) -> None:
        """Nothing: a bucket has no half copies, and its files are checked when they are brought here."""

    def materialise(self, artifact: Artifact) -> Artifact:
        """The artifact in the mirror, brought there and checked by its digests if it is not."""
        entry = Entry(artifact.stage, artifact.key)
        with explain_write_errors(self.root):
            if (self.root / entry.name).exists():
                with suppress(InputError):
                    here = self.local.open(entry)
                    here.check_complete()
                    if here.output_digest == artifact.output_digest:
                        return here
                self.local.objects.delete_all(self.local.discard(entry))
            with scratch_folder(self.local.prepared() / TRASH, f"{entry.stage}-{entry.key}") as folder:
                self.download(entry, folder, artifact.manifest.files)
                return LocalPlace(folder, self.root / entry.name).publish(artifact.manifest)

    def mend_copy(self, entry: Entry) -> bool:
        """See `Store.mend_copy`."""
        if not self.local.entries(entry.key) or not any(verify(self.local, [entry], full=True)):
            return False
        self.local.objects.delete_all(self.local.discard(entry))
        return True

    def measure(self, entry: Entry, file: str, *, digest: bool) -> FileEntry | None:
        """See `Catalogue.measure`."""
        name = f"{entry.name}/{file}"
        if digest:
            return self.remote.digest(name)
        size = self.remote.size(name)
        return None if size is None else FileEntry(size, "")

    def discard(self, entry: Entry) -> str:
        """See `Catalogue.discard`; the mirror forgets it too."""
        for name in (MANIFEST_FILE, MANIFEST_COPY):
            self.remote.delete(f"{entry.name}/{name}")
        if (self.root / entry.name).exists():
            self.local.objects.delete_all(self.local.discard(entry))
        return entry.name

    def age_s(self, name: str) -> float:
        """See `Catalogue.age_s`; the times are the server's."""
        for mark in (f"{name}/{MANIFEST_FILE}", name):
            if (modified_s := self.remote.modified_s(mark)) is not None:
                return time.time() - modified_s
        return time.time() - (self.remote.newest_s(name) or 0.0)

    def reopen(self, artifact: Artifact, receipts: Mapping[str, Receipt]) -> None:
        """See `Store.reopen`."""
        work = self._work(artifact.manifest.spec)
        work.remove()
        self.objects.put(work.repaired, artifact.manifest.to_json())
        for unit, receipt in receipts.items():
            work.put_receipt(unit, receipt)
        self.discard(Entry(artifact.stage, artifact.key))  # while it was there, the receipts meant nothing

    def receive(self, artifact: Artifact, progress: Callable[[int], object] = lambda _: None) -> None:
        """See `Store.receive`."""
        self._create()
        entry = Entry(artifact.stage, artifact.key)
        for file, listed in artifact.manifest.files.items():
            if not is_whole(artifact.path / file, listed) or sha256_of(artifact.path / file) != listed.sha256:
                where = f"{artifact.stage} {artifact.key[:12]}, {artifact.path / file}"
                raise InputError("a file of the artifact is damaged", where=where, fix=artifact.remedy)
            progress(listed.bytes)
        self.upload(entry, artifact.path, artifact.manifest.files)
        self.put_manifest(entry, artifact.manifest)

    @contextmanager
    def builds_held(self) -> Iterator[None]:
        """Nothing can keep other machines from beginning a build; the grace period has to do."""
        yield

    def _work(self, spec: KeySpec) -> Work:
        name = f"{spec.stage}-{spec.key}"
        return Work(self.objects, self.root / TMP / name, name)

    def _place(self, spec: KeySpec, work: Work) -> Place:
        return RemotePlace(self, Entry(spec.stage, spec.key), work)

    def _is_made(self) -> bool:
        """Whether the bucket has the marker of a cache, which is checked once."""
        if not self._made and (marker := self.remote.read(MARKER_FILE)) is not None:
            check_marker(marker.data, self.name)
            self._made = True
        return self._made

    def _create(self) -> None:
        super()._create()
        if not self._is_made():
            self.remote.check_swaps()
            with suppress(ConflictError):  # another machine was quicker
                self.remote.put(MARKER_FILE, MARKER, expect=ABSENT)
            self._is_made()

    def upload(self, entry: Entry, folder: Path, files: Mapping[str, FileEntry]) -> None:
        """Copies files below `folder` to where the artifact is, or will be."""
        self.remote.upload_all([(f"{entry.name}/{file}", folder / file) for file in files], self._progress)

    def download(self, entry: Entry, folder: Path, files: Mapping[str, FileEntry]) -> None:
        """Brings files of an artifact, or a build, below `folder`, each checked by its digest."""
        items = [(f"{entry.name}/{file}", folder / file, listed) for file, listed in files.items()]
        self.remote.download_all(items, self._progress)

    def put_manifest(self, entry: Entry, manifest: Manifest) -> None:
        """Makes the files that are there an artifact."""
        strays = {file for file, _ in self.files(entry)} - manifest.files.keys() - {MANIFEST_FILE, MANIFEST_COPY}
        for file in strays:  # of attempts that went another way
            self.remote.delete(f"{entry.name}/{file}")
        self.remote.put(f"{entry.name}/{MANIFEST_COPY}", manifest.to_json())
        self.remote.put(f"{entry.name}/{MANIFEST_FILE}", manifest.to_json())


class RemotePlace:
    """Artifacts in a bucket. See `cache.place.Place`."""

    def __init__(self, store: RemoteStore, entry: Entry, work: Work) -> None:
        self._store, self._entry, self._work = store, entry, work
        self._sizes: dict[str, int] = {}

    def keep(self, files: Mapping[str, FileEntry]) -> None:
        """Uploads them to where they will stay."""
        self._store.upload(self._entry, self._work.data, files)
        self._sizes |= {path: listed.bytes for path, listed in files.items()}

    def has(self, files: Mapping[str, FileEntry]) -> bool:
        """Whether they are in the bucket; looked up at most once for files that were."""
        if any(self._sizes.get(path) != listed.bytes for path, listed in files.items()):
            self._sizes = dict(self._store.files(self._entry))
        return all(self._sizes.get(path) == listed.bytes for path, listed in files.items())

    def gather(self, files: Mapping[str, FileEntry]) -> None:
        """Downloads those that others made."""
        missing = {path: listed for path, listed in files.items() if not is_whole(self._work.data / path, listed)}
        self._store.download(self._entry, self._work.data, missing)

    def publish(self, manifest: Manifest) -> Artifact:
        """Puts the manifest into the bucket, and the folder into the mirror."""
        self._store.put_manifest(self._entry, manifest)
        return LocalPlace(self._work.data, self._store.root / self._entry.name).publish(manifest)

    def find(self) -> Artifact | None:
        """See `cache.place.Place`."""
        return self._store.open(self._entry) if self._store.exists(self._entry) else None
