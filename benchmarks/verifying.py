"""How fast `verify --full` reads and hashes, beside sha256sum, on the same warm files in one run.

python -m benchmarks.verifying [--json]

Two artifacts: one of large files, as shards of teacher labels are, one of many small ones. Each is verified by one
thread on one core and by all cores (the command's own number of threads is the number of cores it may run on);
sha256sum and, where it is there, openssl read the same files, one process on one core, and one for each core.
"""

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table
from tqdm import tqdm

from benchmarks.figures import Spread, answer
from cache.keys import KeySpec
from cache.store import Artifact, Entry, Store
from cache.verify import verify

LARGE, SMALL = (256, 4 << 20), (40_000, 10_000)
"""Number of files and bytes of each."""

PER_FOLDER = 1000
TARGET_GB_S = 1.0
CORES = sorted(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Result:
    """GB/s of one program on the files of one artifact.

    Attributes:
        one_core: of one thread or process on one core.
        all_cores: of as many as there are cores.
    """

    one_core: Spread
    all_cores: Spread


def make(store: Store, files: tuple[int, int]) -> Artifact:
    """An artifact of random bytes."""
    count, size = files

    def fill(build):
        for number in tqdm(range(count), f"{count:,} files", unit="file"):
            file = build.path / f"{number // PER_FOLDER}" / f"{number}.bin"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(os.urandom(size))
        return {}

    return store.get_or_build(KeySpec("bytes", 1, {"count": count, "size": size}), {}, fill)[0]


def verified(store: Store, artifact: Artifact, cores: Sequence[int]) -> None:
    os.sched_setaffinity(0, cores)
    try:
        damages = list(verify(store, [Entry(artifact.stage, artifact.key)], full=True))
    finally:
        os.sched_setaffinity(0, CORES)
    if damages:
        raise SystemExit(f"{len(damages)} damages, first {damages[0]}")


def hashed_by(command: Sequence[str], artifact: Artifact, cores: Sequence[int]) -> None:
    """A program for each core, each with its part of the files."""
    names = list(artifact.manifest.files)
    processes = []
    for place, core in enumerate(cores):
        part = "\n".join(names[place :: len(cores)]) + "\n"
        line = ["taskset", "-c", str(core), "xargs", "-d", "\\n", "-n", "1000", *command]
        process = subprocess.Popen(line, cwd=artifact.path, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        assert process.stdin is not None
        process.stdin.write(part)
        process.stdin.close()
        processes.append(process)
    if any(process.wait() for process in processes):
        raise SystemExit(f"{command[0]} failed")


def measure(store: Store, artifact: Artifact, repetitions: int) -> dict[str, Result]:
    """GB/s of each program, in turns; the first round does not count."""
    programs: dict[str, Callable[[Sequence[int]], None]] = {
        "verify --full": lambda cores: verified(store, artifact, cores),
        "sha256sum": lambda cores: hashed_by(["sha256sum"], artifact, cores),
    }
    if shutil.which("openssl"):
        programs["openssl sha256"] = lambda cores: hashed_by(["openssl", "sha256"], artifact, cores)
    size = sum(entry.bytes for entry in artifact.manifest.files.values())
    rates: dict[tuple[str, int], list[float]] = {}
    for repetition in tqdm(range(repetitions + 1), f"{len(artifact.manifest.files):,} files", unit="round"):
        for name, program in programs.items():
            for cores in (CORES[:1], CORES):
                start = time.perf_counter()
                program(cores)
                rate = size / (time.perf_counter() - start) / 1e9
                if repetition:
                    rates.setdefault((name, len(cores)), []).append(rate)
    return {name: Result(Spread.of(rates[name, 1]), Spread.of(rates[name, len(CORES)])) for name in programs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; needs 1.5 GB")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found: dict[str, dict[str, Result]] = {}
    with tempfile.TemporaryDirectory(prefix="bevprior-verify-", dir=arguments.folder) as scratch:
        store = Store(scratch)
        for count, size in (LARGE, SMALL):
            title = f"{count:,} files of {size / 1e6:,.2f} MB"
            found[title] = measure(store, make(store, (count, size)), arguments.repetitions)
    tables = []
    for title, results in found.items():
        table = Table("program", "GB/s on 1 core", f"GB/s on {len(CORES)} cores", title=title)
        for name, result in results.items():
            table.add_row(name, result.one_core.text(), result.all_cores.text())
        tables.append(table)
    large = next(iter(found.values()))["verify --full"].one_core.median
    met = large >= TARGET_GB_S
    note = f"verify --full: {large:.2f} GB/s on one core; at least {TARGET_GB_S:.0f} GB/s: {'yes' if met else 'NO'}"
    document = {title: {name: asdict(result) for name, result in rows.items()} for title, rows in found.items()}
    answer({**document, "target_met": met}, tables, [note], as_json=arguments.json)


if __name__ == "__main__":
    main()
