"""The files of an artifact in the making."""

import hashlib
import os
from pathlib import Path

import pytest

from cache.contents import WORTH_THREADS, hash_files, plain_files
from cache.durable import PARTIAL
from cache.manifest import MANIFEST_FILE, FileEntry


def written(root: Path, *names: str) -> list[Path]:
    files = [root / name for name in names]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(file.name.encode())
    return files


def test_files_and_folders_may_be_named_in_any_way_and_twice(tmp_path: Path) -> None:
    b, deep, _ = written(tmp_path, "b", "folder/deep/c", "other/d")
    assert plain_files(tmp_path, ["folder", b, "b"]) == [b, deep]


def test_what_a_killed_writer_left_is_passed_over(tmp_path: Path) -> None:
    whole, _ = written(tmp_path, "a", f"a.x{PARTIAL}")
    assert plain_files(tmp_path, [tmp_path]) == [whole]


@pytest.mark.parametrize("kind", ["link", "pipe", "manifest"])
def test_what_is_no_plain_file_is_refused(tmp_path: Path, kind: str) -> None:
    (file,) = written(tmp_path, "a" if kind != "manifest" else MANIFEST_FILE)
    if kind == "link":
        (tmp_path / "link").symlink_to(file)
    elif kind == "pipe":
        os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="plain files only"):
        plain_files(tmp_path, [tmp_path])


def test_a_manifest_further_down_is_a_file_like_others(tmp_path: Path) -> None:
    files = written(tmp_path, f"below/{MANIFEST_FILE}")
    assert plain_files(tmp_path, [tmp_path]) == files


def test_a_path_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        plain_files(tmp_path, ["gone"])


@pytest.mark.parametrize("count", [1, WORTH_THREADS + 1])
def test_digests_are_those_of_the_bytes(tmp_path: Path, count: int) -> None:
    names = [f"folder/{number}" for number in range(count)]
    files = written(tmp_path, *names)
    expected = {
        name: FileEntry(len(file.name), hashlib.sha256(file.name.encode()).hexdigest())
        for name, file in zip(names, files, strict=True)
    }
    assert hash_files(tmp_path, files) == expected
