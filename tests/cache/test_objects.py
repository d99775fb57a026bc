"""What objects in a folder and in a bucket have in common: the same assertions over both."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cache.objects import ABSENT, ConflictError, LocalObjects, Objects
from cache.remote import RemoteObjects

THREADS = 8


@pytest.fixture(params=["folder", "bucket"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    if request.param == "folder":
        return LocalObjects(tmp_path)
    return RemoteObjects(request.getfixturevalue("bucket_url"))


def in_threads(work: Callable[[int], None]) -> None:
    start = threading.Barrier(THREADS)

    def begin(number: int) -> None:
        start.wait()
        work(number)

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("data", [b"", b"bytes", bytes(range(256)) * 4000])
def test_what_is_put_is_read(objects: Objects, data: bytes) -> None:
    version = objects.put("a/b.json", data)
    found = objects.read("a/b.json")
    assert found is not None
    assert (found.data, found.version) == (data, version)


def test_a_name_may_hold_other_characters(objects: Objects) -> None:
    name = "units/x=1 %41 ü#?+&.json"
    objects.put(name, b"1", expect=ABSENT)
    assert objects.read(name) is not None
    assert [name for name, _ in objects.scan("units")] == [name]


def test_put_without_an_expectation_overwrites(objects: Objects) -> None:
    first = objects.put("a", b"1")
    second = objects.put("a", b"2")
    assert first != second
    assert objects.read("a").data == b"2"  # type: ignore[union-attr]


def test_put_with_the_version_that_is_there_swaps(objects: Objects) -> None:
    version = objects.put("a", b"1", expect=ABSENT)
    version = objects.put("a", b"2", expect=version)
    assert objects.put("a", b"3", expect=version) == objects.read("a").version  # type: ignore[union-attr]


def test_put_where_there_is_one_already_conflicts(objects: Objects) -> None:
    objects.put("a", b"1", expect=ABSENT)
    with pytest.raises(ConflictError):
        objects.put("a", b"2", expect=ABSENT)
    assert objects.read("a").data == b"1"  # type: ignore[union-attr]


def test_put_with_an_old_version_conflicts(objects: Objects) -> None:
    version = objects.put("a", b"1")
    objects.put("a", b"2")
    with pytest.raises(ConflictError):
        objects.put("a", b"3", expect=version)
    assert objects.read("a").data == b"2"  # type: ignore[union-attr]


def test_delete(objects: Objects) -> None:
    version = objects.put("a/b", b"1")
    objects.delete("a/b", expect=version)
    assert objects.read("a/b") is None
    objects.put("a/b", b"1")
    objects.delete("a/b")
    assert objects.read("a/b") is None


def test_delete_of_another_version_conflicts(objects: Objects) -> None:
    version = objects.put("a", b"1")
    objects.put("a", b"2")
    with pytest.raises(ConflictError):
        objects.delete("a", expect=version)
    assert objects.read("a").data == b"2"  # type: ignore[union-attr]


def test_an_object_may_vanish_at_any_moment(objects: Objects) -> None:
    version = objects.put("a/b", b"1")
    listed = list(objects.scan("a"))
    objects.delete("a/b")
    assert listed == [("a/b", 1)]
    assert objects.read("a/b") is None
    with pytest.raises(ConflictError):
        objects.put("a/b", b"2", expect=version)
    assert objects.read("a/b") is None
    objects.delete("a/b", expect=version)
    objects.delete("a/b")
    assert objects.put("a/b", b"1", expect=ABSENT) == version


def test_list_is_of_what_lies_below_sorted(objects: Objects) -> None:
    names = ["a/b/c", "a/b-c", "a/b", "a/z/1", "a/Z", "ab/c", "b"]
    for name in names:
        if name != "a/b":  # a folder cannot hold both a/b and a/b/c
            objects.put(name, name.encode())
    below = sorted(name for name in names if name.startswith("a/") and name != "a/b")
    assert list(objects.scan("a")) == [(name, len(name)) for name in below]
    assert list(objects.scan("a/b")) == [("a/b/c", 5)]
    assert list(objects.scan("none")) == []


def test_folders_are_those_with_objects_below_them(objects: Objects) -> None:
    for name in ["a/x/1/2", "a/x/2", "a/w/1", "a/file", "a/emptied/1", "b/y/1"]:
        objects.put(name, b"")
    objects.delete("a/emptied/1")
    assert objects.folders("a") == ["w", "x"]
    assert objects.folders("a/x") == ["1"]
    assert objects.folders("none") == []


def test_delete_all_is_of_what_lies_below(objects: Objects) -> None:
    for name in ["a/x/1", "a/x/2/3", "a/xy", "b/x/1"]:
        objects.put(name, b"")
    objects.delete_all("a/x")
    assert [name for name, _ in objects.scan("a")] == ["a/xy"]
    assert [name for name, _ in objects.scan("b")] == ["b/x/1"]
    objects.delete_all("none")


def test_of_many_that_create_an_object_one_wins(objects: Objects) -> None:
    for race in range(5):
        winners = []

        def create(number: int, name: str = f"race/{race}", winners: list[int] = winners) -> None:
            try:
                objects.put(name, str(number).encode(), expect=ABSENT)
            except ConflictError:
                return
            winners.append(number)

        in_threads(create)
        assert len(winners) == 1
        assert objects.read(f"race/{race}").data == str(winners[0]).encode()  # type: ignore[union-attr]


def test_no_increment_of_a_counter_is_lost(objects: Objects) -> None:
    objects.put("counter", b"0")

    def increment(_: int) -> None:
        done = 0
        while done < 4:
            found = objects.read("counter")
            assert found is not None
            try:
                objects.put("counter", str(int(found.data) + 1).encode(), expect=found.version, durable=False)
            except ConflictError:
                continue
            done += 1

    in_threads(increment)
    assert objects.read("counter").data == str(4 * THREADS).encode()  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["", "/a", "..", "../a", "a/../../b", "a//b", "a/", "./a", "a\\b", "a\0b"])
def test_other_names_are_refused(objects: Objects, name: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: objects.read(name),
        lambda: objects.put(name, b""),
        lambda: objects.put(name, b"", expect=ABSENT),
        lambda: objects.delete(name),
        lambda: list(objects.scan(name)),
        lambda: objects.folders(name),
        lambda: objects.delete_all(name),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="not the name of an object"):
            call()
