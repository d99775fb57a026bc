"""Finds damage: files that are missing, cut short, changed or too many, and records at odds with themselves."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

from cache.documents import DamagedError, seal, unseal
from cache.manifest import MANIFEST_COPY, MANIFEST_FILE, FileEntry, Manifest
from cache.objects import Objects
from cache.roots import PINS, RUNS
from cache.store import Entry, Store
from scene.errors import InputError


@dataclass(frozen=True)
class Damage:
    """One thing that is not as it was written.

    Attributes:
        stage, key: of the artifact; the key is "" for a record that belongs to none.
        file: below the artifact, or the record's name in the cache.
        unit: of work that wrote the file, "" for what its stage wrote at the end.
        what: what is wrong, in words.
    """

    stage: str
    key: str
    file: str
    unit: str
    what: str


def verify(
    store: Store, entries: Iterable[Entry], *, full: bool = False, progress: Callable[[int], object] = lambda _: None
) -> Iterator[Damage]:
    """What is damaged in these artifacts.

    Args:
        store: the cache.
        entries: the artifacts to look at.
        full: read every byte and compare digests; else sizes and names alone.
        progress: told of the bytes that were looked at.
    """
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(len(os.sched_getaffinity(0))))
        stack.callback(pool.shutdown, cancel_futures=True)  # whoever stops listening does not wait for what is queued
        for entry in entries:
            manifest, text = None, None
            for name in (MANIFEST_FILE, MANIFEST_COPY):
                other = store.read(entry, name)
                if manifest is not None and other == text:
                    continue
                found_manifest, wrong = _manifest(entry, name, text := other)
                manifest = manifest or found_manifest
                if wrong:
                    yield Damage(entry.stage, entry.key, name, "", wrong)
            if manifest is None:
                continue
            listed = manifest.files

            def look(batch: Sequence[str], entry: Entry = entry, listed: Mapping[str, FileEntry] = listed) -> list[str]:
                return [_wrong(store, entry, file, listed[file], full=full) for file in batch]

            batches = _batches(listed)
            for batch, found in zip(batches, pool.map(look, batches), strict=True):
                for file, wrong in zip(batch, found, strict=True):
                    progress(listed[file].bytes)
                    if wrong:
                        yield Damage(entry.stage, entry.key, file, listed[file].unit, wrong)
            for file, _ in store.files(entry):
                if file not in listed and file not in (MANIFEST_FILE, MANIFEST_COPY):
                    yield Damage(entry.stage, entry.key, file, "", "not in the manifest")


def verify_records(objects: Objects) -> Iterator[Damage]:
    """Pins, runs and receipts that do not agree with their own digest."""
    for folder in (PINS, RUNS, "tmp"):
        for name, _ in objects.scan(folder):
            if folder == "tmp" and name.split("/")[2:3] not in (["done"], ["attempts"]):
                continue
            found = objects.read(name)
            try:
                intact = found is None or seal(unseal(found.data)) == found.data
            except DamagedError:
                intact = False
            if not intact:
                yield Damage("", "", name, "", "damaged record")


def _batches(listed: Mapping[str, FileEntry]) -> list[list[str]]:
    """The files in portions for one thread each: handing over a small file takes longer than hashing it."""
    batches: list[list[str]] = []
    room = 0
    for file, expected in listed.items():
        if room <= 0:
            batches.append([])
            room = _BATCH_BYTES
        batches[-1].append(file)
        room -= expected.bytes + _BATCH_BYTES // _BATCH_FILES
    return batches


_BATCH_FILES, _BATCH_BYTES = 64, 4 << 20


def _manifest(entry: Entry, name: str, text: bytes | None) -> tuple[Manifest | None, str]:
    """What the manifest or its copy says, and what is wrong with it."""
    if text is None:
        return None, "missing"
    try:
        manifest = Manifest.from_json(text, name)
    except InputError as error:
        return None, error.what
    if manifest.key != entry.key:
        return None, "another artifact's"
    return manifest, "" if manifest.to_json() == text else "changed"  # by what means nothing, such as a line's end


def _wrong(store: Store, entry: Entry, file: str, listed: FileEntry, *, full: bool) -> str:
    """What is wrong with a listed file; "" if nothing is."""
    found = store.measure(entry, file, digest=full)
    if found is None:
        return "missing"
    if found.bytes != listed.bytes:
        return f"{found.bytes} bytes instead of {listed.bytes}"
    return "changed" if full and found.sha256 != listed.sha256 else ""
