"""The smoke experiment: every stage once, nothing twice, and killed runs that end where whole ones do."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cache.arrays import open_arrays
from cache.store import Store
from pipeline.table import STAGES
from tests.end_to_end.program import BEVPRIOR, Run, environment

pytestmark = pytest.mark.timeout(400)
NOT_IN_THE_DEMO = {"teacher", "backbone", "look", "predict"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("smoke")


@pytest.fixture(scope="module")
def finished(bevprior: Run, small: list[str], folder: Path) -> list[dict[str, Any]]:
    """What a whole run says of its steps."""
    done = bevprior("run", *small, "--json", cache=folder / "cache", cwd=folder)
    assert done.returncode == 0, done.stderr
    steps: list[dict[str, Any]] = json.loads(done.stdout)
    return steps


def test_every_stage_runs_and_leaves_an_artifact_and_a_report(finished: list[dict[str, Any]], folder: Path) -> None:
    assert {step["stage"] for step in finished} == set(STAGES) - NOT_IN_THE_DEMO
    assert all(step["built"] for step in finished)
    assert {step["key"] for step in finished} == {a.key for a in Store(folder / "cache").artifacts()}
    page = (folder / "reports" / "smoke" / "index.html").read_text()
    assert "Pretrained only" in page
    assert all(step["step"] in page for step in finished), "a step without a line in the cost table"


def test_a_second_run_finds_everything_and_loads_no_torch(
    finished: list[dict[str, Any]], small: list[str], folder: Path
) -> None:
    program = (
        "import sys; from pipeline.cli import app; app(sys.argv[1:], standalone_mode=False);"
        "sys.exit('torch' in sys.modules or 'prefect' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "run", *small],
        cwd=folder,
        env=environment(folder / "cache"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[: len(finished)]] == ["cached"] * len(finished)
    assert "mIoU %" in done.stdout
    assert lines[-1] == "report: reports/smoke/index.html"


def test_the_plan_says_that_all_is_cached_until_a_setting_changes(
    finished: list[dict[str, Any]], bevprior: Run, small: list[str], folder: Path
) -> None:
    arguments = ("plan", *small, "--set", "pretrain.optimiser.steps=4", "--json")
    done = bevprior(*arguments, cache=folder / "cache", cwd=folder)
    states = {step["step"]: step for step in json.loads(done.stdout)}
    assert states["pretrain:0"]["state"] == "missing"
    assert states["pretrain:0"]["why"].endswith("in optimiser.steps: 3 -> 4")
    assert states["finetune:pretrained-50:0"]["why"] == "waits for pretrain:0"
    assert states["evaluate:scratch-100:0"]["state"] == "cached"


def test_ls_and_show_tell_what_is_there(finished: list[dict[str, Any]], bevprior: Run, folder: Path) -> None:
    listed = json.loads(bevprior("ls", "--json", cache=folder / "cache", cwd=folder).stdout)
    assert {row["key"] for row in listed} == {step["key"] for step in finished}
    assert {"stage", "key", "state", "output_digest", "bytes", "path"} <= set(listed[0])
    by_name = {step["step"]: step for step in finished}
    report = by_name["report"]
    shown = json.loads(bevprior("show", report["key"][:10], "--json", cache=folder / "cache", cwd=folder).stdout)
    assert shown["manifest"]["parents"]["index"] == by_name["index"]["key"]
    assert shown["manifest"]["provenance"]["cost"]["wall_s"] > 0
    assert bevprior("show", "zzz", cache=folder / "cache", cwd=folder).returncode == 2


def test_a_saved_model_predicts_what_was_scored(
    finished: list[dict[str, Any]], small: list[str], bevprior: Run, folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder / "cache", tmp_path / "cache")
    steps = {step["step"]: step for step in finished}
    done = bevprior(
        "save-model", steps["finetune:pretrained-50:0"]["key"], "model", cache=folder / "cache", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    settings = ("--set", "predict.saved_model=model", "--set", "predict.split=val")
    done = bevprior("run", *small, "--until", "predict", *settings, "--json", cache=tmp_path / "cache", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (built,) = (step for step in json.loads(done.stdout) if step["built"])
    assert built["step"] == "predict"
    scored = open_arrays(Path(steps["evaluate:pretrained-50:0"]["path"]) / "predictions.zarr")["class_id"][:]
    (predicted,) = (array[:] for _, array in open_arrays(Path(built["path"]) / "predictions.zarr").arrays())
    assert (np.asarray(predicted) == np.asarray(scored)).all()


def test_a_run_that_is_killed_twice_ends_where_a_whole_one_does(
    finished: list[dict[str, Any]], small: list[str], bevprior: Run, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    command = ["run", *small, "--until", "finetune", "--set", "runtime.checkpoint_seconds=0", "--json"]
    command += ["--set", "arms=[{name: scratch-100, title: x, label_fraction: 1.0, pretrained: false}]"]
    for stage in ("world", "finetune"):
        kill_during(stage, command, cache, tmp_path)
        assert not [a for a in Store(cache).artifacts() if a.stage == stage]
    done = bevprior(*command, cache=cache, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    resumed = {step["step"]: step["output_digest"] for step in json.loads(done.stdout)}
    whole = {step["step"]: step["output_digest"] for step in finished}
    assert resumed == {name: whole[name] for name in resumed}
    assert "finetune:scratch-100:0" in resumed


def kill_during(stage: str, command: list[str], cache: Path, cwd: Path) -> None:
    """Starts the command and kills it, and all its children, once `stage` has finished work but no artifact."""
    process = subprocess.Popen(
        [BEVPRIOR, *command],
        cwd=cwd,
        env=environment(cache),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for_work(stage, process, cache)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for_work(stage: str, process: subprocess.Popen[Any], cache: Path) -> None:
    """Returns once the stage has written a file, for labels one that only a worker writes."""
    written = "labels.zarr/*/c/**/*" if stage == "teacher_labels" else "**/*"
    deadline = time.monotonic() + 120
    while not any(path.is_file() for path in cache.glob(f"tmp/{stage}-*/data/{written}")):
        assert process.poll() is None, "ended too early"
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(("stage", "number", "status"), [("world", "SIGINT", 130), ("teacher_labels", "SIGTERM", 143)])
def test_a_stop_is_one_line_that_says_how_to_go_on(
    stage: str, number: str, status: int, finished: list[dict[str, Any]], small: list[str], folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder / "cache", tmp_path / "cache")
    shutil.rmtree(tmp_path / "cache" / "artifacts" / stage)
    process = subprocess.Popen(
        [BEVPRIOR, "run", *small, "--until", stage, "--set", "runtime.num_workers=2"],
        cwd=tmp_path,
        env=environment(tmp_path / "cache"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for_work(stage, process, tmp_path / "cache")
    stop = os.killpg if number == "SIGINT" else os.kill  # a terminal's goes to all, a scheduler's to the program
    stop(process.pid, signal.Signals[number])
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == status
    assert stderr.splitlines()[-1] == "stopped; the same command goes on from here"
    assert "Traceback" not in stderr
    left = {artifact.stage for artifact in Store(tmp_path / "cache").artifacts()}
    assert left == {step["stage"] for step in finished} - {stage}


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium: install it to open the report in a browser")
def test_the_report_opens_in_a_browser_with_every_picture(
    finished: list[dict[str, Any]], folder: Path, tmp_path: Path
) -> None:
    page = (folder / "reports" / "smoke" / "index.html").read_text()
    assert "http:" not in page.replace("http://www.w3.org", "")
    assert "https:" not in page
    probe = """<script>addEventListener("load", () => { const pictures = [...document.images];
      document.title = pictures.length + " pictures, " + pictures.filter(p => p.naturalWidth < 50).length + " broken, "
        + document.querySelectorAll("table").length + " tables"; });</script></body>"""
    opened = tmp_path / "page.html"
    opened.write_text(page.replace("</body>", probe))
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    flags += " --disable-component-update --disable-sync --virtual-time-budget=5000 --dump-dom"
    command = ["chromium", *flags.split(), f"--user-data-dir={tmp_path / 'profile'}", opened.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    assert "<title>5 pictures, 0 broken, 3 tables</title>" in dom
