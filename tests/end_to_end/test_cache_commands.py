"""The commands that look after a cache, as a user runs them: answers, exit statuses, and one line for bad input."""

import json
import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from cache.folder import MARKER_FILE
from cache.repair import reopen
from cache.store import Entry, Store
from cache.verify import verify
from tests.cache import s3, toy
from tests.end_to_end.program import BEVPRIOR, Run, environment

pytestmark = pytest.mark.timeout(300)
WORLD = ["data.world.train.num_scenes=1", "data.world.val={num_towns: 1, num_scenes: 1}"]
SMALLER = [part for one in (*WORLD, "data.world.frames_per_scene=2") for part in ("--set", one)]
ROW = {"stage", "key", "state", "output_digest", "bytes", "path"}
STAGES = ["world", "index", "teacher_labels", "ground", "geometry", "bev_labels"]


@pytest.fixture(scope="module")
def experiment(small: list[str]) -> list[str]:
    return [*small, *SMALLER, "--set", "teacher_labels.frames_per_shard=1"]


@pytest.fixture(scope="module")
def whole(bevprior: Run, experiment: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with every prepared stage; not to be changed."""
    folder = tmp_path_factory.mktemp("whole")
    for stage in ("bev_labels", "geometry", "teacher_labels"):
        done = bevprior("run", *experiment, "--until", stage, cache=folder / "cache", cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder / "cache"


@pytest.fixture
def cache(whole: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(whole, tmp_path / "cache", symlinks=True)


Program = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def program(bevprior: Run, tmp_path: Path) -> Program:
    def run(*arguments: str, cache: Path, status: int = 0) -> subprocess.CompletedProcess[str]:
        done = bevprior(*arguments, cache=cache, cwd=tmp_path)
        assert done.returncode == status, (arguments, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.fixture
def answer(program: Program) -> Callable[..., Any]:
    """What a command says with --json."""
    return lambda *arguments, **options: json.loads(program(*arguments, "--json", **options).stdout)


def key_of(cache: Path, stage: str) -> str:
    (artifact,) = (a for a in Store(cache).artifacts() if a.stage == stage)
    return artifact.key


def path_of(cache: Path, stage: str) -> Path:
    return cache / "artifacts" / stage / key_of(cache, stage)


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def chunk_of(folder: Path, stage: str) -> Path:
    """A file of a unit of work, or the stage's only one."""
    files = Store(folder.parents[2]).find(folder.name).manifest.files
    return folder / next((name for name, entry in files.items() if entry.unit), next(iter(files)))


def one_line(done: subprocess.CompletedProcess[str], says: str) -> None:
    (line,) = done.stderr.splitlines()
    assert line.startswith("bevprior: ")
    assert says in line


def test_every_command_is_listed_with_its_whole_description(program: Program, tmp_path: Path) -> None:
    listed = program("--help", cache=tmp_path / "none").stdout
    found = [line.split(maxsplit=1) for line in listed.partition("Commands:")[2].splitlines() if line]
    commands = (
        "run, plan, ls, show, diff, verify, repair, du, pin, unpin, gc, rm, push, pull, export, import, save-model"
    )
    assert ", ".join(name for name, _ in found) == commands
    assert all(text.endswith(".") and not text.endswith("...") for _, text in found), "cut short"


def test_plan_ls_show(program: Program, answer: Callable[..., Any], whole: Path, experiment: list[str]) -> None:
    plan = answer("plan", *experiment, "--until", "bev_labels", cache=whole)
    assert [(row["stage"], row["state"]) for row in plan] == [(s, "cached") for s in ("world", "index", "bev_labels")]
    assert "bev_labels  cached" in program("plan", *experiment, "--until", "bev_labels", cache=whole).stdout
    rows = answer("ls", cache=whole)
    assert sorted(row["stage"] for row in rows) == sorted(STAGES)
    for row in rows:
        assert row.keys() >= ROW
        assert row["state"] == "cached"
        assert row["bytes"] > 0
        assert (Path(row["path"]) / "manifest.json").is_file()
    assert f"{len(STAGES)} artifacts" in program("ls", cache=whole).stdout.splitlines()[-1]
    shown = answer("show", rows[0]["key"][:9], cache=whole)
    assert shown.keys() >= ROW
    assert shown["manifest"]["output_digest"] == rows[0]["output_digest"]
    assert rows[0]["key"] in program("show", rows[0]["key"], cache=whole).stdout


def test_diff_du_verify_on_a_whole_cache(program: Program, answer: Callable[..., Any], whole: Path) -> None:
    keys = [key_of(whole, stage) for stage in ("index", "geometry")]
    assert program("diff", keys[0], keys[0], cache=whole).stdout == "same content\n"
    found = answer("diff", *keys, cache=whole)
    assert found["same_content"] is False
    assert program("diff", *keys, cache=whole).stdout.endswith("other content\n")
    rows = {row["name"]: row for row in answer("du", cache=whole)}
    assert set(rows) == set(STAGES)
    assert rows["world"]["bytes"] == sum(
        f.stat().st_size for f in (whole / "artifacts/world").rglob("*") if f.is_file()
    )
    assert "world" in program("du", cache=whole).stdout
    assert answer("verify", "--full", cache=whole) == []
    assert f"{len(STAGES)} artifacts, 0 damages" in program("verify", cache=whole).stdout
    assert "none is damaged" in program("repair", cache=whole).stdout
    assert answer("repair", cache=whole) == []


def test_pins_and_collection(program: Program, answer: Callable[..., Any], cache: Path) -> None:
    index, labels = key_of(cache, "index"), key_of(cache, "teacher_labels")
    assert answer("pin", index[:12], "base", cache=cache) == {"base": index}
    assert program("pin", cache=cache).stdout == f"{index[:12]}  base\n"
    assert [row["pins"] for row in answer("ls", cache=cache) if row["stage"] == "index"] == [["base"]]
    everything = ("gc", "--grace-hours", "0", "--keep-runs", "0")
    verdict = answer(*everything, cache=cache)
    assert (verdict["removed"], verdict["kept"]) == (False, 2), "the pin and its world"
    assert {item["stage"] for item in verdict["garbage"]} - {""} == {*STAGES} - {"world", "index"}
    assert "would be removed (--yes does it)" in program(*everything, "--dry-run", cache=cache).stdout
    assert len(Store(cache).artifacts()) == len(STAGES)
    assert "removed" in program(*everything, "--yes", cache=cache).stdout
    assert sorted(a.stage for a in Store(cache).artifacts()) == ["index", "world"]
    assert answer("unpin", "base", cache=cache) == {"unpinned": "base"}
    one_line(program("unpin", "base", cache=cache, status=2), "no pin is called 'base'")
    one_line(program("show", labels, cache=cache, status=2), "no artifact has the key")


def test_rm_removes_one_unless_a_living_build_uses_it(
    program: Program, answer: Callable[..., Any], cache: Path
) -> None:
    store = Store(cache)
    index = store.find(key_of(cache, "index"))
    spec = toy.KeySpec("child", 1, {}, {"index": index.output_digest})
    with store.build(spec, {"index": index.key}):
        one_line(program("rm", index.key, cache=cache, status=2), "uses it")
        assert store.get(index.key) is not None
    assert answer("rm", index.key, cache=cache) == {"stage": "index", "key": index.key}
    assert store.get(index.key) is None
    assert "removed world" in program("rm", key_of(cache, "world"), cache=cache).stdout


def test_out_and_in_again(program: Program, answer: Callable[..., Any], whole: Path, tmp_path: Path) -> None:
    labels = key_of(whole, "bev_labels")
    program("export", labels, "some.tar", cache=whole)
    done = answer("import", "some.tar", cache=tmp_path / "a")
    assert [item["copied"] for item in done] == [True] * 3
    assert "0 artifacts, 0 B, copied, 3 were there" in program("import", "some.tar", cache=tmp_path / "a").stdout
    assert answer("export", labels, "b", cache=whole) == done
    assert len(answer("push", "c", cache=whole)) == len(STAGES)
    assert len(answer("pull", str(whole), labels, cache=tmp_path / "d")) == 3
    assert len(answer("import", str(whole), cache=tmp_path / "e")) == len(STAGES)
    for name in "abcde":
        assert answer("verify", "--full", cache=tmp_path / name) == []
    one_line(program("export", labels, "some.tar", cache=whole, status=2), "the file exists")
    one_line(program("export", labels, "no/such/some.tar", cache=whole, status=2), "no such folder")
    one_line(program("import", "absent.tar", cache=tmp_path / "a", status=2), "absent.tar")
    (tmp_path / "text.tar").write_text("this is no archive")
    one_line(program("import", "text.tar", cache=tmp_path / "a", status=2), "cannot read the archive")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show", "beef"], "no artifact has the key 'beef'"),
        (["show", "../x"], "no artifact has the key '../x'"),
        (["diff", "beef", "beef"], "no artifact has the key 'beef'"),
        (["verify", "beef"], "no artifact has the key 'beef'"),
        (["repair", "beef"], "no artifact has the key 'beef'"),
        (["rm", ""], "no artifact has the key ''"),
        (["pin", "beef"], "no artifact has the key 'beef'"),
        (["pull", "s3://tests/x"], "no credentials for the object store"),
        (["push", "ftp://tests/x"], "write it as s3://bucket/prefix"),
        (["ls", "--cache", "gs://tests/x"], "write it as s3://bucket/prefix"),
        (["gc", "--yes", "--dry-run"], "contradict each other"),
    ],
)
def test_bad_input_is_one_line(
    program: Program, whole: Path, arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(variable)
    one_line(program(*arguments, cache=whole, status=2), says)


def test_an_ambiguous_key_names_what_it_may_be(program: Program, tmp_path: Path) -> None:
    keys = [toy.recipe(tmp_path / "cache", slope=slope)[0].key for slope in range(20)]
    digit = next(key[0] for i, key in enumerate(keys) if key[0] in {other[0] for other in keys[:i]})
    one_line(program("show", digit, cache=tmp_path / "cache", status=2), "is ambiguous")


@pytest.mark.parametrize("command", [["ls"], ["du"], ["gc"], ["verify"], ["pin"], ["plan", "smoke"]])
def test_what_is_no_cache_of_this_version(program: Program, tmp_path: Path, command: list[str]) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("...")
    one_line(program(*command, cache=foreign, status=2), "not a cache, and not empty")
    (foreign / MARKER_FILE).write_text('{"layout": 999}')
    one_line(program(*command, cache=foreign, status=2), "newer version")
    assert sorted(f.name for f in foreign.iterdir()) == [MARKER_FILE, "thesis.txt"]


def test_damage_shows_and_does_not_stop_the_listing(program: Program, answer: Callable[..., Any], cache: Path) -> None:
    geometry, labels = path_of(cache, "geometry"), path_of(cache, "bev_labels")
    flip(labels / "manifest.json")
    flip(chunk_of(geometry, "geometry"))
    states = {row["stage"]: row for row in answer("ls", cache=cache)}
    assert states["bev_labels"]["state"] == "damaged"
    assert "manifest" in states["bev_labels"]["damage"]
    assert states["geometry"]["state"] == "cached", "its bytes are not read"
    assert "damaged" in program("ls", cache=cache).stdout
    one_line(program("show", labels.name, cache=cache, status=2), "manifest")
    found = answer("verify", "--full", cache=cache, status=1)
    assert {(item["stage"], item["key"]) for item in found} == {
        ("geometry", geometry.name),
        ("bev_labels", labels.name),
    }
    assert "2 damages" in program("verify", "--full", cache=cache, status=1).stdout
    assert len(answer("repair", cache=cache)) == 2
    assert answer("verify", "--full", cache=cache) == []


def test_a_damaged_pin_stops_what_would_remove_and_nothing_else(program: Program, cache: Path) -> None:
    program("pin", key_of(cache, "index"), "base", cache=cache)
    flip(cache / "pins" / "base.json")
    assert "damaged record" in program("verify", cache=cache, status=1).stdout
    for command in (["gc", "--yes"], ["pin"]):
        one_line(program(*command, cache=cache, status=2), "a pin is damaged")
    assert "index" in program("ls", cache=cache).stdout
    program("unpin", "base", cache=cache)
    program("gc", cache=cache)


@pytest.mark.parametrize("stage", STAGES)
def test_repair_computes_what_is_damaged_and_no_more(
    program: Program, answer: Callable[..., Any], cache: Path, stage: str
) -> None:
    folder = path_of(cache, stage)
    manifest = Store(cache).find(folder.name).manifest
    broken = chunk_of(folder, stage)
    unit = manifest.files[broken.relative_to(folder).as_posix()].unit
    others = [name for name, entry in manifest.files.items() if entry.unit and entry.unit != unit]
    before = {name: (folder / name).stat().st_mtime_ns for name in others}
    flip(broken)
    (done,) = answer("repair", folder.name[:12], cache=cache)
    assert done["same_content"] is True
    units = len({entry.unit for entry in manifest.files.values()} - {""})
    assert (done["units"], done["units_kept"]) == (units, units - bool(unit))
    assert {name: (folder / name).stat().st_mtime_ns for name in others} == before, "an undamaged unit is written again"
    assert Store(cache).find(folder.name).output_digest == manifest.output_digest
    assert answer("verify", "--full", cache=cache) == []
    assert list((cache / "tmp").iterdir()) == []


def test_a_repair_that_was_killed_goes_on(answer: Callable[..., Any], cache: Path) -> None:
    store = Store(cache)
    world = store.find(key_of(cache, "world"))
    flip(chunk_of(world.path, "world"))
    reopen(store, world, verify(store, [Entry("world", world.key)], full=True))  # and no more
    assert {row["stage"]: row["state"] for row in answer("ls", cache=cache)}["world"] == "partial"
    (done,) = answer("repair", world.key[:12], cache=cache)
    assert (done["same_content"], done["units_kept"]) == (True, done["units"] - 1)
    assert answer("repair", cache=cache) == []
    assert answer("verify", "--full", cache=cache) == []


def test_what_cannot_be_repaired_keeps_nothing_else_from_it(program: Program, cache: Path) -> None:
    geometry, labels, ground = (path_of(cache, stage) for stage in ("geometry", "bev_labels", "ground"))
    for folder, stage in ((geometry, "geometry"), (labels, "bev_labels")):
        flip(chunk_of(folder, stage))
    program("rm", ground.name, cache=cache)
    done = program("repair", cache=cache, status=2)
    one_line(done, "is gone")
    assert f"repaired bev_labels {labels.name[:12]}" in done.stdout
    store = Store(cache)
    entries = [Entry(artifact.stage, artifact.key) for artifact in store.artifacts()]
    assert {damage.stage for damage in verify(store, entries, full=True)} == {"geometry"}


def test_what_cannot_be_repaired_is_one_line_and_stays_as_it_is(program: Program, cache: Path) -> None:
    geometry, index = path_of(cache, "geometry"), path_of(cache, "index")
    flip(chunk_of(geometry, "geometry"))
    next(index.glob("*.npz")).unlink()
    one_line(program("repair", geometry.name, cache=cache, status=2), f"bevprior repair {index.name[:12]}")
    assert geometry.exists(), "it can be repaired once its input is"
    program("rm", index.name, cache=cache)
    one_line(program("repair", geometry.name, cache=cache, status=2), "is gone")
    assert geometry.exists()
    flip(geometry / "manifest.json")
    flip(geometry / "manifest.copy.json")
    one_line(program("repair", geometry.name, cache=cache, status=2), "both damaged")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("version=2", "version=3"), "it would become another: code version: 2 -> 3"),
        (
            ("line_thickness_m: float", "thickness_m: float = 1.0\n    line_thickness_m: float"),
            "it would become another",
        ),
    ],
)
def test_repair_by_another_version_is_refused(cache: Path, tmp_path: Path, change: tuple[str, str], says: str) -> None:
    """The program as it will be one day: a copy of the checkout with one stage changed."""
    root = Path(__file__).resolve().parents[2]
    later = tmp_path / "later"
    skipped = shutil.ignore_patterns("__pycache__", "*.safetensors")
    for room in ("cache", "models", "pipeline", "scene", "stages", "synthetic", "trainer", "configs"):
        shutil.copytree(root / room, later / room, ignore=skipped)
    source = later / "stages" / "prepare" / "bev_labels" / "__init__.py"
    text = source.read_text()
    assert change[0] in text
    source.write_text(text.replace(*change))
    labels = path_of(cache, "bev_labels")
    flip(chunk_of(labels, "bev_labels"))
    settings = {**environment(cache), "PYTHONPATH": str(later)}
    done = subprocess.run([BEVPRIOR, "repair"], cwd=tmp_path, env=settings, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    one_line(done, says)
    assert labels.exists()


@pytest.fixture
def read_only(cache: Path, tmp_path: Path) -> Iterator[Path]:
    """The cache on a file system that takes no writes, which stops the superuser too."""
    there = tmp_path / "read-only"
    there.mkdir()
    commands = [["mount", "--bind", str(cache), str(there)], ["mount", "-o", "remount,ro,bind", str(there)]]
    if os.geteuid() != 0 or any(subprocess.run(c, capture_output=True, check=False).returncode for c in commands):
        subprocess.run(["umount", str(there)], capture_output=True, check=False)
        pytest.skip("mounting needs the rights of the superuser")
    yield there
    subprocess.run(["umount", str(there)], check=True)


def test_a_read_only_cache_can_be_read_and_says_so_when_it_is_written(program: Program, read_only: Path) -> None:
    index = key_of(read_only, "index")
    for command in (["ls"], ["du"], ["verify", "--full"], ["show", index], ["gc"], ["pin"], ["repair"]):
        program(*command, cache=read_only)
    everything = ["gc", "--grace-hours", "0", "--keep-runs", "0", "--yes"]
    for command in (["pin", index], ["rm", index], everything):
        one_line(program(*command, cache=read_only, status=2), "read-only file system")


def test_ctrl_c_ends_any_command_without_a_traceback(cache: Path, tmp_path: Path) -> None:
    """The command waits on a lock that this test holds, which stands for anything that takes long."""
    index = key_of(cache, "index")
    with Store(cache).builds_held():
        process = subprocess.Popen(
            [BEVPRIOR, "rm", index], cwd=tmp_path, env=environment(cache), stderr=subprocess.PIPE, text=True
        )
        wait_until_open(process, cache / "tmp")
        # A signal that comes between the interpreter's last look and the system call is seen when the call ends, so
        # whoever waits presses again.
        for _ in range(20):
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=3)
                break
        _, stderr = process.communicate(timeout=10)
    assert process.returncode == 130
    assert stderr == "stopped; the same command goes on from here\n"
    assert Store(cache).get(index) is not None


def wait_until_open(process: subprocess.Popen[str], path: Path) -> None:
    deadline_s = time.monotonic() + 60
    while path not in open_in(process):
        assert process.poll() is None
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def open_in(process: subprocess.Popen[str]) -> set[Path]:
    found = set()
    for link in Path(f"/proc/{process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.add(link.readlink())
    return found


def test_a_whole_run_in_a_bucket_from_two_machines(
    program: Program, answer: Callable[..., Any], experiment: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3.server() as port, s3.environment(port):
        where = f"s3://tests/{uuid.uuid4().hex}"
        run = ("run", *experiment, "--until", "geometry", "--cache", where)
        monkeypatch.setenv("BEVPRIOR_MIRROR", str(tmp_path / "one"))
        first = answer(*run, cache=tmp_path)
        assert [step["built"] for step in first] == [True] * 4
        monkeypatch.setenv("BEVPRIOR_MIRROR", str(tmp_path / "two"))
        second = answer(*run, cache=tmp_path)
        assert [step["built"] for step in second] == [False] * 4
        assert [step["output_digest"] for step in second] == [step["output_digest"] for step in first]
        rows = answer("ls", "--cache", where, cache=tmp_path)
        assert {row["key"] for row in rows} == {step["key"] for step in first}
        assert answer("verify", "--full", "--cache", where, cache=tmp_path) == []
        geometry = next(row for row in rows if row["stage"] == "geometry")
        (copy,) = (tmp_path / "two").glob(f"*/artifacts/geometry/{geometry['key']}")
        flip(chunk_of(copy, "geometry"))
        told = program("repair", "--cache", where, cache=tmp_path)
        assert "a damaged copy on this machine is removed" in told.stdout
        assert not copy.exists()
        assert f"{len(first)} artifacts" in program("pull", where, cache=tmp_path / "local").stdout
        assert answer("verify", "--full", cache=tmp_path / "local") == []
