"""Many files over the network at once, with one progress bar; the first failure ends them all."""

import hashlib
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from io import FileIO
from pathlib import Path

from tqdm import tqdm

from cache.durable import partial_of
from cache.manifest import FileEntry
from scene.errors import InputError

THREADS = 8
SHOW_AFTER_S = 1.0
"""A transfer that takes no longer shows no bar."""

_FIX = "`bevprior verify --full` says whose it is, `bevprior repair` mends it"


class CancelledError(Exception):
    """Another transfer failed, and this one was ended with it."""


class Meter:
    """Counts the bytes that several threads move, and is where they learn that they are to stop."""

    def __init__(self, show: Callable[[int], object] | None = None) -> None:
        self._show, self._lock, self._stopped = show, threading.Lock(), threading.Event()

    def add(self, count: int) -> None:
        """Counts `count` bytes more.

        Raises:
            CancelledError: after `stop`.
        """
        if self._stopped.is_set():
            raise CancelledError
        if self._show is not None:
            with self._lock:
                self._show(count)

    def stop(self) -> None:
        """Ends every transfer at its next bytes."""
        self._stopped.set()


class MeteredFile(FileIO):
    """A file whose bytes are counted as they are read."""

    def __init__(self, file: Path, meter: Meter) -> None:
        super().__init__(file)
        self._meter = meter

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to `size` bytes."""
        data = super().read(size) or b""
        self._meter.add(len(data))
        return data


def receive(chunks: Iterable[memoryview], file: Path, expected: FileEntry, meter: Meter, *, where: str) -> None:
    """Writes what arrives to a partial file, and renames it to `file` once every byte was the expected one.

    Args:
        chunks: the bytes.
        file: where they go; its folder is made. Its name is not made durable: the caller does that for many at once.
        expected: their number and digest, computed while they are written.
        meter: counts them.
        where: they come from, for the message.

    Raises:
        InputError: if other bytes arrive.
    """
    digest, received = hashlib.sha256(), 0
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_of(file)
    try:
        with partial.open("wb") as stream:
            for chunk in chunks:
                received += len(chunk)
                if received > expected.bytes:
                    break
                digest.update(chunk)
                stream.write(chunk)
                meter.add(len(chunk))
        if (received, digest.hexdigest()) != (expected.bytes, expected.sha256):
            what = f"object is damaged: {received} bytes arrived, not the {expected.bytes} that were written"
            if received == expected.bytes:
                what = "object is damaged: its SHA-256 is not that of the bytes that were written"
            raise InputError(what, where=where, fix=_FIX)
        partial.replace(file)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def transfer_all(jobs: Sequence[Callable[[Meter], None]], *, total_bytes: int, title: str, progress: bool) -> None:
    """Runs jobs in `THREADS` threads.

    Args:
        jobs: each moves one file and counts its bytes.
        total_bytes: what they will count together.
        title: of the progress bar.
        progress: whether there is one, with an estimate of the time left.

    Raises:
        Exception: the first job's that fails, once the others have ended; those not begun never begin.
    """
    with (
        tqdm(total=total_bytes, unit="B", unit_scale=True, desc=title, disable=not progress, delay=SHOW_AFTER_S) as bar,
        ThreadPoolExecutor(THREADS, thread_name_prefix="transfer") as pool,
    ):
        meter = Meter(bar.update)
        try:
            for job in as_completed([pool.submit(job, meter) for job in jobs]):
                job.result()
        except BaseException:
            meter.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
