"""Processes that start the same run at once share it: python -m faults.races [--rounds 6] [--processes 8] [--json]

In each round, so many processes start on one empty cache. Each unit of work is to be computed once, by one of them;
each artifact made once, with the undisturbed run's digest; and no process may fail.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from faults import ledger, show
from faults.attempts import Attempt, Command, Started
from faults.experiment import Undisturbed, load_everything, undisturbed
from faults.layout import Finished, finished, half_artifacts, leftovers
from tests.cache import toy

UNTIL = "bev_labels"


@dataclass(frozen=True)
class Race:
    """What came of one.

    Attributes:
        row: of the table.
        units: computed, and by how many processes.
        members: how many of the processes computed something.
        artifacts: made.
        wall_s: how long the last one took.
        broken: promises that were.
    """

    row: str
    units: int
    members: int
    artifacts: int
    wall_s: float
    broken: list[str]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=6, help="of each kind")
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    load_everything()
    with tempfile.TemporaryDirectory(prefix="bevprior-faults-") as scratch:
        whole = undisturbed(Path(scratch), until=UNTIL)
        report = races(whole, UNTIL, arguments.rounds, arguments.processes, with_workers=True)
    return report.print(as_json=arguments.json)


def races(whole: Undisturbed, until: str, rounds: int, processes: int, *, with_workers: bool) -> show.Report:
    """Rounds of both kinds.

    Args:
        whole: the undisturbed run.
        until: the last stage.
        rounds: how many.
        processes: that start at once.
        with_workers: whether those of the first round are no forks, and have workers of their own: slower, and just
            as users start them.
    """
    folder, alone = whole.cache.parent, whole.cache.parent / "toy-alone"
    Started(Command((), "", folder / "toy-alone-run", [], work=lambda: toy.recipe(alone))).finish()
    found = []
    for number in tqdm(range(rounds), desc="races", unit="round"):
        place = folder / f"round-{number}"
        forks = number > 0 or not with_workers
        run = whole.command(place / "cache", place / "work", until=until, forks=forks)
        row = f"run smoke --until {until}" + ("" if forks else ", with worker processes")
        found.append(race(row, run, place / "cache", processes, whole.lineage(until)))
        found.append(toy_race(place, processes, finished(alone)))
    return show.Report(
        "The same run, started at once",
        ("race", "artifacts", "units computed", "by processes", "wall time (s)", "broken promises"),
        [[r.row, r.artifacts, r.units, r.members, round(r.wall_s, 1), len(r.broken)] for r in found],
        {"processes that start at once": processes, "races": len(found)},
        [line for r in found for line in r.broken],
    )


def toy_race(place: Path, processes: int, expected: dict[str, Finished]) -> Race:
    """Of the tests' toy stage, whose units take milliseconds: so all are there when it begins."""
    cache = place / "toy"
    command = Command((), str(cache), place / "toy-work", [cache], work=lambda: toy.recipe(cache))
    return race("toy stage", command, cache, processes, expected)


def race(row: str, command: Command, cache: Path, processes: int, expected: dict[str, Finished]) -> Race:
    """Starts them, waits for all, and looks."""
    start = time.monotonic()
    started = [Started(replace(command, folder=command.folder / str(number))) for number in range(processes)]
    ended = [member.finish() for member in started]
    wall_s = time.monotonic() - start
    broken = [f"{row}: a process ended with {end.status}: {end.errors}" for end in ended if end.status != 0]
    broken += [f"{row}: a traceback: {end.errors}" for end in ended if "Traceback" in end.errors]
    done = _done(ended)
    broken += [f"{row}: {unit} of {build} was computed {n} times" for (build, unit), n in done.items() if n > 1]
    found = finished(cache)
    if {name: a.output_digest for name, a in found.items()} != {n: a.output_digest for n, a in expected.items()}:
        broken.append(f"{row}: other artifacts, or other digests: {sorted(found)}")
    broken += [f"{row}: half an artifact: {name}" for name in half_artifacts(cache, digests=True)]
    broken += [f"{row}: left lying: {name}" for name in leftovers(cache)]
    members = len({event.pid for end in ended for event in ledger.read(end.ledger) if event.what == "done"})
    return Race(row, len(done), members, len(found), wall_s, broken)


def _done(ended: list[Attempt]) -> Counter[tuple[str, str]]:
    """How often each unit was begun; for a stage without units, how often its function was entered."""
    events = [event for end in ended for event in ledger.read(end.ledger)]
    units = Counter((event.build, event.unit) for event in events if event.what == "begun")
    with_units = {build for build, _ in units}
    units.update((event.build, "") for event in events if event.what == "entered" and event.build not in with_units)
    return units


if __name__ == "__main__":
    sys.exit(main())
