"""Bad input: exit status 2, a line on stderr that says what to do, and nothing that looks whole."""

import json
import resource
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cache.folder import MARKER_FILE
from cache.store import Store
from tests.end_to_end.program import Run

pytestmark = pytest.mark.timeout(200)


@pytest.fixture(scope="module")
def drive(bevprior: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound data set: one scene of the embedded world, out of the cache."""
    folder = tmp_path_factory.mktemp("drive")
    split = "{num_towns: 1, num_scenes: 0}"
    arguments = ["--set", f"data.world.val={split}", "--set", "data.world.train.num_scenes=1"]
    arguments += ["--set", "data.world.frames_per_scene=2", "--set", "runtime.num_workers=1"]
    done = bevprior("run", "smoke", "--until", "world", *arguments, cache=folder / "cache", cwd=folder)
    assert done.returncode == 0, done.stderr
    (world,) = Store(folder / "cache").artifacts()
    return world.path


def lose_an_image(root: Path) -> None:
    next((root / "samples" / "CAM_BACK").iterdir()).unlink()


def truncate_an_image(root: Path) -> None:
    image = next((root / "samples" / "CAM_BACK").iterdir())
    image.write_bytes(image.read_bytes()[:500])


def break_a_table(root: Path) -> None:
    (root / "v1.0-synthetic" / "sample.json").write_text("[{")


def lose_the_tables(root: Path) -> None:
    shutil.rmtree(root / "v1.0-synthetic")


def bend_a_quaternion(root: Path) -> None:
    file = root / "v1.0-synthetic" / "ego_pose.json"
    poses = json.loads(file.read_text())
    poses[0]["rotation"] = [2.0, 0.0, 0.0, 0.0]
    file.write_text(json.dumps(poses))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lose_an_image, "CAM_BACK"),
        (truncate_an_image, "CAM_BACK"),
        (break_a_table, "sample.json"),
        (lose_the_tables, "v1.0-synthetic"),
        (bend_a_quaternion, "ego_pose"),
    ],
)
def test_a_damaged_data_set(
    bevprior: Run, drive: Path, tmp_path: Path, damage: Callable[[Path], None], says: str
) -> None:
    root = tmp_path / "data"
    shutil.copytree(drive, root)
    damage(root)
    arguments = ["--set", f"data.root={root}", "--set", "index.version=v1.0-synthetic"]
    done = bevprior("run", "keyframe", "--until", "index", *arguments, cache=tmp_path / "cache", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("bevprior: ")
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not Store(tmp_path / "cache").artifacts()


def test_bad_frames_can_be_skipped(bevprior: Run, drive: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(drive, root)
    lose_an_image(root)
    arguments = ["--set", f"data.root={root}", "--set", "index.version=v1.0-synthetic", "--skip-bad-frames"]
    done = bevprior("run", "keyframe", "--until", "index", *arguments, cache=tmp_path / "cache", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (index,) = Store(tmp_path / "cache").artifacts()
    assert "CAM_BACK" in (index.path / "problems.json").read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "smok"], "no experiment 'smok'"),
        (["run", "smoke", "--until", "pretrian"], "there is no stage 'pretrian' (--until)"),
        (["run", "smoke", "--set", "pretrain.stpes=1"], "unknown key 'stpes'"),
        (["run", "smoke", "--engine", "dask"], "--engine"),
        (["run", "nuscenes", "--until", "index"], "--set data.root=FOLDER"),
        (["run", "keyframe", "--until", "index", "--set", "data.root=/nonexistent"], "/nonexistent"),
        (["run", "keyframe", "--until", "index", "--set", "data.root=."], "v1.0-mini"),
        (
            ["run", "smoke", "--until", "teacher_labels", "--set", "teacher_labels.teacher.map.ids={lane: [1]}"],
            "'lane' is no class",
        ),
        (["show", "abc"], "no artifact has the key 'abc'"),
    ],
)
def test_a_request_that_makes_no_sense(bevprior: Run, tmp_path: Path, arguments: list[str], says: str) -> None:
    done = bevprior(*arguments, cache=tmp_path / "cache", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "cache").exists()


def test_a_teacher_with_other_classes(bevprior: Run, drive: Path, teacher: Path, tmp_path: Path) -> None:
    settings = [
        "data.world=null",
        f"data.root={drive}",
        "index.split=all_train",
        f"teacher_labels.teacher.source={teacher}",
    ]
    settings += ["teacher_labels.teacher.map.num_classes=65"]
    arguments = [part for setting in settings for part in ("--set", setting)]
    done = bevprior("run", "smoke", "--until", "teacher_labels", *arguments, cache=tmp_path / "cache", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "65" in done.stderr
    assert "Traceback" not in done.stderr
    assert [a.stage for a in Store(tmp_path / "cache").artifacts()] == ["index"]


def test_a_full_disk(bevprior: Run, tmp_path: Path) -> None:
    """Files cannot grow past 4 KiB here, which a process sees as it sees a full disk: a write that fails."""
    done = bevprior(
        "run",
        "smoke",
        "--until",
        "world",
        "--set",
        "runtime.num_workers=1",
        cache=tmp_path / "cache",
        cwd=tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
    )
    assert done.returncode == 2, done.stderr
    assert "bevprior: file size limit reached" in done.stderr
    assert "Traceback" not in done.stderr
    assert not Store(tmp_path / "cache").artifacts()


def test_a_cache_of_a_newer_version(bevprior: Run, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / MARKER_FILE).write_text('{"layout": 999}')
    done = bevprior("run", "smoke", cache=tmp_path / "cache", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "newer version" in done.stderr
    assert len(done.stderr.splitlines()) == 1
