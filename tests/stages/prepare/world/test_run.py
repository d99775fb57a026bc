"""The world stage: killed and resumed, and with any number of workers, it writes the same bytes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from cache.keys import KeySpec
from cache.manifest import Artifact
from cache.store import Store
from stages.prepare.world import STAGE, SplitSettings, WorldSettings
from stages.prepare.world.run import shares
from stages.stage import Runtime, StageRun
from synthetic.settings import plan_scenes

ONE = SplitSettings(num_towns=1, num_scenes=1)
SETTINGS = WorldSettings(
    train=SplitSettings(num_towns=1, num_scenes=2),
    val=ONE,
    teacher=SplitSettings(num_towns=1, num_scenes=0),
    frames_per_scene=1,
    image_wh_px=(64, 32),
    ground_resolution_m=0.2,
)


def _spec() -> KeySpec:
    return KeySpec(STAGE.name, STAGE.version, SETTINGS.canonical(), {}, {})


def build(root: Path, num_workers: int) -> Artifact:
    runtime = Runtime(num_workers=num_workers, progress=False)
    with Store(root).build(_spec(), {}) as handle:
        statistics = STAGE.run(StageRun(SETTINGS, {}, handle, runtime))
        return handle.commit(statistics)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return build(tmp_path_factory.mktemp("whole"), num_workers=1)


def test_counts_and_files(whole: Artifact) -> None:
    assert whole.manifest.statistics == {"towns": 3, "scenes": 3, "frames": 3, "images": 18}
    assert sorted(p.name for p in whole.path.iterdir()) == [
        "manifest.copy.json",
        "manifest.json",
        "maps",
        "samples",
        "scenes",
        "splits.json",
        "truth",
        "v1.0-synthetic",
    ]


def test_a_killed_build_goes_on_in_workers_to_the_same_bytes(whole: Artifact, tmp_path: Path) -> None:
    script = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_run; "
    script += f"test_run.build(test_run.Path({str(tmp_path)!r}), 1)"
    killed = subprocess.Popen([sys.executable, "-c", script], cwd=Path.cwd(), env={**os.environ, "PYTHONPATH": "."})
    deadline = time.monotonic() + 90
    while not _done(tmp_path) and killed.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert 1 <= _done(tmp_path) < 4
    resumed = build(tmp_path, num_workers=2)
    assert resumed.output_digest == whole.output_digest
    assert resumed.manifest.files == whole.manifest.files


@pytest.mark.parametrize("victim", ["the main process", "a worker"])
def test_no_process_survives_a_kill_of_another(victim: str, tmp_path: Path) -> None:
    script = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_run; "
    script += f"__name__ == '__main__' and test_run.build(test_run.Path({str(tmp_path / 'cache')!r}), 2)"
    (tmp_path / "main.py").write_text(script)
    command, env = [sys.executable, str(tmp_path / "main.py")], {**os.environ, "PYTHONPATH": str(Path.cwd())}
    main = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not any(tmp_path.rglob("*.jpg")) and main.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    workers = [child for child in psutil.Process(main.pid).children() if "spawn_main" in " ".join(child.cmdline())]
    assert len(workers) == 2
    (main if victim == "the main process" else workers[0]).kill()
    gone, alive = psutil.wait_procs(workers, timeout=20)
    for process in alive:
        process.kill()
    _, errors = main.communicate(timeout=60)
    assert not alive
    assert len(gone) == 2
    if victim == "a worker":
        assert "scene.errors.InputError: a worker process was killed from outside" in errors


def _done(root: Path) -> int:
    return Store(root).progress(_spec()).done if root.exists() else 0


@pytest.mark.parametrize("num_workers", [1, 2, 3, 7, 100])
def test_work_is_shared_evenly_and_once(num_workers: int) -> None:
    split = SplitSettings(num_towns=3, num_scenes=10)
    scenes = plan_scenes(WorldSettings(train=split, val=split, teacher=split))
    work = shares(scenes, num_workers)
    assert sorted(s.name for share in work for s in share) == sorted(s.name for s in scenes)
    assert len(work) <= num_workers
    assert max(map(len, work)) <= 2 * -(-len(scenes) // num_workers)


def test_describing_the_stage_is_cheap() -> None:
    code = "import sys, stages.prepare.world; print(sorted({'torch', 'nuscenes', 'cv2', 'shapely'} & set(sys.modules)))"
    env = {**os.environ, "PYTHONPATH": "."}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert result.stdout.strip() == "[]"
