"""A remembered digest is never that of a file that changed since."""

import hashlib
import os
from pathlib import Path

import pytest

from cache import digests
from cache.digests import MEMORY_FILE, WORTH_BYTES, outside_digest, remembering


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were hashed; what changes in a test counts as settled at once."""
    found = []
    whole = digests.sha256_of
    monkeypatch.setattr(digests, "sha256_of", lambda file: found.append(file) or whole(file))
    monkeypatch.setattr(digests, "SETTLED_S", 0.0)
    return found


def look(cache: Path, file: Path) -> str:
    with remembering(cache):
        digest = outside_digest(file)
    assert digest == hashlib.sha256(file.read_bytes()).hexdigest()
    return digest


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "cache").mkdir()
    file = tmp_path / "table.json"
    file.write_bytes(b"a" * WORTH_BYTES)
    return file


def test_an_unchanged_file_is_read_once(tmp_path, table, reads):
    assert look(tmp_path / "cache", table) == look(tmp_path / "cache", table)
    assert reads == [table]


def test_an_edit_that_keeps_size_and_time_is_noticed(tmp_path, table, reads):
    before, state = look(tmp_path / "cache", table), table.stat()
    with table.open("r+b") as stream:
        stream.write(b"b")
    os.utime(table, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert look(tmp_path / "cache", table) != before


def test_another_file_in_its_place_is_noticed(tmp_path, table, reads):
    before, state = look(tmp_path / "cache", table), table.stat()
    other = tmp_path / "other.json"
    other.write_bytes(b"c" * WORTH_BYTES)
    os.utime(other, ns=(state.st_atime_ns, state.st_mtime_ns))
    other.rename(table)
    assert look(tmp_path / "cache", table) != before


def test_what_has_just_changed_is_not_remembered(tmp_path, table, reads, monkeypatch):
    monkeypatch.setattr(digests, "SETTLED_S", 60.0)
    look(tmp_path / "cache", table)
    look(tmp_path / "cache", table)
    assert reads == [table, table]


def test_a_small_file_is_read_again(tmp_path, table, reads):
    table.write_bytes(b"a")
    look(tmp_path / "cache", table)
    assert not (tmp_path / "cache" / MEMORY_FILE).exists()


def test_a_damaged_memory_is_forgotten(tmp_path, table, reads):
    digest = look(tmp_path / "cache", table)
    memory = tmp_path / "cache" / MEMORY_FILE
    memory.write_bytes(memory.read_bytes().replace(digest.encode(), b"0" * 64))
    assert look(tmp_path / "cache", table) == digest
    assert reads == [table, table]


def test_no_folder_is_made_for_it_and_none_is_needed(tmp_path, table, reads):
    look(tmp_path / "absent", table)
    assert not (tmp_path / "absent").exists()
    assert outside_digest(table) == hashlib.sha256(table.read_bytes()).hexdigest()
