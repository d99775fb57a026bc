import os

import pytest

from cache.build import ArtifactMadeError, Build
from cache.keys import KeySpec
from cache.manifest import Manifest
from cache.store import Store
from scene.errors import InputError

SPEC = KeySpec("toy", 1, {})


class Stop(Exception):
    pass


def attempt(store, work):
    with pytest.raises(Stop), store.build(SPEC, {}) as build:
        work(build)
        raise Stop


def test_units_survive_and_stay_out_of_the_artifact(tmp_path):
    store = Store(tmp_path / "cache")
    units = ["scene/0001", "../up", ".", "..", "ü b", "a%2Fb"]

    def work(build: Build):
        for unit in units:
            assert not build.is_done(unit)
            build.mark_done(unit)

    attempt(store, work)
    with store.build(SPEC, {}) as build:
        assert all(build.is_done(unit) for unit in units)
        assert not build.is_done("a/b")
        assert build.done_units == sorted(units)
        (build.path / "x").write_text("x")
        artifact = build.commit()
    assert set(artifact.manifest.files) == {"x"}


def test_costs_and_records_add_up_over_attempts(tmp_path):
    store = Store(tmp_path / "cache")
    attempt(store, lambda build: build.record(loss=0.5, steps=10))
    attempt(store, lambda build: build.record(steps=20, device="cpu"))
    with store.build(SPEC, {}) as build:
        assert sum(range(3_000_000)) > 0
        provenance = build.commit().manifest.provenance
    assert provenance["recorded"] == {"loss": 0.5, "steps": 20, "device": "cpu"}
    assert provenance["cost"]["attempts"] == 3
    assert provenance["cost"]["cpu_s"] > 0
    assert provenance["cost"]["wall_s"] > 0
    assert provenance["cost"]["peak_memory_bytes"] > 10e6


def test_child_processes_count(tmp_path):
    with Store(tmp_path / "cache").build(SPEC, {}) as build:
        assert os.system("python3 -c 'sum(range(20_000_000))'") == 0
        cost = build.commit().manifest.provenance["cost"]
    assert cost["cpu_s"] > 0.05


def test_torn_state_costs_provenance_not_work(tmp_path):
    store = Store(tmp_path / "cache")
    attempt(store, lambda build: build.mark_done("a"))
    (state,) = (tmp_path / "cache" / "tmp").glob("*/attempts/*")
    state.write_bytes(b"")
    with store.build(SPEC, {}) as build:
        assert build.is_done("a")


def test_leftovers_of_killed_writers_are_cleared(tmp_path):
    store = Store(tmp_path / "cache")

    def leave(build: Build):
        (build.path / "chunk.0123.partial").write_bytes(b"half")
        (build.path / "manifest.json").write_bytes(Manifest(SPEC, {}, {}).to_json())  # killed before the rename

    attempt(store, leave)
    with store.build(SPEC, {}) as build:
        (build.path / "late.partial").write_bytes(b"a worker of this attempt was killed")
        assert build.commit().manifest.files == {}


def test_half_a_chunk_of_a_killed_writer_is_no_part_of_its_unit(tmp_path):
    with Store(tmp_path / "cache").build(SPEC, {}) as build:
        chunk = build.path / "x.zarr" / "x" / "c" / "0"
        chunk.mkdir(parents=True)
        (chunk / "0.0123.partial").write_bytes(b"half")
        (chunk / "0").write_bytes(b"whole")
        build.mark_done("unit", [chunk])
        assert list(build.commit().manifest.files) == ["x.zarr/x/c/0/0"]


def test_what_is_no_plain_file_is_not_committed(tmp_path):
    store = Store(tmp_path / "cache")
    with pytest.raises(ValueError, match="plain files"), store.build(SPEC, {}) as build:
        (build.path / "link").symlink_to("/etc/hostname")
        build.commit()
    with pytest.raises(ValueError, match="plain files"), store.build(SPEC, {}) as build:
        (build.path / "link").unlink()
        (build.path / "manifest.json").write_text("mine")
        build.commit()
    assert store.get(SPEC.key) is None


def test_statistics_that_are_no_json_keep_the_work(tmp_path):
    store = Store(tmp_path / "cache")
    with pytest.raises(InputError, match="iou is nan"), store.build(SPEC, {}) as build:
        build.mark_done("a")
        build.commit({"iou": float("nan")})
    assert store.progress(SPEC).done == 1


def test_given_schema_is_kept(tmp_path):
    with Store(tmp_path / "cache").build(SPEC, {}) as build:
        assert build.commit(schema={"x": {"shape": (2, 3)}}).manifest.schema == {"x": {"shape": [2, 3]}}


def test_finished_by_another_while_we_worked(tmp_path):
    """As on a file system whose locks do not lock: theirs stays, ours goes, both are told of the same artifact."""
    store = Store(tmp_path / "cache")
    with store.build(SPEC, {}) as ours:
        (ours.path / "x").write_text("ours")
        work = ours.path.parent
        work.rename(tmp_path / "aside")
        with Store(tmp_path / "second").build(SPEC, {}) as theirs:
            (theirs.path / "x").write_text("theirs")
            artifact = theirs.commit()
        target = tmp_path / "cache" / "artifacts" / "toy" / SPEC.key
        target.parent.mkdir()
        artifact.path.rename(target)
        (tmp_path / "aside").rename(work)
        with pytest.raises(ArtifactMadeError):
            ours.commit()
        assert ours.artifact.output_digest == artifact.output_digest
    assert (target / "x").read_text() == "theirs"
    assert list((tmp_path / "cache" / "tmp").iterdir()) == []


def test_source_that_changes_between_attempts_is_told(tmp_path, monkeypatch, capfd):
    package = tmp_path / "code" / "some_package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(package.parent)
    store = Store(tmp_path / "cache")
    for source in ("", "", "changed = 1\n"):
        (package / "__init__.py").write_text(source)
        with store.build(SPEC, {}, sources=["some_package"]):
            pass
        warned = "another state of the source" in capfd.readouterr().err
        assert warned == bool(source)


def test_a_latecomer_whose_folder_is_taken_away_has_no_error(tmp_path):
    """Another process commits while this one still prepares: it finds its folder gone, and the artifact there."""
    store = Store(tmp_path / "cache")

    def finish(build: Build):
        (build.path / "x").write_text("x")
        return {}

    def late(build: Build):
        Store(tmp_path / "cache").get_or_build(SPEC, {}, finish, shared=True)
        (build.path / "made-by-whoever-was-first").read_bytes()

    artifact, found = store.get_or_build(SPEC, {}, late, shared=True)
    assert found
    assert set(artifact.manifest.files) == {"x"}
    assert list((tmp_path / "cache" / "tmp").iterdir()) == []


def test_an_error_of_its_own_stays_one(tmp_path):
    with pytest.raises(FileNotFoundError), Store(tmp_path / "cache").build(SPEC, {}) as build:
        (build.path / "nothing").read_bytes()


def test_what_a_killed_writer_left_is_no_part_of_a_unit(tmp_path):
    """The commit removes it; a receipt that lists it would make a done unit look changed."""
    store = Store(tmp_path / "cache")

    def work(build: Build):
        (build.path / "weights").write_text("w")
        (build.path / "weights.123-456.partial").write_text("half of w")
        build.mark_done("training", build.path.iterdir())

    attempt(store, work)
    with store.build(SPEC, {}) as build:
        assert build.is_done("training")
        artifact = build.commit()
    assert set(artifact.manifest.files) == {"weights"}
