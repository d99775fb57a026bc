"""Damage to any file is named, never read as data, and undone with nothing computed twice."""

import json
import random
import shutil
from collections import Counter
from pathlib import Path

import pytest

from cache.keys import KeySpec
from cache.manifest import Artifact
from cache.repair import reopen, restore_manifest
from cache.roots import new_run, pin, record_run
from cache.store import Entry, Store
from cache.verify import Damage, verify, verify_records
from scene.errors import InputError
from tests.cache import toy
from tests.cache.damage import damage


@pytest.fixture
def built(tmp_path: Path) -> Artifact:
    return toy.recipe(tmp_path / "cache")[0]


def damages(root: Path, *, full: bool = True) -> list[Damage]:
    store = Store(root)
    return list(verify(store, store.entries(), full=full))


def test_a_whole_artifact_has_no_damage(tmp_path, built):
    seen = []
    assert list(verify(Store(tmp_path / "cache"), [Entry("toy", built.key)], full=True, progress=seen.append)) == []
    assert sum(seen) == sum(entry.bytes for entry in built.manifest.files.values())


def test_damage_among_many_small_files_is_named(tmp_path):
    def fill(build):
        for number in range(300):
            (build.path / f"{number}.txt").write_text(str(number))
        return {}

    store = Store(tmp_path / "cache")
    artifact, _ = store.get_or_build(KeySpec("many", 1, {}), {}, fill)
    (artifact.path / "7.txt").write_text("8")
    (artifact.path / "63.txt").unlink()
    (artifact.path / "64.txt").unlink()
    (artifact.path / "64.txt").symlink_to("65.txt")  # of the listed size, but no file of ours
    (artifact.path / "299.txt").write_text("")
    seen = []
    found = verify(store, store.entries(), full=True, progress=seen.append)
    assert {(d.file, d.what) for d in found} == {
        ("7.txt", "changed"),
        ("63.txt", "missing"),
        ("64.txt", "missing"),
        ("299.txt", "0 bytes instead of 3"),
    }
    assert len(seen) == 300


def test_every_kind_of_damage_to_every_file_is_named_and_repaired(tmp_path, built, monkeypatch):
    rng = random.Random(0)
    whole = tmp_path / "cache"
    names = [*built.manifest.files, "manifest.json", "manifest.copy.json"]
    kinds = Counter()
    for trial in range(60):
        root = shutil.copytree(whole, tmp_path / "damaged")
        store, folder = Store(root), root / "artifacts" / "toy" / built.key
        hit = rng.sample(names, rng.randint(1, 3))
        if {"manifest.json", "manifest.copy.json"} <= set(hit):
            hit.remove("manifest.json")
        kinds.update(damage(folder / name, rng) for name in hit)
        found = list(verify(store, store.entries(), full=True))
        assert {d.file for d in found} == set(hit), trial
        units = {d.unit for d in found}
        monkeypatch.setenv("TOY_LOG", str(tmp_path / "units.log"))
        artifact = restore_manifest(store, Entry("toy", built.key))
        if listed := [d for d in found if d.file in artifact.manifest.files]:
            reopen(store, artifact, listed)
        again, _ = toy.recipe(root)
        assert again.output_digest == built.output_digest
        assert damages(root) == []
        log = tmp_path / "units.log"
        computed = set(log.read_text().split()) if log.exists() else set()
        assert computed == units - {""}, "more, or less, than what was damaged"
        log.unlink(missing_ok=True)
        monkeypatch.delenv("TOY_LOG")
        shutil.rmtree(root)
    assert set(kinds) == {"flip", "truncate", "delete", "extend", "empty"}


def test_sizes_alone_miss_what_every_byte_shows(tmp_path, built):
    text = built.path / "text.txt"
    text.write_bytes(text.read_bytes().replace(b"half", b"HALF"))
    assert damages(tmp_path / "cache", full=False) == []
    (found,) = damages(tmp_path / "cache")
    assert found == Damage("toy", built.key, "text.txt", "text", "changed")


def test_files_too_many_and_links_are_damage(tmp_path, built):
    (built.path / "more.txt").write_text("who wrote this?")
    text = built.path / "text.txt"
    text.rename(tmp_path / "text.txt")
    text.symlink_to(tmp_path / "text.txt")
    found = {d.file: d.what for d in damages(tmp_path / "cache")}
    assert found == {"more.txt": "not in the manifest", "text.txt": "missing"}


def test_manifest_and_copy_damaged_is_one_line(tmp_path, built):
    for name in ("manifest.json", "manifest.copy.json"):
        (built.path / name).write_bytes(b"{}")
    with pytest.raises(InputError, match=r"both damaged.*bevprior rm"):
        restore_manifest(Store(tmp_path / "cache"), Entry("toy", built.key))


@pytest.mark.parametrize("name", ["manifest.json", "manifest.copy.json"])
def test_a_manifest_that_says_the_same_in_other_bytes_is_damage(tmp_path, built, name):
    file = built.path / name
    whole = file.read_bytes()
    for damaged in (whole + b"\n", whole[:-1], whole.replace(b" ", b"  ", 1)):
        file.write_bytes(damaged)
        assert [(d.file, d.what) for d in damages(tmp_path / "cache")] == [(name, "changed")]
        restore_manifest(Store(tmp_path / "cache"), Entry("toy", built.key))
        assert damages(tmp_path / "cache") == []
        assert file.read_bytes() == whole


def test_another_artifacts_manifest_is_damage(tmp_path, built):
    other = toy.recipe(tmp_path / "cache", slope=9)[0]
    shutil.copy(other.path / "manifest.json", built.path / "manifest.json")
    (found,) = damages(tmp_path / "cache")
    assert (found.key, found.file, found.what) == (built.key, "manifest.json", "another artifact's")


def test_records_at_odds_with_themselves_are_named(tmp_path, built):
    store = Store(tmp_path / "cache")
    pin(store.objects, "keep", built.key)
    record_run(store.objects, new_run("toy"))
    with store.build(toy.spec(slope=5), {}) as build:
        build.mark_done("shard/0")
    assert list(verify_records(store.objects)) == []
    files = [p for folder in ("pins", "runs", "tmp") for p in (store.root / folder).rglob("*.json")]
    files = [p for p in files if p.parent.name in ("pins", "runs", "done")]
    assert len(files) == 3
    for file in files:
        whole = file.read_bytes()
        file.write_bytes(whole + b"\n")
        assert [d.file for d in verify_records(store.objects)] == [file.relative_to(store.root).as_posix()]
        file.write_bytes(whole)
    for file in files:
        file.write_text(json.dumps({"sha256": "0" * 64}))
    assert {d.file for d in verify_records(store.objects)} == {p.relative_to(store.root).as_posix() for p in files}
    with store.build(toy.spec(slope=5), {}) as build:
        assert not build.is_done("shard/0"), "a damaged receipt is none"
