"""Prefect with a worker that dies, and one whose run dies: the next run goes on, and nothing of ours is left over."""

import json
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest

from cache.store import Store
from tests.end_to_end.program import BEVPRIOR, environment
from tests.pipeline.prefect_processes import post, start_server, start_worker

pytestmark = pytest.mark.timeout(300)
MARK = "BEVPRIOR_TEST_MARK"
OVERRIDES = [
    "runtime.num_workers=2",
    "runtime.num_processes=2",
    "runtime.checkpoint_seconds=0",
    "teacher_labels.frames_per_shard=1",
    "teacher_labels.teacher.image_hw_px=[96, 192]",
    "pretrain.optimiser.steps=24",  # so that there is time to be killed in
    "data.world.frames_per_scene=2",
]
EXPERIMENT = {"config": "smoke", "until": "pretrain", "overrides": OVERRIDES}


class Machine:
    """Where the worker runs; every process that it starts, and those start, carry a mark."""

    def __init__(self, environment: dict[str, str], stack: ExitStack, folder: Path) -> None:
        self.mark = uuid.uuid4().hex
        self.cache = Path(environment["BEVPRIOR_CACHE"])
        self._environment, self._stack, self._folder = environment, stack, folder
        self._workers = 0

    def start_worker(self) -> subprocess.Popen[bytes]:
        self._workers += 1
        log = self._folder / f"worker-{self._workers}.log"
        return start_worker(self._stack, {**self._environment, MARK: self.mark}, log)

    def start_run(self) -> str:
        """Its id. By the API: the command line takes five seconds to import Prefect (test_prefect.py has it)."""
        (deployment,) = post(self._environment, "/deployments/filter", {"deployments": {"name": {"any_": ["demo"]}}})
        order = {"parameters": {"request": EXPERIMENT}, "state": {"type": "SCHEDULED"}}
        return str(post(self._environment, f"/deployments/{deployment['id']}/create_flow_run", order)["id"])

    def state_of(self, run: str) -> object:
        return next(r["state_type"] for r in post(self._environment, "/flow_runs/filter", {}) if r["id"] == run)

    def processes(self) -> dict[psutil.Process, str]:
        """Those that live, with their command lines."""
        found = {}
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(MARK) == self.mark:
                    found[process] = " ".join(process.cmdline())
        return found

    def run_process(self, worker: subprocess.Popen[bytes]) -> psutil.Process:
        """The worker's child in which the flow runs."""
        (process,) = (p for p, command in self.processes().items() if p.ppid() == worker.pid and "prefect" in command)
        return process

    def ours(self) -> list[str]:
        """What is left of a run whose process is dead."""
        return [command for command in self.processes().values() if "prefect" not in command]

    def done(self, stage: str) -> dict[str, int]:
        """Name and time stamp of every file that finished units of an unfinished artifact wrote."""
        files: dict[str, int] = {}
        for receipt in self.cache.glob(f"tmp/{stage}-*/done/*.json"):
            folder = receipt.parents[1] / "data"
            names = json.loads(receipt.read_bytes())["files"]
            files |= {name: (folder / name).stat().st_mtime_ns for name in names}
        return files


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("machine")
    with ExitStack() as stack:
        yield Machine(start_server(folder, stack), stack, folder)


def until(condition: Callable[[], object], every_s: float = 0.5) -> None:
    """Waits for it; asking the server, or every process of the machine, costs too much to do it often."""
    deadline_s = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(every_s)


def times(machine: Machine, stage: str) -> dict[str, int]:
    (artifact,) = (a for a in Store(machine.cache).artifacts() if a.stage == stage)
    return {name: (artifact.path / name).stat().st_mtime_ns for name in artifact.manifest.files}


def undisturbed(cache: Path) -> dict[str, str]:
    """Output digests of the same run without Prefect, without a kill and without Dask."""
    settings = [part for override in (*OVERRIDES, "runtime.num_workers=1") for part in ("--set", override)]
    command = [BEVPRIOR, "run", "smoke", "--until", "pretrain", *settings]
    done = subprocess.run(command, env=environment(cache), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {artifact.stage: artifact.output_digest for artifact in Store(cache).artifacts()}


def test_whatever_is_killed_the_next_run_goes_on_and_no_process_is_left(machine: Machine) -> None:
    machine.start_worker()
    machine.start_run()
    until(lambda: machine.done("world"), every_s=0.05)
    for process in machine.processes():  # the whole machine dies
        with suppress(psutil.NoSuchProcess):
            process.kill()
    until(lambda: not machine.processes())
    assert not (machine.cache / "artifacts" / "world").exists(), "killed too late"
    of_world = machine.done("world")

    worker = machine.start_worker()
    machine.start_run()
    until(lambda: machine.done("teacher_labels"), every_s=0.05)
    assert len(machine.ours()) >= 2, "no Dask worker to leave behind"
    machine.run_process(worker).kill()  # this process alone
    until(lambda: not machine.ours())
    assert times(machine, "world").items() >= of_world.items(), "a scene that was there is written again"
    of_labels = machine.done("teacher_labels")

    machine.start_run()
    until(lambda: list(machine.cache.glob("tmp/pretrain-*/data/checkpoint.pt")), every_s=0.05)
    assert len(machine.ours()) >= 2, "no training process to leave behind"
    machine.run_process(worker).kill()
    until(lambda: not machine.ours())
    assert times(machine, "teacher_labels").items() >= of_labels.items(), "a shard that was there is labelled again"
    assert not (machine.cache / "artifacts" / "pretrain").exists(), "killed too late"

    last = machine.start_run()
    until(lambda: machine.state_of(last) == "COMPLETED")
    artifacts = {artifact.stage: artifact for artifact in Store(machine.cache).artifacts()}
    assert set(artifacts) == {"world", "index", "teacher_labels", "ground", "geometry", "ground_points", "pretrain"}
    attempts = {stage: a.manifest.provenance["cost"]["attempts"] for stage, a in artifacts.items()}
    killed = {"world", "teacher_labels", "pretrain"}
    assert attempts == {stage: 2 if stage in killed else 1 for stage in artifacts}
    assert list((machine.cache / "tmp").iterdir()) == []
    assert {stage: a.output_digest for stage, a in artifacts.items()} == undisturbed(machine.cache.parent / "another")
    until(lambda: not machine.ours())  # while Prefect's own worker waits for more to do
    worker.kill()
    until(lambda: not machine.processes())
