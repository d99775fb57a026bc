"""SIGKILL at any instant loses nothing: python -m faults.kills [--kills 240] [--seed 0] [--json]

Stages, gc and push are killed, resumed, killed again, and at last left alone. Then every artifact must be that of an
undisturbed run, and nothing that was done before a kill computed again.
"""

import argparse
import itertools
import random
import shutil
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from faults import show
from faults.experiment import Undisturbed, load_everything, undisturbed
from faults.schedule import COLUMNS, ROWS, Make, Schedule
from faults.trials import Verdict, carry_out
from faults.triggers import How

ONE_ROUND_IS_ABOUT = 140
"""Kills in a round of all rows."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=240, help="at least so many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=ROWS, nargs="+", default=ROWS, metavar="ROW", help=f"among {', '.join(ROWS)}")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    load_everything()
    with tempfile.TemporaryDirectory(prefix="bevprior-faults-") as scratch:
        whole = undisturbed(Path(scratch))
        report = kill(whole, tuple(arguments.only), arguments.kills, arguments.seed)
    return report.print(as_json=arguments.json)


def kill(whole: Undisturbed, rows: tuple[str, ...], kills: int, seed: int) -> show.Report:
    """Kills commands at least `kills` times; see `faults.schedule` for the rows."""
    start = time.monotonic()
    with place_in_a_bucket(rows) as bucket:
        schedule = Schedule(whole, whole.cache.parent, random.Random(seed), bucket)
        verdict = disturb(schedule, rows, kills)
    numbers = {row: [verdict.kills[row, column] for column in COLUMNS] for row in rows}
    numbers["all"] = [sum(column) for column in zip(*numbers.values(), strict=True)]
    facts = {
        "kills": verdict.kills.total(),
        "trials": verdict.trials,
        "units and artifacts done when a kill came": verdict.done_before,
        "output digests compared with the undisturbed run's": verdict.compared,
        "slowest end of the others after the main process was killed alone (s)": round(verdict.slowest_end_s, 1),
        "left lying in caches after finished runs, until gc": _counted(verdict.leftovers),
        "wall time (s)": round(time.monotonic() - start),
    }
    return show.Report(
        "SIGKILLs by what was killed (row) and what it was doing (column)",
        ["", *COLUMNS, "all"],
        [[row, *counts, sum(counts)] for row, counts in numbers.items()],
        facts,
        verdict.broken,
    )


def _counted(names: list[str]) -> str:
    kinds = Counter(name.split("/")[0] for name in names)
    return ", ".join(f"{number} in {kind}/" for kind, number in sorted(kinds.items())) or "nothing"


def disturb(schedule: Schedule, rows: tuple[str, ...], kills: int) -> Verdict:
    """Carries out trials until there were so many kills, and a whole round."""
    total = Verdict()
    with tqdm(total=kills, desc="kills", unit="kill") as bar:
        for make in _rounds(schedule, rows, kills, total):
            trial = make()
            found = carry_out(trial)
            shutil.rmtree(trial.command.folder.parent, ignore_errors=True)
            total.add(found)
            for line in found.broken:
                bar.write(f"BROKEN  {line}", file=sys.stderr)
            bar.update(found.kills.total())
    return total


def _rounds(schedule: Schedule, rows: tuple[str, ...], kills: int, total: Verdict) -> Iterator[Make]:
    hows: tuple[How, ...] = ("before", "after")
    for number, how in enumerate(itertools.cycle(hows)):
        for make in schedule.round(rows, how):
            yield make
            if total.kills.total() >= kills and (number > 0 or kills < ONE_ROUND_IS_ABOUT):
                return


@contextmanager
def place_in_a_bucket(rows: tuple[str, ...]) -> Iterator[Callable[[], str] | None]:
    """Places in a bucket of an S3 server of our own; None where no row needs one."""
    if not any("bucket" in row for row in rows):
        yield None
        return
    from tests.cache import s3

    with s3.server() as port, s3.environment(port):
        yield lambda: f"s3://tests/{uuid.uuid4().hex}"


if __name__ == "__main__":
    sys.exit(main())
