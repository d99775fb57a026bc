import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cache.folder import LAYOUT
from cache.keys import KeySpec
from cache.store import Progress, Store
from scene.errors import InputError
from tests.cache import toy


@pytest.fixture
def built(tmp_path):
    return toy.recipe(tmp_path / "cache")[0]


def write(text):
    def fill(build):
        (build.path / "x.txt").write_text(text)
        return {}

    return fill


def test_opening_and_asking_write_nothing(tmp_path):
    store = Store(tmp_path / "new" / "cache")
    assert store.get(toy.spec().key) is None
    assert store.artifacts() == []
    assert store.progress(toy.spec()) == Progress("missing")
    assert not (tmp_path / "new").exists()


def test_artifact_holds_what_the_stage_wrote(built):
    files = set(built.manifest.files)
    assert {path.relative_to(built.path).as_posix() for path in built.path.rglob("*") if path.is_file()} == {
        *files,
        "manifest.json",
        "manifest.copy.json",
    }
    assert "text.txt" in files
    assert built.path.parts[-3:] == ("artifacts", "toy", built.key)
    assert (built.stage, built.key) == ("toy", toy.spec().key)
    assert built.manifest.statistics == {"slope": 3}


def test_find_by_prefix(tmp_path, built):
    store = Store(tmp_path / "cache")
    assert store.find(built.key[:8]).path == built.path
    others = [toy.recipe(tmp_path / "cache", slope=slope)[0] for slope in range(4, 21)]  # 18 keys, 16 first digits
    keys = [built.key, *(other.key for other in others)]
    repeated = next(key[0] for key in keys if sum(k[0] == key[0] for k in keys) > 1)
    with pytest.raises(InputError, match="ambiguous"):
        store.find(repeated)
    for unknown in ("0" * 64, "", "*", "../", "toy"):
        with pytest.raises(InputError, match="no artifact has the key"):
            store.find(unknown)
    assert sorted(artifact.key for artifact in store.artifacts()) == sorted(keys)


def test_moved_cache_still_hits(tmp_path, built):
    (tmp_path / "cache").rename(tmp_path / "elsewhere")
    moved, found = toy.recipe(tmp_path / "elsewhere")
    assert found
    assert moved.output_digest == built.output_digest
    copy = shutil.copytree(tmp_path / "elsewhere", tmp_path / "copy")
    assert toy.recipe(copy)[1]


def test_output_digest_is_of_the_content_alone(tmp_path, built):
    again = toy.recipe(tmp_path / "other")[0]
    assert again.manifest.provenance["cost"] != built.manifest.provenance["cost"]
    assert again.output_digest == built.output_digest


def test_identical_output_stops_the_ripple(tmp_path):
    store = Store(tmp_path / "cache")
    for version in (1, 2):  # the code changed, its output did not
        parent, _ = store.get_or_build(KeySpec("parent", version, {}), {}, write("same"))
        spec = KeySpec("child", 1, {}, {"parent": parent.output_digest})
        child, found = store.get_or_build(spec, {"parent": parent.key}, write("child"))
        assert found == (version == 2)
    assert child.manifest.parents == {"parent": KeySpec("parent", 1, {}).key}  # the one that it was made from
    assert len(store.artifacts()) == 3


def test_parents_must_be_the_inputs(tmp_path):
    spec = KeySpec("child", 1, {}, {"parent": "d"})
    with pytest.raises(ValueError, match="parents"), Store(tmp_path / "cache").build(spec, {}):
        pass


def test_progress(tmp_path):
    store, spec = Store(tmp_path / "cache"), toy.spec()

    class Stop(Exception):
        pass

    def stop_after_two(build):
        build.expect(4)
        build.mark_done("shard/0")
        build.mark_done("shard/1")
        raise Stop

    with pytest.raises(Stop):
        store.get_or_build(spec, {}, stop_after_two)
    assert store.progress(spec) == Progress("partial", 2, 4)
    assert store.get(spec.key) is None
    store.get_or_build(spec, {}, lambda build: {"left": len(build.done_units)})
    assert store.progress(spec) == Progress("cached", 2, 2)
    assert store.get(spec.key).manifest.statistics == {"left": 2}


def test_foreign_folder_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="not a cache"):
        Store(tmp_path)
    with pytest.raises(InputError, match="not a cache"):
        Store(tmp_path / "thesis.tex")
    with (
        pytest.raises(InputError, match="a file is where"),
        Store(tmp_path / "thesis.tex" / "cache").build(toy.spec(), {}),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_cache_made_by_another_process_during_the_check_is_taken(tmp_path, monkeypatch):
    iterdir = Path.iterdir

    def late(folder):
        if folder == tmp_path and not (tmp_path / "artifacts").exists():
            (tmp_path / "bevprior-cache.json").write_text(json.dumps({"layout": LAYOUT}))
            (tmp_path / "artifacts").mkdir()
        return iterdir(folder)

    monkeypatch.setattr(Path, "iterdir", late)
    assert Store(tmp_path).artifacts() == []


def test_empty_folder_is_taken(tmp_path):
    (tmp_path / "lost+found").mkdir()
    (tmp_path / ".gitignore").write_text("*")
    assert not toy.recipe(tmp_path)[1]


@pytest.mark.parametrize(
    ("content", "message"),
    [('{"layout": 99}', "a newer"), ('{"layout": 1}', "an older"), ("?", "not the marker")],
)
def test_other_layouts_are_refused(tmp_path, content, message):
    (tmp_path / "bevprior-cache.json").write_text(content)
    with pytest.raises(InputError, match=message):
        Store(tmp_path)


def test_newer_manifest_is_refused(tmp_path, built):
    file = built.path / "manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "format": 99}))
    for use in (lambda: Store(tmp_path / "cache").artifacts(), lambda: toy.recipe(tmp_path / "cache")):
        with pytest.raises(InputError, match="written by a newer version"):
            use()


def test_half_copied_artifacts(tmp_path, built):
    (built.path / "text.txt").write_text("first half\n")
    with pytest.raises(InputError, match="missing or cut short"):
        toy.recipe(tmp_path / "cache")
    (built.path / "manifest.json").unlink()  # the copy had not come to the manifest: it is no artifact at all
    again, found = toy.recipe(tmp_path / "cache")
    assert not found
    assert again.output_digest == built.output_digest


def test_file_replaced_by_a_link_is_refused(tmp_path, built):
    target = tmp_path / "target"
    (built.path / "text.txt").rename(target)
    (built.path / "text.txt").symlink_to(target)
    with pytest.raises(InputError, match=r"text\.txt"):
        toy.recipe(tmp_path / "cache")


def test_threads_of_one_process_build_once(tmp_path, capfd):
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: toy.recipe(tmp_path / "cache", shared=False), range(4)))
    assert sorted(found for _, found in results) == [False, True, True, True]
    waiting = capfd.readouterr().err.splitlines()
    assert len(waiting) == 3
    assert all("is being built by another process: waiting" in line for line in waiting)


def test_store_starts_light():
    heavy = ("zarr", "numpy", "torch", "prefect", "psutil", "filelock")
    code = f"import sys, cache.store, cache.build; sys.exit(' '.join(m for m in {heavy} if m in sys.modules) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
