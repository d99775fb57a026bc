"""What is on the disk when a unit is marked done, and in which order it came there."""

import os
from pathlib import Path

import numpy as np
import pytest

from cache.arrays import ArraySpec, chunk_files, create_arrays
from cache.durable import WORTH_ONE_CALL, sync_files
from cache.keys import KeySpec
from cache.objects import ABSENT, LocalObjects
from cache.store import Store


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files and folders in the order in which their syncs were over."""
    paths = []
    whole = os.fsync

    def fsync(descriptor: int) -> None:
        whole(descriptor)
        paths.append(Path(f"/proc/self/fd/{descriptor}").readlink())

    monkeypatch.setattr(os, "fsync", fsync)
    return paths


def test_files_and_every_folder_up_to_the_root_are_synced(tmp_path, synced):
    for name in ("a/b/one", "a/two"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    sync_files(tmp_path, ["a/b/one", "a/two"])
    assert set(synced) == {tmp_path, *(tmp_path / name for name in ("a", "a/b", "a/b/one", "a/two"))}


@pytest.mark.parametrize("count", [3, WORTH_ONE_CALL + 1])
def test_a_file_that_is_gone_or_a_disk_that_fails_is_no_success(tmp_path, monkeypatch, count):
    names = [str(number) for number in range(count)]
    for name in names[:-1]:
        (tmp_path / name).write_text("x")
    if count <= WORTH_ONE_CALL:
        with pytest.raises(FileNotFoundError):
            sync_files(tmp_path, names)

    def fails(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="Input/output"):
        sync_files(tmp_path, names[:1])


def test_a_new_object_is_synced_with_all_its_folders(tmp_path, synced):
    LocalObjects(tmp_path).put("tmp/build/done/unit.json", b"x", expect=ABSENT)
    folders = [tmp_path / name for name in ("tmp", "tmp/build", "tmp/build/done")]
    assert {tmp_path, *folders, tmp_path / "tmp/build/done/unit.json"} <= set(synced)


def test_a_receipt_is_written_when_what_it_speaks_of_is_on_the_disk(tmp_path, synced):
    store = Store(tmp_path / "cache")
    with store.build(KeySpec("toy", 1, {}), {}) as build:
        group = create_arrays(
            build.path / "x.zarr", [ArraySpec("x", (4, 2), "u1", (1, 2), (2, 2), ("row", "column"), 0)]
        )
        for unit, rows in zip(build.units(["first", "second"]), (slice(0, 2), slice(2, 4)), strict=False):
            group["x"][rows] = np.ones((2, 2))
            written = chunk_files(build.path / "x.zarr", rows)
            synced.clear()
            build.mark_done(unit, written)
            files = [file for path in written for file in [path, *path.rglob("*")]]
            receipt = next(place for place, path in enumerate(synced) if "done" in path.parts)
            assert set(files) <= set(synced[:receipt])
            assert build.path in synced[:receipt]
            assert {path.name for path in synced[receipt:]} >= {f"{unit}.json", "done"}
