"""Runs a training function in this process, or in several through torchrun.

Several: a job file describes the call, torchrun runs `python -m trainer.distributed JOB` in each process, the first
process leaves the result in a file, and each that fails its error.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import psutil
import torch
import torch.distributed as dist

from cache.durable import write_atomically
from scene.errors import EXIT_BAD_INPUT, InputError
from trainer.process import Process, choose_device, pin_threads


@dataclass(frozen=True)
class Job:
    """One call of a training function, as JSON values.

    Attributes:
        entry: "package.module:function" (job, process) -> JSON values.
        settings: of the stage.
        inputs: artifact folders by role.
        folder: where results go.
        data_root: folder of the data set.
        device: "auto", "cpu" or "cuda".
        num_processes: how many share the work.
        checkpoint_seconds, num_readers, progress: see `Process`.
    """

    entry: str
    settings: dict[str, Any]
    inputs: dict[str, str]
    folder: str
    data_root: str
    device: str = "auto"
    num_processes: int = 1
    checkpoint_seconds: float = 20.0
    num_readers: int = 3
    progress: bool = True

    def process(self, device: torch.device, **place: Any) -> Process:
        """A process of this job, on a device, at its place among several."""
        return Process(
            device,
            checkpoint_seconds=self.checkpoint_seconds,
            num_readers=self.num_readers,
            progress=self.progress,
            **place,
        )

    def call(self, process: Process) -> dict[str, Any]:
        """Calls the entry function."""
        pin_threads(process.device)
        module, _, name = self.entry.partition(":")
        function: Callable[[Job, Process], dict[str, Any]] = getattr(importlib.import_module(module), name)
        return function(self, process)


def run_job(job: Job) -> dict[str, Any]:
    """What the job's function returns (from its first process).

    Raises:
        InputError: from the function, or if a process of several ends badly.
    """
    if job.num_processes == 1:
        return job.call(job.process(choose_device(job.device)))
    with TemporaryDirectory(prefix="bevprior-") as temporary:
        folder = Path(temporary)
        launcher = psutil.Process()
        call = {
            "job": asdict(job),
            "launcher": [launcher.pid, launcher.create_time()],
        }
        (folder / "job.json").write_text(json.dumps(call))
        status = _torchrun(job.num_processes, folder / "job.json")
        outcomes = [json.loads(file.read_text()) for file in sorted(folder.glob("result.*.json"))]
    for outcome in outcomes:
        if "error" in outcome:
            raise InputError(outcome["error"])
    if status != 0 or not outcomes:
        raise InputError(f"a training process ended with status {status}", fix="see its messages above, then run again")
    value: dict[str, Any] = outcomes[0]["value"]
    return value


def _torchrun(num_processes: int, job_file: Path) -> int:
    """Runs torchrun in a session of its own, so that a terminal's Ctrl-C reaches it once and through us."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(num_processes)]
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    with (
        subprocess.Popen(
            [*command, "--module", "trainer.distributed", str(job_file)], start_new_session=True, env=environment
        ) as process,
        _forwarding(process),
    ):
        try:
            return process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise


@contextmanager
def _forwarding(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Hands SIGTERM on while the block runs, and then to who waited for it before; signals can be handled in the main
    thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def forward(number: int, frame: FrameType | None) -> None:
        process.send_signal(number)
        if callable(before):
            before(number, frame)

    before = signal.signal(signal.SIGTERM, forward)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _launcher(pid: int, create_time: float) -> psutil.Process:
    """The launching process, if it still is the one that it was.

    Raises:
        SystemExit: if it is gone.
    """
    try:
        process = psutil.Process(pid)
    except psutil.NoSuchProcess:
        raise SystemExit("the launching process is gone") from None
    if process.create_time() != create_time:
        raise SystemExit("the launching process is gone")
    return process


def main(job_file: Path) -> int:
    """One process under torchrun."""
    call = json.loads(job_file.read_text())
    rank = int(os.environ["RANK"])
    try:
        outcome: dict[str, Any] = {"value": _take_part(Job(**call["job"]), rank, _launcher(*call["launcher"]))}
    except InputError as error:
        outcome = {"error": str(error)}
    if rank == 0 or "error" in outcome:  # one that fails alone is the only one that can tell why
        write_atomically(job_file.with_name(f"result.{rank:05d}.json"), json.dumps(outcome).encode(), durable=False)
    if "error" in outcome:
        # The others may wait in an exchange that this process will not come to, and leaving in order would wait for
        # them. torchrun ends them when it sees how this one ended.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(EXIT_BAD_INPUT)
    dist.destroy_process_group()
    return 0


def _take_part(job: Job, rank: int, launcher: psutil.Process) -> dict[str, Any]:
    device = choose_device(job.device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return job.call(job.process(device, rank=rank, world_size=int(os.environ["WORLD_SIZE"]), launcher=launcher))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
