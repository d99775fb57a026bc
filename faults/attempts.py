"""One attempt at a command: in a fork of this process, which has paid for the imports, or in a process of its own.

Either is the leader of a process group, and is killed from inside by a `Trigger`, or from outside after some time.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
import traceback
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from faults.forks import drop_capabilities, fork
from faults.processes import Victim, end
from faults.program import VARIABLE, Orders, watched
from faults.triggers import Trigger

TIMEOUT_S = 180.0
FILES = ("out", "err", "ledger", "counts", "pipe")
REPOSITORY = Path(__file__).resolve().parents[1]
RANDOM = "random instant"


@dataclass(frozen=True)
class Kill:
    """How an attempt is to be killed.

    Attributes:
        trigger: from inside; None: from outside, `after_s` the start.
        after_s: with a trigger of the kind "after": so long after it told.
        victim: all processes of the group at once, or only the one that was started.
        instead: what is done instead of a kill, while the process pauses.
    """

    trigger: Trigger | None = None
    after_s: float = 0.0
    victim: Victim = "machine"
    instead: Callable[[], None] | None = None

    @property
    def column(self) -> str:
        """Of the table."""
        return self.trigger.kind if self.trigger else RANDOM


@dataclass(frozen=True)
class Command:
    """A command line, and where it runs.

    Attributes:
        arguments: of `bevprior`.
        cache: its cache, a folder or a URL.
        folder: its working directory; what it says is kept there.
        roots: folders of caches that are watched.
        environment: variables besides.
        forks: whether a fork of this process will do.
        work: what a fork does instead of `bevprior ARGUMENTS`.
        plain_user: whether a fork gives up what sets root apart: for root, permissions mean nothing.
    """

    arguments: Sequence[str]
    cache: str
    folder: Path
    roots: Sequence[Path]
    environment: tuple[tuple[str, str], ...] = ()
    forks: bool = True
    work: Callable[[], object] | None = None
    plain_user: bool = False


@dataclass(frozen=True)
class Attempt:
    """What came of one.

    Attributes:
        status: its exit status, negative for a signal.
        killed: whether the kill that was meant for it hit it.
        wall_s: how long it ran.
        output, errors: what it printed.
        ledger: file of what it computed.
        counts: of calls, by "stage/kind"; only of forks that ended by themselves.
        mark: see `Orders`.
    """

    status: int
    killed: bool
    wall_s: float
    output: str
    errors: str
    ledger: Path
    counts: dict[str, int]
    mark: str


def attempt(command: Command, kill: Kill | None = None) -> Attempt:
    """Runs a command to its end, or to its kill."""
    return Started(command, kill).finish()


class Started:
    """A command that runs."""

    def __init__(self, command: Command, kill: Kill | None = None) -> None:
        command.folder.mkdir(parents=True, exist_ok=True)
        self._kill, self._mark = kill, uuid.uuid4().hex
        self._files = {kind: command.folder / f"{self._mark}.{kind}" for kind in FILES}
        os.mkfifo(self._files["pipe"])
        self._listener = os.open(self._files["pipe"], os.O_RDONLY | os.O_NONBLOCK)
        roots = [str(root) for root in command.roots]
        trigger, pipe = kill.trigger if kill else None, str(self._files["pipe"])
        orders = Orders(str(self._files["ledger"]), roots, trigger, pipe, self._mark)
        self._start_s = time.monotonic()
        with self._files["out"].open("wb") as out, self._files["err"].open("wb") as err:
            begin = _fork if command.forks else _spawn
            self._pid = begin(command, orders, (out.fileno(), err.fileno()), self._files["counts"])

    def finish(self) -> Attempt:
        """What came of it, when it has ended."""
        try:
            status = _watch(self._pid, self._kill, self._listener)
        finally:
            os.close(self._listener)
        wall_s = time.monotonic() - self._start_s
        counts = self._files["counts"]
        trigger = self._kill.trigger if self._kill else None
        hit = status == -signal.SIGKILL or (trigger is not None and trigger.how == "worker" and status != 0)
        return Attempt(
            status,
            self._kill is not None and hit,
            wall_s,
            self._files["out"].read_text(errors="replace"),
            self._files["err"].read_text(errors="replace"),
            self._files["ledger"],
            json.loads(counts.read_text()) if status >= 0 and counts.exists() else {},
            self._mark,
        )


def _environment(command: Command, orders: Orders) -> dict[str, str]:
    paths = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    mirror = command.folder / "mirror"
    return {
        VARIABLE: orders.to_json(),
        "BEVPRIOR_CACHE": command.cache,
        "BEVPRIOR_MIRROR": str(mirror),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(paths),
        "NO_COLOR": "1",
        "COLUMNS": "200",
        **dict(command.environment),
    }


def _spawn(command: Command, orders: Orders, descriptors: tuple[int, int], _: Path) -> int:
    return subprocess.Popen(
        [sys.executable, "-m", "faults.program", *command.arguments],
        cwd=command.folder,
        env={**os.environ, **_environment(command, orders)},
        stdin=subprocess.DEVNULL,
        stdout=descriptors[0],
        stderr=descriptors[1],
        start_new_session=True,
    ).pid


def _fork(command: Command, orders: Orders, descriptors: tuple[int, int], counts: Path) -> int:
    if (pid := fork()) != 0:
        return pid
    status = 1
    try:
        os.setsid()
        os.chdir(command.folder)
        os.environ.update(_environment(command, orders))
        for number, descriptor in enumerate(descriptors, start=1):
            os.dup2(descriptor, number)
        if command.plain_user:
            drop_capabilities()
        status = _run(command, orders, counts)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _run(command: Command, orders: Orders, counts: Path) -> int:
    """The program, in a fork."""
    import faults.program
    from pipeline.cli import main

    watch = watched(orders)
    sys.modules["__main__"] = faults.program  # what spawned workers import
    sys.argv = ["bevprior", *command.arguments]
    status: object = 0
    try:
        (command.work or main)()
    except SystemExit as end:
        status = 0 if end.code is None else end.code
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    counts.write_text(json.dumps({"/".join(key): number for key, number in watch.counts.items()}))
    return status if isinstance(status, int) else 1


def _watch(pid: int, kill: Kill | None, listener: int) -> int:
    """Waits for a process, and kills it when it is time; its exit status."""
    from_outside = kill is not None and kill.trigger is None
    told = kill is not None and kill.trigger is not None and kill.trigger.how in ("after", "pause")
    process = os.pidfd_open(pid)
    try:
        waiting = [process, listener] if told else [process]
        ready, _, _ = select.select(waiting, [], [], kill.after_s if kill and from_outside else TIMEOUT_S)
        if kill is not None and process not in ready and (ready or from_outside):
            if told:
                time.sleep(kill.after_s)
            if kill.instead is None:
                end(pid, kill.victim)
            else:
                while psutil.Process(pid).status() != psutil.STATUS_STOPPED:
                    time.sleep(0.001)
                kill.instead()
                os.kill(pid, signal.SIGCONT)
                select.select([process], [], [], TIMEOUT_S)
        elif not ready:
            end(pid, "machine")
            raise TimeoutError(f"a command hung for {TIMEOUT_S:.0f} s")
    finally:
        os.close(process)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
