import os
import subprocess
import sys
from pathlib import Path

import pytest

from cache.gc import Garbage, collect, survey
from cache.keys import KeySpec
from cache.roots import new_run, pin, pins, record_run, runs, unpin
from cache.store import Artifact, Store
from scene.errors import InputError

HERE = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


def make(store: Store, name: str, *parents: Artifact) -> Artifact:
    spec = KeySpec("toy", 1, {"name": name}, {f"r{i}": parent.output_digest for i, parent in enumerate(parents)})

    def fill(build):
        (build.path / "x").write_text(name)
        return {}

    return store.get_or_build(spec, {f"r{i}": parent.key for i, parent in enumerate(parents)}, fill)[0]


def going(store: Store, **options) -> set[str]:
    return {item.key or item.kind for item in survey(store, **({"grace_s": 0.0} | options)).garbage}


def test_pins_and_recent_runs_keep_their_lineage(store):
    raw = make(store, "raw")
    labels, other = make(store, "labels", raw), make(store, "other", raw)
    model = make(store, "model", labels)
    assert going(store) == {raw.key, labels.key, other.key, model.key}
    pin(store.objects, "best", model.key)
    assert going(store) == {other.key}
    unpin(store.objects, "best")
    for steps in ({"m": model.key}, {"o": other.key}):
        record_run(store.objects, type(new_run("x"))(f"2026010{len(steps) + (steps.get('o') is not None)}", "x", steps))
    assert going(store, keep_runs=1) == {labels.key, model.key, "run"}
    assert going(store, keep_runs=2) == set()


def test_what_is_young_stays(store):
    make(store, "raw")
    verdict = survey(store, grace_s=3600)
    assert (verdict.garbage, verdict.kept, verdict.young) == ((), 1, 1)


def test_collect_removes_artifacts_builds_and_trash(store):
    kept, gone = make(store, "kept"), make(store, "gone")
    pin(store.objects, "kept", kept.key)
    with store.build(KeySpec("toy", 1, {"name": "half"}), {}) as build:
        (build.path / "half").write_text("a process that is no more")
    (store.root / "trash" / "toy-1").mkdir(parents=True)
    (store.root / "trash" / "toy-1" / "x").write_text("was being removed")
    (store.root / "trash" / "toy-2").mkdir()  # killed between its last file and itself
    removed = list(collect(store, survey(store, grace_s=0.0).garbage))
    assert sorted(item.kind for item in removed) == ["artifact", "build", "trash", "trash"]
    assert store.get(gone.key) is None
    assert store.artifacts() == [store.get(kept.key)]
    assert not any(
        (store.root / folder).iterdir() for folder in ("tmp", "trash") if list((store.root / folder).iterdir())
    )
    assert going(store) == set()


def test_files_without_a_manifest_go_once_they_are_old(store):
    half, whole = make(store, "half"), make(store, "whole")
    pin(store.objects, "whole", whole.key)
    for name in ("manifest.json", "manifest.copy.json"):
        (half.path / name).unlink()
    assert survey(store, grace_s=3600).garbage == ()
    found = survey(store, grace_s=0.0).garbage
    assert [(item.kind, item.key) for item in found] == [("remains", half.key)]
    list(collect(store, found))
    assert [path.name for path in (store.root / "artifacts" / "toy").iterdir()] == [whole.key]


def test_builds_of_living_processes_and_their_inputs_stay(store):
    raw = make(store, "raw")
    spec = KeySpec("toy", 1, {"name": "labels"}, {"r": raw.output_digest})
    with store.build(spec, {"r": raw.key}) as build:
        build.mark_done("a")
        verdict = survey(store, grace_s=0.0)
        assert verdict.garbage == ()
        assert raw.key in {key for keys in verdict.roots.values() for key in keys}
        # a survey from before the build began
        stale = [Garbage("artifact", f"artifacts/toy/{raw.key}", 1, "toy", raw.key)]
        stale.append(Garbage("build", f"tmp/toy-{spec.key}", 1))
        assert list(collect(store, stale)) == []
        assert store.get(raw.key) is not None
        assert build.is_done("a")
    assert going(store) == {raw.key, "build"}


def test_a_killed_collection_is_finished_by_the_next(store, tmp_path):
    for i in range(5):
        make(store, str(i))
    code = f"""
import os, sys
from cache.gc import collect, survey
from cache.store import Store
store = Store({str(store.root)!r})
def hook(event, arguments, left=[3]):
    if event == "os.remove":
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), 9)
sys.addaudithook(hook)
list(collect(store, survey(store, grace_s=0.0).garbage))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=HERE, env={**os.environ, "PYTHONPATH": str(HERE)}, check=False
    )
    assert done.returncode == -9
    for artifact in store.artifacts():
        artifact.check_complete()
    list(collect(store, survey(store, grace_s=0.0).garbage))
    assert store.artifacts() == []
    assert list((store.root / "trash").iterdir()) == []


def test_pins(store):
    artifact = make(store, "raw")
    pin(store.objects, "a.b-c_1", artifact.key)
    assert pins(store.objects) == {"a.b-c_1": artifact.key}
    for name in ("", "../x", "a/b", ".hidden", "a b"):
        with pytest.raises(InputError, match="no name for a pin"):
            pin(store.objects, name, artifact.key)
        with pytest.raises(InputError, match="no pin is called"):
            unpin(store.objects, name)


def test_a_damaged_pin_stops_the_collection(store):
    artifact = make(store, "raw")
    pin(store.objects, "best", artifact.key)
    file = store.root / "pins" / "best.json"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(InputError, match="a pin is damaged"):
        survey(store)
    unpin(store.objects, "best")
    assert survey(store).kept == 1


def test_a_damaged_run_record_is_left_out(store):
    record_run(store.objects, new_run("x"))
    (file,) = (store.root / "runs").iterdir()
    file.write_text("{")
    assert runs(store.objects) == []


def test_records_of_processes_that_have_ended_go(store):
    """A process that is killed between its first sign of life and its first claim is never asked after."""
    code = "import os, pathlib, signal, sys; from cache.objects import LocalObjects; from cache.leases import Owner\n"
    code += "with Owner(LocalObjects(pathlib.Path(sys.argv[1]))): os.kill(os.getpid(), signal.SIGKILL)"
    subprocess.run([sys.executable, "-c", code, str(store.root)], cwd=HERE, check=False)
    (ended,) = store.objects.scan("owners")
    make(store, "raw")
    with store.build(KeySpec("toy", 1, {"name": "alive"}), {}):
        records = {name for name, _ in store.objects.scan("owners")}
        assert len(records) == 2
        owners = [item for item in survey(store).garbage if item.kind == "owner"]
        assert [item.name for item in owners] == [ended[0]]
        assert list(collect(store, owners)) == owners
        assert {name for name, _ in store.objects.scan("owners")} == records - {ended[0]}


def test_a_build_killed_while_it_is_cleared_away_is_trash(store, monkeypatch):
    """Not a build in progress that `ls` lists, nor one whose grace period must pass."""
    with monkeypatch.context() as patch:
        patch.setattr("cache.work.shutil.rmtree", lambda *_, **__: None)
        make(store, "raw")
    assert store.objects.folders("tmp") == []
    verdict = survey(store, grace_s=3600)
    assert [item.kind for item in verdict.garbage] == ["trash"]
    assert len(list(collect(store, verdict.garbage))) == 1
    assert store.objects.folders("trash") == []
