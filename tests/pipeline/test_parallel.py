"""Several steps at a time: the same artifacts as one by one, faults reach the caller, no worker is left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import psutil
import pytest
from rich.console import Console

from cache.store import Store
from pipeline.inline import run_inline
from pipeline.parallel import _end_workers, _interrupt, _work
from pipeline.plan import Plan, Step
from scene.errors import InputError
from stages.stage import Runtime

SILENT = Console(quiet=True)
TWO = Runtime(num_jobs=2, progress=False)


def diamond(toy: SimpleNamespace) -> Plan:
    """Two independent steps and one that reads both."""
    one, two = (Step(f"numbers:{i}", toy.NUMBERS, toy.NumbersSettings(step=i)) for i in (1, 2))
    inputs = {"numbers": "numbers:1", "extra": "numbers:2"}
    return Plan((one, two, Step("total", toy.TOTAL, toy.TotalSettings(), inputs)))


def test_artifacts_are_those_of_one_step_at_a_time(toy: SimpleNamespace, tmp_path: Path) -> None:
    alone = run_inline(diamond(toy), Store(tmp_path / "alone"), Runtime(), SILENT)
    together = run_inline(diamond(toy), Store(tmp_path / "together"), TWO, SILENT)
    assert [o.step.name for o in together] == ["numbers:1", "numbers:2", "total"]
    assert [o.artifact.output_digest for o in together] == [o.artifact.output_digest for o in alone]
    assert all(o.built for o in together)


def test_what_fills_the_machine_has_it_for_itself(toy: SimpleNamespace, tmp_path: Path) -> None:
    stages = (toy.BESIDE, toy.ALONE, toy.BESIDE, toy.ALONE)
    steps = [Step(f"{s.name}:{i}", s, toy.NumbersSettings(step=i)) for i, s in enumerate(stages)]
    outcomes = run_inline(Plan(tuple(steps)), Store(tmp_path / "cache"), TWO, SILENT)
    spans = [(o.step.stage, *o.artifact.manifest.provenance["recorded"]["seconds"]) for o in outcomes]
    for stage, begun, ended in spans:
        met = [other for other, start, end in spans if start < ended and begun < end]
        assert met == [stage] or (stage is toy.BESIDE and met == [toy.BESIDE, toy.BESIDE])


def test_what_is_cached_needs_no_worker(toy: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "cache")
    run_inline(diamond(toy), store, Runtime(), SILENT)
    monkeypatch.setattr("concurrent.futures.ProcessPoolExecutor.submit", lambda *_: pytest.fail("a worker was asked"))
    again = run_inline(diamond(toy), store, TWO, SILENT)
    assert not any(o.built for o in again)


def test_a_fault_ends_the_run_and_what_is_done_stays(
    toy: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "cache")
    monkeypatch.setenv("TOY_FAILS_AT", "2")
    before = psutil.Process().children(recursive=True)  # other tests' servers and trackers
    with pytest.raises(RuntimeError, match="power cut"):
        run_inline(diamond(toy), store, TWO, SILENT)
    assert not store.artifacts()
    # multiprocessing's resource tracker outlives a pool: it serves this process until it ends
    left = {p for p in psutil.Process().children(recursive=True) if "resource_tracker" not in " ".join(p.cmdline())}
    assert left <= set(before)
    assert "Traceback" not in capfd.readouterr().err  # of a worker that only waited
    monkeypatch.delenv("TOY_FAILS_AT")
    outcomes = run_inline(diamond(toy), store, TWO, SILENT)
    assert len(store.artifacts()) == 3
    assert outcomes[-1].built


def test_a_worker_killed_from_outside_is_one_clear_line(
    toy: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "cache")
    monkeypatch.setenv("TOY_IS_KILLED_AT", "2")
    with pytest.raises(InputError, match=r"killed from outside.*numbers:1.*run again"):
        run_inline(diamond(toy), store, TWO, SILENT)
    monkeypatch.delenv("TOY_IS_KILLED_AT")
    assert run_inline(diamond(toy), store, TWO, SILENT)[-1].built


def test_a_worker_that_is_gone_before_it_is_told_to_end_is_no_error() -> None:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    ended = []
    worker = SimpleNamespace(pid=done.pid, is_alive=lambda: True, join=lambda _: None, kill=lambda: ended.append(1))
    pool = SimpleNamespace(_processes={done.pid: worker}, shutdown=lambda **_: None)
    _end_workers(cast(ProcessPoolExecutor, pool))
    assert ended == [1]


def test_a_second_interrupt_does_not_break_into_the_unwinding_of_the_first(
    toy: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unwound = []

    def step(*_: object) -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGINT)
            unwound.append(1)

    monkeypatch.setattr("pipeline.parallel.execute", step)
    before = signal.signal(signal.SIGINT, _interrupt)
    try:
        for times in (1, 2):  # the next step of the same worker is interruptible again
            with pytest.raises(KeyboardInterrupt):
                _work(diamond(toy).steps[0], {}, str(tmp_path / "cache"), Runtime())
            assert len(unwound) == times
        signal.raise_signal(signal.SIGINT)  # a worker that waits does not hear it
    finally:
        signal.signal(signal.SIGINT, before)


def test_workers_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    started = tmp_path / "started"
    program = f"""
import time
from collections.abc import Callable
from pathlib import Path
from rich.console import Console
from cache.store import Store
from pipeline.inline import run_inline
from pipeline.plan import Plan, Step
from scene.settings import Settings
from stages.stage import Runtime, Stage

def endless(run):
    Path({str(started)!r}).touch()
    time.sleep(600)

STAGE = Stage("endless", 1, Settings, (), "endless_stage:endless")
if __name__ == "__main__":
    from endless_stage import STAGE
    plan = Plan((Step("endless", STAGE, Settings()),))
    run_inline(plan, Store({str(tmp_path / "cache")!r}), Runtime(num_jobs=2), Console())
"""
    (tmp_path / "endless_stage.py").write_text(program)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path.cwd())])}
    run = subprocess.Popen([sys.executable, str(tmp_path / "endless_stage.py")], env=environment)
    _wait_for(started.exists)
    children = psutil.Process(run.pid).children(recursive=True)
    assert children
    run.send_signal(signal.SIGKILL)
    run.wait()
    _wait_for(lambda: not any(c.is_running() and c.status() != psutil.STATUS_ZOMBIE for c in children))


def _wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
