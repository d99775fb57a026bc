"""A cache in a bucket: what one machine did the others find, whoever is killed, whatever is lost on the way.

A machine is a process with a mirror of its own and, where it matters, another name.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from cache.folder import MARKER_FILE
from cache.gc import collect, survey
from cache.keys import KeySpec
from cache.manifest import MANIFEST_COPY, MANIFEST_FILE
from cache.remote import RemoteObjects
from cache.remote_store import RemoteStore
from cache.repair import reopen, restore_manifest
from cache.roots import pin, unpin
from cache.store import Entry, Store
from cache.transfer import lineage, transfer
from cache.verify import Damage, verify, verify_records
from scene.errors import InputError
from tests.cache import s3, toy

UNITS = {"shard/0", "shard/1", "shard/2", "text"}
MEMBER = """
import os, signal, sys, time
from pathlib import Path
from cache import leases
from cache.remote_store import RemoteStore
from tests.cache import toy
url, mirror, name, die_at, machine = sys.argv[1:6]
leases.MACHINE = machine or leases.MACHINE
os.environ["TOY_LOG"] = f"{mirror}.log"
log = toy.log
def slow(unit):
    log(unit)
    time.sleep(0.1)
    if unit == die_at:
        os.kill(os.getpid(), signal.SIGKILL)
toy.log = slow
print(toy.recipe_in(RemoteStore(url, Path(mirror), progress=False))[0].output_digest)
"""


def member(url: str, mirror: Path, *, die_at: str = "", machine: str = "") -> subprocess.Popen[str]:
    """A process that takes part in the toy build; what it computes is logged beside its mirror."""
    arguments = [sys.executable, "-c", MEMBER, url, str(mirror), mirror.name, die_at, machine]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def digest(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out.strip()


def killed(process: subprocess.Popen[str]) -> None:
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL


def computed(folder: Path) -> Counter[str]:
    return Counter(" ".join(log.read_text() for log in folder.glob("*.log")).split())


def damages(store: Store, *, full: bool = True) -> list[Damage]:
    return [*verify(store, store.entries(), full=full), *verify_records(store.objects)]


@pytest.fixture
def logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where units that this process computes are logged."""
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "here.log"))
    return tmp_path / "here.log"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of a build on a local disk."""
    return toy.recipe(tmp_path_factory.mktemp("whole") / "cache")[0].output_digest


@pytest.fixture
def store(bucket_url: str, tmp_path: Path) -> RemoteStore:
    return RemoteStore(bucket_url, tmp_path / "mirror", progress=False)


@pytest.fixture
def road(s3_port: int, bucket_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[s3.Road]:
    """The way to the bucket from now on."""
    with s3.Road(s3_port) as road:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{road.port}")
        yield road


def elsewhere(store: RemoteStore, mirror: Path) -> RemoteStore:
    """The same cache as another machine sees it."""
    return RemoteStore(store.name, mirror, progress=False)


def names(store: RemoteStore, prefix: str) -> list[str]:
    return [name for name, _ in store.remote.scan(prefix)]


def test_opening_writes_nothing_and_the_first_build_makes_the_cache(
    store: RemoteStore, tmp_path: Path, whole: str
) -> None:
    assert store.entries() == []
    assert store.remote.is_empty()
    assert not (tmp_path / "mirror").exists()
    made, found = toy.recipe_in(store)
    assert (made.output_digest, found) == (whole, False)
    assert store.remote.read(MARKER_FILE) is not None
    assert names(store, "tmp") == names(store, "owners") == names(store, "access") == []
    assert set(names(store, f"artifacts/toy/{made.key}")) == {
        f"artifacts/toy/{made.key}/{file}" for file in (*made.manifest.files, MANIFEST_FILE, MANIFEST_COPY)
    }


def test_another_machine_finds_it_and_brings_only_what_it_reads(
    store: RemoteStore, tmp_path: Path, logged: Path
) -> None:
    made, _ = toy.recipe_in(store)
    logged.unlink()
    other = elsewhere(store, tmp_path / "other")
    artifact, found = toy.recipe_in(other)
    assert found
    assert not logged.exists()
    assert not (tmp_path / "other").exists(), "a hit alone brings nothing"
    here = other.materialise(artifact)
    assert here.path.is_relative_to(tmp_path / "other")
    assert {file: (here.path / file).read_bytes() for file in here.manifest.files} == {
        file: (made.path / file).read_bytes() for file in made.manifest.files
    }
    assert list((tmp_path / "other" / "trash").iterdir()) == []


def test_what_a_killed_machine_finished_is_not_computed_again(bucket_url: str, tmp_path: Path, whole: str) -> None:
    killed(member(bucket_url, tmp_path / "a", die_at="shard/2"))
    done = set((tmp_path / "a.log").read_text().split()) - {"shard/2"}
    assert len(done) >= 1
    progress = RemoteStore(bucket_url, tmp_path / "looker").progress(toy.spec())
    assert (progress.state, progress.done, progress.total) == ("partial", len(done), 4)
    assert digest(member(bucket_url, tmp_path / "b")) == whole
    assert set((tmp_path / "b.log").read_text().split()) == UNITS - done


def test_three_machines_share_one_build(bucket_url: str, tmp_path: Path, whole: str) -> None:
    members = [member(bucket_url, tmp_path / name) for name in "abc"]
    assert {digest(process) for process in members} == {whole}
    assert computed(tmp_path) == dict.fromkeys(UNITS, 1)
    store = RemoteStore(bucket_url, tmp_path / "d")
    assert damages(store) == []
    assert names(store, "tmp") == names(store, "owners") == []


def test_a_machine_that_vanished_is_taken_over_after_its_lease(
    bucket_url: str, tmp_path: Path, whole: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEVPRIOR_LEASE_S", "1.5")
    killed(member(bucket_url, tmp_path / "a", die_at="shard/1", machine="far away"))
    start_s = time.monotonic()
    assert digest(member(bucket_url, tmp_path / "b")) == whole
    assert time.monotonic() - start_s > 1.4, "nobody could know before that it was dead"
    done = set((tmp_path / "a.log").read_text().split()) - {"shard/1"}
    assert set((tmp_path / "b.log").read_text().split()) == UNITS - done


def test_a_prefix_of_something_else_is_refused(store: RemoteStore, tmp_path: Path) -> None:
    store.remote.put("holiday/photo.jpg", b"...")
    with pytest.raises(InputError, match="not a cache, and not empty") as caught:
        elsewhere(store, tmp_path / "other")
    assert "\n" not in str(caught.value)
    assert store.name in str(caught.value)
    assert names(store, "holiday") == ["holiday/photo.jpg"]


@pytest.mark.parametrize(
    ("marker", "says"),
    [(b'{"layout": 999}', "newer version"), (b'{"layout": 1}', "older version"), (b"?", "not the marker")],
)
def test_a_cache_of_another_version_is_refused(store: RemoteStore, tmp_path: Path, marker: bytes, says: str) -> None:
    store.remote.put(MARKER_FILE, marker)
    with pytest.raises(InputError, match=says) as caught:
        elsewhere(store, tmp_path / "other")
    assert "\n" not in str(caught.value)


def test_a_manifest_of_a_newer_version_is_refused(store: RemoteStore) -> None:
    made, _ = toy.recipe_in(store)
    name = f"artifacts/toy/{made.key}/{MANIFEST_FILE}"
    store.remote.put(name, made.manifest.to_json().replace(b'"format": 2', b'"format": 3'))
    with pytest.raises(InputError, match="newer version"):
        toy.recipe_in(store)


@pytest.mark.parametrize("damage", ["flipped", "cut short", "gone"])
@pytest.mark.parametrize("file", ["text.txt", "toy.zarr/ramp/c/1/0", "toy.zarr/zarr.json"])
def test_damage_in_the_bucket_is_named_and_repaired(
    store: RemoteStore, tmp_path: Path, whole: str, logged: Path, damage: str, file: str
) -> None:
    made, _ = toy.recipe_in(store)
    unit = made.manifest.files[file].unit
    logged.unlink()
    hurt(store.remote, f"artifacts/toy/{made.key}/{file}", damage)
    other = elsewhere(store, tmp_path / "other")
    with pytest.raises(InputError, match=r"verify --full|no such object"):
        other.materialise(other.find(made.key))
    assert not other.local.exists(Entry("toy", made.key))
    (found,) = damages(other)
    assert (found.key, found.file, found.unit) == (made.key, file, unit)
    assert damages(other, full=False) == ([] if damage == "flipped" else [found])

    artifact = restore_manifest(other, Entry("toy", made.key))
    assert reopen(other, artifact, [found]) == (3 if unit else 4)
    again, _ = toy.recipe_in(other)
    assert again.output_digest == whole
    assert (logged.read_text().split() if logged.exists() else []) == ([unit] if unit else [])
    assert damages(other) == []
    store.materialise(again)
    fresh = elsewhere(store, tmp_path / "fresh")
    assert fresh.materialise(fresh.find(made.key)).output_digest == whole


def hurt(objects: RemoteObjects, name: str, how: str) -> None:
    if how == "gone":
        objects.delete(name)
        return
    found = objects.read(name)
    assert found is not None
    data = bytearray(found.data)
    data[len(data) // 2] ^= 1
    objects.put(name, bytes(data) if how == "flipped" else bytes(data[:-1]))


@pytest.mark.parametrize("name", [MANIFEST_FILE, MANIFEST_COPY])
@pytest.mark.parametrize("how", ["flipped", "gone"])
def test_a_damaged_manifest_is_mended_from_the_other(store: RemoteStore, name: str, how: str) -> None:
    made, _ = toy.recipe_in(store)
    entry = Entry("toy", made.key)
    hurt(store.remote, f"{entry.name}/{name}", how)
    (found,) = damages(store)
    assert found.file == name
    restore_manifest(store, entry)
    assert damages(store) == []


def test_strays_of_abandoned_attempts_go_at_the_commit(store: RemoteStore, tmp_path: Path, whole: str) -> None:
    stray = f"artifacts/toy/{toy.spec().key}/an/older/attempt.bin"
    store.prepared()
    store.remote.put(stray, b"went another way")
    made, found = toy.recipe_in(store)
    assert (made.output_digest, found) == (whole, False)
    assert store.remote.read(stray) is None
    assert damages(store) == []


def test_a_mirror_that_was_deleted_or_damaged_is_filled_again(store: RemoteStore, whole: str, logged: Path) -> None:
    made, _ = toy.recipe_in(store)
    logged.unlink()
    shutil.rmtree(store.root)
    here = store.materialise(store.find(made.key))
    here.check_complete()
    (here.path / "text.txt").unlink()
    store.materialise(store.find(made.key)).check_complete()
    (here.path / MANIFEST_FILE).unlink()
    store.materialise(store.find(made.key)).check_complete()
    (here.path / MANIFEST_FILE).write_bytes(b"{}")
    store.materialise(store.find(made.key)).check_complete()
    assert toy.recipe_in(store)[1]
    assert not logged.exists()
    assert store.find(made.key).output_digest == whole


def test_a_mirror_deleted_in_the_middle_of_a_build(store: RemoteStore, tmp_path: Path, whole: str) -> None:
    """What its receipts speak of is in the bucket, and comes from there."""
    killed(member(store.name, store.root, die_at="shard/2"))
    shutil.rmtree(store.root)
    log = store.root.with_name(f"{store.root.name}.log")
    done = set(log.read_text().split()) - {"shard/2"}
    assert digest(member(store.name, store.root)) == whole
    assert computed(tmp_path) == dict.fromkeys(UNITS, 1) | {"shard/2": 2}, done


def test_pins_runs_and_collection(store: RemoteStore, tmp_path: Path) -> None:
    kept, gone = (toy.recipe_in(store, slope=slope)[0] for slope in (3, 4))
    pin(store.objects, "best", kept.key)
    other = elsewhere(store, tmp_path / "other")
    other.materialise(other.find(gone.key))
    assert survey(other, grace_s=3600.0).garbage == (), "both are young"
    verdict = survey(other, grace_s=0.0)
    assert [(item.kind, item.key) for item in verdict.garbage] == [("artifact", gone.key)]
    assert [item.key for item in collect(other, verdict.garbage)] == [gone.key]
    assert names(store, f"artifacts/toy/{gone.key}") == []
    assert not (other.root / "artifacts" / "toy" / gone.key).exists(), "the mirror forgets it too"
    assert store.get(gone.key) is None
    assert [artifact.key for artifact in store.artifacts()] == [kept.key]
    unpin(other.objects, "best")
    assert [item.key for item in survey(store, grace_s=0.0).garbage] == [kept.key]


def test_collection_leaves_a_living_build_and_takes_all_of_a_dead_one(
    store: RemoteStore, bucket_url: str, tmp_path: Path
) -> None:
    with store.build(toy.spec(slope=5), {}) as build:
        (build.path / "x").write_text("1")
        build.mark_done("shard/0", ["x"])
        assert survey(elsewhere(store, tmp_path / "other"), grace_s=0.0).garbage == ()
    killed(member(bucket_url, tmp_path / "a", die_at="shard/1"))
    young = survey(store, grace_s=3600.0).garbage
    assert {item.kind for item in young} <= {"owner"}, "someone may go on with it"
    list(collect(store, survey(store, grace_s=0.0).garbage))
    assert names(store, "tmp") == []
    assert names(store, "artifacts") == [], "what the dead one uploaded takes room for ever"


def test_a_killed_push_or_removal_is_finished_by_the_next_collection(store: RemoteStore) -> None:
    made, _ = toy.recipe_in(store)
    store.discard(Entry("toy", made.key))  # and no more
    assert names(store, "artifacts") != []
    assert survey(store, grace_s=3600.0).garbage == (), "it may be an upload that is under way"
    verdict = survey(store, grace_s=0.0)
    assert sum(item.bytes for item in verdict.garbage) == sum(f.bytes for f in made.manifest.files.values())
    list(collect(store, verdict.garbage))
    assert names(store, "artifacts") == []


def test_a_removed_artifact_is_made_again(store: RemoteStore, whole: str, logged: Path) -> None:
    made, _ = toy.recipe_in(store)
    store.objects.delete_all(store.discard(Entry("toy", made.key)))
    assert store.get(made.key) is None
    logged.unlink()
    again, found = toy.recipe_in(store)
    assert (again.output_digest, found) == (whole, False)
    assert set(logged.read_text().split()) == UNITS


def test_from_a_folder_to_a_bucket_to_a_folder(store: RemoteStore, tmp_path: Path, logged: Path) -> None:
    folder, back = Store(tmp_path / "folder"), Store(tmp_path / "back")
    parent, _ = toy.recipe_in(folder)
    spec = KeySpec("child", 1, {}, {"toy": parent.output_digest})

    def fill(build):  # type: ignore[no-untyped-def]
        (build.path / "x").write_text("x")
        return {}

    child, _ = folder.get_or_build(spec, {"toy": parent.key}, fill)
    moved: list[int] = []
    done = list(transfer(folder, store, lineage(folder, [child.key]), moved.append))
    assert [(item.key, item.copied) for item in done] == [(parent.key, True), (child.key, True)]
    assert sum(moved) == sum(item.bytes for item in done)
    assert [item.copied for item in transfer(folder, store, lineage(folder, [child.key]))] == [False, False]
    other = elsewhere(store, tmp_path / "other")
    list(transfer(other, back, lineage(other, [child.key])))
    assert [a.output_digest for a in back.artifacts()] == [a.output_digest for a in folder.artifacts()]
    assert [*damages(store), *damages(back)] == []
    logged.unlink()
    assert toy.recipe_in(back)[1]
    assert toy.recipe_in(other)[1]
    assert not logged.exists()


def test_damage_is_not_pushed(store: RemoteStore, tmp_path: Path) -> None:
    folder = Store(tmp_path / "folder")
    made, _ = toy.recipe_in(folder)
    text = made.path / "text.txt"
    text.write_bytes(text.read_bytes().replace(b"half", b"HALF"))
    with pytest.raises(InputError, match=r"damaged.*text\.txt.*bevprior repair"):
        list(transfer(folder, store, lineage(folder, [made.key])))
    assert store.artifacts() == []


def test_a_server_that_dies_in_the_middle_is_one_line_and_the_rest_is_done_when_it_is_back(
    bucket_url: str, road: s3.Road, tmp_path: Path, logged: Path, whole: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = toy.log

    def dies(unit: str) -> None:
        log(unit)
        if len(logged.read_text().split()) == 2:
            road.close()

    monkeypatch.setattr(toy, "log", dies)
    store = RemoteStore(bucket_url, tmp_path / "mirror", progress=False)
    with pytest.raises(InputError, match="does not answer") as caught:
        toy.recipe_in(store)
    assert "\n" not in str(caught.value)
    done = logged.read_text().split()[:1]
    road.reopen()
    monkeypatch.setattr(toy, "log", log)
    assert toy.recipe_in(store)[0].output_digest == whole
    assert [unit for unit in logged.read_text().split() if unit in done] == done, "it was done before the server died"


def test_ctrl_c_while_the_server_is_away_stays_ctrl_c(bucket_url: str, road: s3.Road, tmp_path: Path) -> None:
    store = RemoteStore(bucket_url, tmp_path / "mirror", progress=False)
    with pytest.raises(KeyboardInterrupt), store.build(toy.spec(), {}) as build:
        build.units(["shard/0"]).take()
        road.close()
        raise KeyboardInterrupt


def test_a_machine_that_lost_its_lease_joins_again(
    bucket_url: str, tmp_path: Path, whole: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped for longer than its lease, as a laptop that sleeps: others took over, and what it did is not used."""
    monkeypatch.setenv("BEVPRIOR_LEASE_S", "1")
    sleeper = member(bucket_url, tmp_path / "a", machine="far away")
    deadline_s = time.monotonic() + 30
    while not (tmp_path / "a.log").exists():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    os.kill(sleeper.pid, signal.SIGSTOP)
    try:
        assert digest(member(bucket_url, tmp_path / "b")) == whole
    finally:
        os.kill(sleeper.pid, signal.SIGCONT)
    assert digest(sleeper) == whole
    assert damages(RemoteStore(bucket_url, tmp_path / "c")) == []
