"""Damage is named, never read as data, and undone: python -m faults.corruption [--damages 1200] [--repairs 64] [--json]

Every kind of file of a finished cache, and of a build in progress, is damaged: a bit flipped, the end cut off, the file
removed, bytes added. `verify --full` must name that file and no other; whoever reads an array of it must get an error
that names artifact and repair, or what was written; `repair` must bring back the same output digest.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from tqdm import tqdm

from faults import show
from faults.attempts import Kill, attempt
from faults.damaging import DAMAGES, RECORDS, files_by_kind
from faults.detection import ARRAYS, Case, detect
from faults.experiment import STAGES, Undisturbed, load_everything, undisturbed
from faults.forks import in_fork
from faults.mending import Mended, mend
from faults.triggers import Trigger

BATCH = 40


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--damages", type=int, default=1200, help="to be detected")
    parser.add_argument("--repairs", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    load_everything()
    with tempfile.TemporaryDirectory(prefix="bevprior-faults-") as scratch:
        whole = undisturbed(Path(scratch))
        report = corrupt(whole, arguments.damages, arguments.repairs, arguments.seed)
    return report.print(as_json=arguments.json)


def corrupt(whole: Undisturbed, damages: int, repairs: int, seed: int) -> show.Report:
    """Damages files to see them named, and then to repair them."""
    rng = random.Random(seed)
    cache = whole.cache.parent / "damaged"
    shutil.copytree(whole.cache, cache)
    begin_a_build(whole, cache)
    start = time.monotonic()
    cases = draw(files_by_kind(cache), damages, rng)
    found = look(cache, cases)
    detection_s = time.monotonic() - start
    mended = repair(whole, cache, repairs, rng)
    facts = {
        "damages": len(cases),
        "seconds for them": round(detection_s),
        "repairs with the same output digest": f"{sum(m.same_content for m in mended)} of {len(mended)}",
        "units computed anew, all of them damaged": sum(m.units_computed for m in mended),
        "units kept": sum(m.units_kept for m in mended),
        "repairs by stage": ", ".join(f"{stage} {n}" for stage, n in Counter(m.stage for m in mended).items()),
    }
    return show.Report(
        "Damaged files by kind, and what came of it",
        ("kind of file", *DAMAGES, "named by verify", "array: error", "array: correct"),
        table(cases, found),
        facts,
        [line for answer in found for line in answer["broken"]] + [line for m in mended for line in m.broken],
    )


def begin_a_build(whole: Undisturbed, cache: Path) -> None:
    """Leaves the cache with a build in progress, a pin and the records of runs."""
    from cache.objects import LocalObjects
    from cache.roots import pin

    command = whole.command(cache, cache.parent / "begun", until="teacher_labels")
    arguments = (*command.arguments, "--set", "teacher_labels.frames_per_shard=1")
    command = type(command)(arguments, command.cache, command.folder, command.roots)
    killed = attempt(command, Kill(Trigger("teacher_labels", "receipt", 9)))
    if not killed.killed:
        raise SystemExit(f"no build in progress to damage: {killed.errors}")
    pin(LocalObjects(cache), "damaged", next(iter(whole.artifacts.values())).key)


def draw(files: dict[str, list[str]], number: int, rng: random.Random) -> list[Case]:
    """Damages that take turns among kinds of files and ways, each to a file drawn at random."""
    pairs = [(kind, how) for kind, how in product(files, DAMAGES) if how != "delete" or kind not in RECORDS]
    cases = []
    for i in range(number):
        kind, how = pairs[i % len(pairs)]
        cases.append(Case(kind, rng.choice(files[kind]), how, rng.randrange(2**31)))
    return cases


def look(cache: Path, cases: list[Case]) -> list[dict[str, Any]]:
    """What is made of each damage."""
    found: list[dict[str, Any]] = []
    with tqdm(total=len(cases), desc="damages", unit="file") as bar:
        for start in range(0, len(cases), BATCH):
            batch = cases[start : start + BATCH]
            found += in_fork(partial(detect, cache, batch))
            bar.update(len(batch))
    return found


def repair(whole: Undisturbed, cache: Path, number: int, rng: random.Random) -> list[Mended]:
    """Damages artifacts of each stage in turn, and repairs them."""
    mended: list[Mended] = []
    stages = [stage for stage in STAGES if whole.of(stage)]
    for i in tqdm(range(number), desc="repairs", unit="repair"):
        stage = stages[i % len(stages)]
        name = rng.choice(sorted(whole.of(stage)))
        mended.append(mend(cache, whole, name, rng.randint(1, 3), rng.randrange(2**31)))
    return mended


def table(cases: list[Case], found: list[dict[str, Any]]) -> list[list[object]]:
    """A row for each kind of file."""
    rows: list[list[object]] = []
    for kind in dict.fromkeys(case.kind for case in cases):
        mine = [(case, answer) for case, answer in zip(cases, found, strict=True) if case.kind == kind]
        hows = [sum(case.how == how for case, _ in mine) for how in DAMAGES]
        reads = [sum(a["read"] == r for _, a in mine) if kind in ARRAYS else 0 for r in ("error", "correct")]
        rows.append([kind, *hows, sum(answer["named"] for _, answer in mine), *reads])
    return [*rows, ["all", *(sum(column) for column in list(zip(*rows, strict=True))[1:])]]


if __name__ == "__main__":
    sys.exit(main())
