"""Time and memory of the commands that look at a cache, on one as large as nuScenes and on one 20 times larger.

python -m benchmarks.scale [--times 20] [--folder FOLDER] [--json]

Both caches are simulated (`benchmarks.simulated_cache`). Each command is a process of its own, from start to end, with
files in the page cache; the commands take turns. Peak memory is that of its process alone, as the kernel counts it.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table
from tqdm import tqdm

from benchmarks.figures import Spread, answer

SEEDS = 3
LIMIT_S, LIMIT_MB = 2.0, 500.0
TARGETS = ("plan", "ls", "gc --dry-run")


@dataclass(frozen=True)
class Cost:
    """Of one command.

    Attributes:
        wall_s: seconds from its start to its end.
        cpu_s: of the processor, which other programs on the machine change less.
        peak_mb: largest resident set of its process, in MB.
    """

    wall_s: Spread
    cpu_s: Spread
    peak_mb: Spread


def run(arguments: Sequence[str]) -> tuple[float, float, float]:
    """Seconds, processor seconds and peak memory in MB of one command.

    The kernel counts the memory of whoever starts a process as that process's own, until it has replaced its image:
    so this program imports little and builds the caches in another process.
    """
    command = [sys.executable, "-m", "pipeline.cli", *arguments]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with status {process.returncode}")
    return wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6


def commands(folder: Path, times: int) -> dict[str, list[str]]:
    """The command lines for a simulated cache, by title."""
    cache = ["--cache", str(folder / "cache")]
    plan = ["plan", "nuscenes", "--set", f"data.root={folder / 'data'}"]
    plan += ["--set", f"seeds={list(range(SEEDS * times))}", *cache]
    (labels,) = (folder / "cache" / "artifacts" / "teacher_labels").iterdir()
    return {
        "plan": plan,
        "plan, a setting changed": [*plan, "--set", "teacher_labels.min_confidence=0.5"],
        "ls": ["ls", *cache],
        "gc --dry-run": ["gc", "--dry-run", "--grace-hours", "0", *cache],
        "du": ["du", *cache],
        "show (teacher labels)": ["show", labels.name, *cache],
        "verify (names and sizes)": ["verify", *cache],
    }


def measure(folder: Path, times: int, repetitions: int) -> dict[str, Cost]:
    """The cost of each command; the first round, which warms the page cache, does not count."""
    lines = commands(folder, times)
    found: dict[str, list[tuple[float, float, float]]] = {title: [] for title in lines}
    with tqdm(total=(1 + repetitions) * len(lines), desc=f"commands, x {times}", unit="command") as bar:
        for repetition in range(1 + repetitions):
            for title, line in lines.items():
                figures = run(line)
                bar.update()
                if repetition:
                    found[title].append(figures)
    return {title: Cost(*(Spread.of(column) for column in zip(*rows, strict=True))) for title, rows in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=20, help="how much larger the second cache is")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where to simulate, on a disk with 5 million inodes to spare")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="bevprior-scale-", dir=arguments.folder))
    costs: dict[int, dict[str, Cost]] = {}
    try:
        for times, repetitions in ((1, arguments.repetitions), (arguments.times, max(1, arguments.repetitions // 2))):
            folder = scratch / f"x{times}"
            subprocess.run([sys.executable, "-m", "benchmarks.simulated_cache", str(folder), str(times)], check=True)
            costs[times] = measure(folder, times, repetitions)
            shutil.rmtree(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    one, many = costs.values()
    columns = [f"{what}{size}" for size in ("", f", x {arguments.times}") for what in ("s", "CPU s", "MB")]
    table = Table("command", *columns, "times the time")
    for title, cost in one.items():
        figures = []
        for c in (cost, many[title]):
            figures += [c.wall_s.text(), f"{c.cpu_s.median:,.2f}", f"{c.peak_mb.median:,.0f}"]
        table.add_row(title, *figures, f"{many[title].wall_s.median / cost.wall_s.median:.1f}")
    met = {
        title: one[title].wall_s.median <= LIMIT_S
        and one[title].peak_mb.median <= LIMIT_MB
        and many[title].wall_s.median <= arguments.times * one[title].wall_s.median
        for title in TARGETS
    }
    limits = f"at most {LIMIT_S:.0f} s and {LIMIT_MB:.0f} MB, growth no worse than linear"
    notes = [f"{title}: {limits}: {'yes' if met[title] else 'NO'}" for title in TARGETS]
    document = {f"x{times}": {title: asdict(cost) for title, cost in rows.items()} for times, rows in costs.items()}
    answer({**document, "targets_met": met}, [table], notes, as_json=arguments.json)


if __name__ == "__main__":
    main()
