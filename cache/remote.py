"""Objects in a bucket: what several machines share without a common file system."""

import hashlib
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from cache.bucket import Bucket, is_conflict, is_missing, may_pass
from cache.manifest import FileEntry
from cache.objects import ABSENT, ConflictError, Object, check_name
from cache.streams import Meter, MeteredFile, receive, transfer_all
from scene.errors import InputError

if TYPE_CHECKING:
    from obstore import ObjectMeta, PutMode, PutResult

Result = TypeVar("Result")

SILENCE_S = 4.0
"""How long a bucket may be silent on a request; three such silences in a row are an error."""

PATIENCE_S = 60.0
"""The same for a part of a file, whose bytes take time to leave, and for the removal of many objects."""

PART_BYTES = 5 * 2**20
"""Size of a part of a file that is uploaded; S3 takes no smaller ones, and no more of them than `MAX_PARTS`."""

MAX_PARTS = 10_000
CHUNK_BYTES = 2**20
TRIALS = "access"
"""Below it are the objects by which a bucket is tried."""


class RemoteObjects:
    """Objects below `s3://bucket/prefix`; an object's version is its ETag.

    A swap is one conditional PUT (If-None-Match: * or If-Match), which the server must honour, as Amazon S3 does since
    2024. A PUT that got no answer may have been carried out or not: it is repeated, and where the repetition meets the
    bytes that it brings, it counts as done. Writers that must be told apart therefore write different bytes.

    Every method raises InputError, one line, if the bucket cannot be reached or used.
    """

    def __init__(self, url: str) -> None:
        """Raises InputError for a URL that names no bucket, without credentials, and for an open endpoint."""
        self._bucket = Bucket.of_url(url)
        self.url = self._bucket.url
        self._store = self._bucket.connect(silence_s=SILENCE_S, retries=_ATTEMPTS - 1)
        self._store_once = self._bucket.connect(silence_s=SILENCE_S, retries=0)
        self._patient_store = self._bucket.connect(silence_s=PATIENCE_S, retries=_ATTEMPTS - 1)

    def __reduce__(self) -> tuple[type["RemoteObjects"], tuple[str]]:
        return RemoteObjects, (self.url,)  # credentials stay in the environment

    def check_access(self) -> None:
        """Raises InputError unless the bucket answers, and lets its objects be listed."""
        import obstore

        with self._bucket.explain_errors():
            next(iter(obstore.list(self._store, TRIALS, chunk_size=1)), None)

    def is_empty(self) -> bool:
        """Whether nothing is below the prefix, but for what a killed `check_swaps` left."""
        import obstore

        with self._bucket.explain_errors():
            pages = obstore.list(self._store, chunk_size=10)
            return all(entry["path"].startswith(f"{TRIALS}/") for page in pages for entry in page)

    def check_swaps(self) -> None:
        """Raises InputError unless the server honours conditional writes: older ones take no notice of them.

        Four small requests; once is enough for a bucket.
        """
        name = f"{TRIALS}/{uuid.uuid4().hex}"
        version = self.put(name, b"first", expect=ABSENT)
        try:
            for expect in (ABSENT, f'"{"0" * 32}"'):
                with suppress(ConflictError):
                    self.put(name, b"second", expect=expect)
                    fix = "use one that has them, as Amazon S3 does: without, two processes could do the same work"
                    raise InputError("the object store has no conditional writes", where=self.url, fix=fix)
            self.put(name, b"third", expect=version)
        finally:
            self.delete(name)

    def read(self, name: str) -> Object | None:
        """See `Objects.read`."""
        import obstore

        check_name(name)
        with self._bucket.explain_errors(name):
            try:
                found = obstore.get(self._store, name)
                return Object(bytes(found.bytes()), _version(found.meta))
            except FileNotFoundError as error:
                if is_missing(error):
                    return None
                raise

    def size(self, name: str) -> int | None:
        """See `Objects.size`."""
        found = self._head(name)
        return None if found is None else found["size"]

    def modified_s(self, name: str) -> float | None:
        """When the object was written, in seconds since 1970 by the server's clock; None where there is none."""
        found = self._head(name)
        return None if found is None else found["last_modified"].timestamp()

    def newest_s(self, prefix: str) -> float | None:
        """When the newest object below `prefix/` was written, as `modified_s`; None where there is none."""
        import obstore

        check_name(prefix)
        with self._bucket.explain_errors():
            pages = obstore.list(self._store, prefix, chunk_size=1000)
            return max((entry["last_modified"].timestamp() for page in pages for entry in page), default=None)

    def digest(self, name: str) -> FileEntry | None:
        """Size and digest of the object's bytes, which are read for that; None where there is none."""
        found = self._head(name)
        if found is None:
            return None
        hashed = hashlib.sha256()
        for chunk in self._chunks(name):
            hashed.update(chunk)
        return FileEntry(found["size"], hashed.hexdigest())

    def put(self, name: str, data: bytes, *, expect: str | None = None, durable: bool = True) -> str:  # noqa: ARG002
        """See `Objects.put`; what a bucket has accepted is durable. For up to some megabytes: `upload` for more."""
        import obstore

        check_name(name)
        if expect is not None:
            return self._swap(name, data, "create" if expect == ABSENT else {"e_tag": expect})
        with self._bucket.explain_errors(name):
            return _version(obstore.put(self._store, name, data, mode="overwrite", use_multipart=False))

    def delete(self, name: str, *, expect: str | None = None) -> None:
        """See `Objects.delete`.

        With `expect`, the object is read, compared and then deleted: many servers have no conditional DELETE. What
        another writer puts between the two is deleted too, so expect only of objects that nobody but their deleter
        changes any more, or whose next writer notices that they are gone.
        """
        import obstore

        check_name(name)
        if expect is not None:
            found = self.read(name)
            if found is None:
                return
            if found.version != expect:
                raise ConflictError(name)
        self._insist(lambda _: obstore.delete(self._store_once, name), name)

    def scan(self, prefix: str) -> Iterator[tuple[str, int]]:
        """See `Objects.scan`."""
        import obstore

        check_name(prefix)
        with self._bucket.explain_errors():
            pages = obstore.list(self._store, prefix, chunk_size=1000)
            found = sorted((entry["path"], entry["size"]) for page in pages for entry in page)
        yield from found

    def folders(self, prefix: str) -> Sequence[str]:
        """See `Objects.folders`."""
        import obstore

        check_name(prefix)
        with self._bucket.explain_errors():
            found = obstore.list_with_delimiter(self._store, prefix)
        return sorted(path.rpartition("/")[2] for path in found["common_prefixes"])

    def delete_all(self, prefix: str) -> None:
        """See `Objects.delete_all`; what is written there meanwhile may stay."""
        import obstore

        names = [name for name, _ in self.scan(prefix)]
        self._insist(lambda _: obstore.delete(self._patient_store, names))

    def upload(self, name: str, file: Path) -> None:
        """Puts a file's bytes there, whole or not at all, in parts if it is large; never all of them in memory."""
        self.upload_all([(name, file)], progress=False)

    def upload_all(self, pairs: Iterable[tuple[str, Path]], progress: bool) -> None:
        """Uploads files, several at once; the first failure cancels the rest. What was uploaded before stays.

        Args:
            pairs: name and file.
            progress: whether a bar shows the bytes done and the time left.
        """
        pairs = list(pairs)
        self.check_access()
        jobs = [partial(self._upload, name, file) for name, file in pairs]
        total_bytes = sum(file.stat().st_size for _, file in pairs)
        transfer_all(jobs, total_bytes=total_bytes, title="upload", progress=progress)

    def download(self, name: str, file: Path, *, bytes: int, sha256: str) -> None:
        """Brings an object's bytes to `file`, checked on the way; by a rename at the end, so whole or not at all.

        Raises:
            InputError: if there is no such object, or it is not of that size and digest.
        """
        self._download(name, file, FileEntry(bytes, sha256), Meter())

    def download_all(self, items: Iterable[tuple[str, Path, FileEntry]], progress: bool) -> None:
        """Downloads objects as `download` does, several at once; the first failure cancels the rest.

        Args:
            items: name, file, and what its bytes must be.
            progress: whether a bar shows the bytes done and the time left.
        """
        items = list(items)
        jobs = [partial(self._download, *item) for item in items]
        transfer_all(jobs, total_bytes=sum(entry.bytes for _, _, entry in items), title="download", progress=progress)

    def _head(self, name: str) -> "ObjectMeta | None":
        import obstore

        check_name(name)
        with self._bucket.explain_errors(name):
            try:
                return obstore.head(self._store, name)
            except FileNotFoundError:
                return None  # a HEAD has no body that could tell more

    def _swap(self, name: str, data: bytes, mode: "PutMode") -> str:
        import obstore

        def write(attempt: int) -> str:
            try:
                return _version(obstore.put(self._store_once, name, data, mode=mode, use_multipart=False))
            except (obstore.exceptions.BaseError, FileNotFoundError) as error:
                if not is_conflict(error):
                    raise
            found = self.read(name) if attempt else None
            if found is not None and found.data == data:
                return found.version
            raise ConflictError(name)

        return self._insist(write, name)

    def _insist(self, request: Callable[[int], Result], name: str = "") -> Result:
        """Repeats a change that got no answer, which obstore does not; `request` learns the attempt's number."""
        from obstore.exceptions import BaseError

        with self._bucket.explain_errors(name):
            for attempt in range(_ATTEMPTS - 1):
                try:
                    return request(attempt)
                except BaseError as error:
                    if not may_pass(error):
                        raise
                time.sleep(_PAUSE_S * (attempt + 1))
            return request(_ATTEMPTS - 1)

    def _upload(self, name: str, file: Path, meter: Meter) -> None:
        import obstore

        check_name(name)
        part_bytes = max(PART_BYTES, file.stat().st_size // (MAX_PARTS - 1))
        with MeteredFile(file, meter) as stream, self._bucket.explain_errors(name):
            obstore.put(self._patient_store, name, stream, chunk_size=part_bytes, max_concurrency=1)

    def _download(self, name: str, file: Path, expected: FileEntry, meter: Meter) -> None:
        check_name(name)
        receive(self._chunks(name), file, expected, meter, where=f"{self.url}/{name}")

    def _chunks(self, name: str) -> Iterator[memoryview]:
        import obstore

        with self._bucket.explain_errors(name):
            for chunk in obstore.get(self._store, name).stream(min_chunk_size=CHUNK_BYTES):
                yield memoryview(chunk)


_ATTEMPTS = 3
_PAUSE_S = 0.2


def _version(of: "PutResult | ObjectMeta") -> str:
    version = of["e_tag"]
    if version is None:
        raise InputError("the object store gives objects no ETag", fix="use one that does, and has conditional writes")
    return version
