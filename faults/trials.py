"""A trial: one command that is killed again and again, and then finishes; and what must hold meanwhile."""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from faults import layout, ledger
from faults.attempts import Attempt, Command, Kill, attempt, still_running
from faults.layout import Finished

PATIENCE_S = 25.0
"""How long processes may outlive a main process that was killed alone: a step has 15 s to end what it started."""


class View(Protocol):
    """A cache as it lies there; see `faults.layout` and `faults.bucket`."""

    def half_artifacts(self, *, digests: bool = False) -> list[str]: ...

    def done_units(self) -> set[tuple[str, str]]: ...

    def finished(self) -> dict[str, Finished]: ...

    def leftovers(self) -> list[str]: ...


@dataclass(frozen=True)
class Trial:
    """One trial.

    Attributes:
        row: of the table.
        command: what is killed, and at last not.
        kills: of the attempts in order; a kill that comes too late is none.
        views: the caches that the command changes.
        expected: what is in the last of them at the end: output digest by artifact.
    """

    row: str
    command: Command
    kills: tuple[Kill, ...]
    views: tuple[View, ...]
    expected: dict[str, str]


@dataclass
class Verdict:
    """What came of trials, added up.

    Attributes:
        kills: SIGKILLs that hit, by what was killed and what it was doing.
        trials: how many.
        done_before: units (and artifacts) that were done when a kill came; one that survives two kills counts twice.
        compared: output digests compared with the undisturbed run's.
        broken: promises that were, each in a line.
        slowest_end_s: the longest that a process outlived the main process.
        leftovers: names of what finished runs left lying.
    """

    kills: Counter[tuple[str, str]] = field(default_factory=Counter)
    trials: int = 0
    done_before: int = 0
    compared: int = 0
    broken: list[str] = field(default_factory=list)
    slowest_end_s: float = 0.0
    leftovers: list[str] = field(default_factory=list)

    def add(self, other: "Verdict") -> None:
        self.kills += other.kills
        self.trials += other.trials
        self.done_before += other.done_before
        self.compared += other.compared
        self.broken += other.broken
        self.slowest_end_s = max(self.slowest_end_s, other.slowest_end_s)
        self.leftovers += other.leftovers


def carry_out(trial: Trial) -> Verdict:
    """Kills, looks, resumes, compares."""
    verdict = Verdict(trials=1)
    done: set[tuple[str, str]] = set()
    finished_units: set[tuple[str, str]] = set()
    for kill in (*trial.kills, None):
        made = attempt(trial.command, kill)
        events = list(ledger.read(made.ledger))
        again = {(e.build, e.unit) for e in events if e.what in ("begun", "entered")} & done
        again |= {(e.build, e.unit) for e in events if e.what == "done"} & finished_units
        verdict.broken += [f"{_name(trial)}: {build} {unit} was done, and is computed again" for build, unit in again]
        finished_units |= {(e.build, e.unit) for e in events if e.what == "done"}
        half = [name for view in trial.views for name in view.half_artifacts()]
        verdict.broken += [f"{_name(trial)}: half an artifact: {name}" for name in half]
        if made.killed:
            verdict.kills[trial.row, kill.column if kill else ""] += 1
            done = {unit for view in trial.views for unit in view.done_units()}
            verdict.done_before += len(done)
            verdict.broken += _of_a_lost_worker(trial, made)
        verdict.broken += _outliving(trial, made, kill, verdict)
        if not made.killed:
            if made.status != 0:
                verdict.broken.append(f"{_name(trial)}: status {made.status}: {made.errors[-2000:]}")
            break
    _compare(trial, verdict)
    return verdict


def _name(trial: Trial) -> str:
    kills = "; ".join(str(kill.trigger or f"{kill.after_s:.3f} s, {kill.victim}") for kill in trial.kills)
    return f"{trial.row} [{kills}]"


def _of_a_lost_worker(trial: Trial, made: Attempt) -> Iterable[str]:
    """A command whose worker was killed ends by itself, in one line."""
    if made.status > 0 and (made.status != 2 or "Traceback" in made.errors or "bevprior: " not in made.errors):
        yield f"{_name(trial)}: a worker was killed, and the command ended with {made.status}: {made.errors[-3000:]}"


def _outliving(trial: Trial, made: Attempt, kill: Kill | None, verdict: Verdict) -> Iterable[str]:
    """Processes that are still there, after those that may take their time had it."""
    if trial.command.forks:  # such a command starts no processes
        return
    since = time.monotonic()
    while (left := still_running(made.mark)) and time.monotonic() - since < PATIENCE_S:
        time.sleep(0.05)
    if left:
        yield f"{_name(trial)}: {len(left)} processes are still there after {PATIENCE_S:.0f} s"
    elif kill is not None and made.killed:
        verdict.slowest_end_s = max(verdict.slowest_end_s, time.monotonic() - since)


def _compare(trial: Trial, verdict: Verdict) -> None:
    view = trial.views[-1]
    found = {name: artifact.output_digest for name, artifact in view.finished().items()}
    verdict.compared += len(trial.expected)
    for name in sorted(found.keys() | trial.expected.keys()):
        if found.get(name) != trial.expected.get(name):
            told = f"{found.get(name)} instead of {trial.expected.get(name)}"
            verdict.broken.append(f"{_name(trial)}: {name}: {told}")
    verdict.broken += [f"{_name(trial)}: damaged at the end: {name}" for name in view.half_artifacts(digests=True)]
    verdict.leftovers += view.leftovers()
    if isinstance(view, FolderView) and trial.command.work is None:
        verdict.broken += [f"{_name(trial)}: after gc: {name}" for name in view.after_collection(trial.command.folder)]


@dataclass(frozen=True)
class FolderView:
    """A cache in a folder."""

    cache: Path

    def half_artifacts(self, *, digests: bool = False) -> list[str]:
        return layout.half_artifacts(self.cache, digests=digests)

    def done_units(self) -> set[tuple[str, str]]:
        return layout.done_units(self.cache)

    def finished(self) -> dict[str, Finished]:
        return layout.finished(self.cache)

    def leftovers(self) -> list[str]:
        return layout.leftovers(self.cache)

    def after_collection(self, folder: Path) -> list[str]:
        """What lies about even after `bevprior gc`."""
        arguments = ("gc", "--yes", "--grace-hours", "0")
        done = attempt(Command(arguments, str(self.cache), folder, [self.cache]))
        return [*layout.leftovers(self.cache), *([done.errors] if done.status != 0 else [])]
