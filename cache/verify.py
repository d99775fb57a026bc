"""Finds damage: files that are missing, cut short, changed or too many, and records at odds with themselves."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

from cache.documents import DamagedError, unseal
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
        pool = stack.enter_context(ThreadPoolExecutor(os.cpu_count()))
        stack.callback(pool.shutdown, cancel_futures=True)  # whoever stops listening does not wait for what is queued
        for entry in entries:
            manifest = None
            for name in (MANIFEST_FILE, MANIFEST_COPY):
                found_manifest, wrong = _manifest(store, entry, name)
                manifest = manifest or found_manifest
                if wrong:
                    yield Damage(entry.stage, entry.key, name, "", wrong)
            if manifest is None:
                continue
            listed = manifest.files

            found = pool.map(lambda item, entry=entry: _wrong(store, entry, *item, full=full), listed.items())
            for (file, expected), wrong in zip(listed.items(), found, strict=True):
                progress(expected.bytes)
                if wrong:
                    yield Damage(entry.stage, entry.key, file, expected.unit, wrong)
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
                if found is not None:
                    unseal(found.data)
            except DamagedError:
                yield Damage("", "", name, "", "damaged record")


def _manifest(store: Store, entry: Entry, name: str) -> tuple[Manifest | None, str]:
    """What the manifest or its copy says, and what is wrong with it."""
    text = store.read(entry, name)
    if text is None:
        return None, "missing"
    try:
        manifest = Manifest.from_json(text, name)
    except InputError as error:
        return None, error.what
    return (manifest, "") if manifest.key == entry.key else (None, "another artifact's")


def _wrong(store: Store, entry: Entry, file: str, listed: FileEntry, *, full: bool) -> str:
    """What is wrong with a listed file; "" if nothing is."""
    found = store.measure(entry, file, digest=full)
    if found is None:
        return "missing"
    if found.bytes != listed.bytes:
        return f"{found.bytes} bytes instead of {listed.bytes}"
    return "changed" if full and found.sha256 != listed.sha256 else ""
