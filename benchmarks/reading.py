"""How fast random samples of six label images are read, by us and by others, on the same data in one run.

python -m benchmarks.reading [--json]

The labels are as large as the stage `teacher_labels` makes them for nuScenes (448 x 800 class ids, a confidence at a
quarter of that), and compress as much. Every worker is a process of its own, spawned, and draws samples with
replacement; files are in the page cache. The formats take turns, so that all meet the same moods of the machine.
"""

import argparse
import json
import os
import sys
import tempfile
import time
import zlib
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self

import numpy as np
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from benchmarks.label_formats import FORMATS, LabelFormat, Sample
from benchmarks.label_maps import label_maps

HW_PX = (448, 800)
NUM_CAMERAS = 6
WARM_UP_S = 0.1
PACKAGES = ("zarr", "numcodecs", "litdata", "mosaicml-streaming", "opencv-python-headless", "numpy")


@dataclass(frozen=True)
class Rate:
    """Samples per second over all workers, of repeated measurements."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, measured: list[float]) -> Self:
        return cls(float(np.median(measured)), min(measured), max(measured))

    def __str__(self) -> str:
        return f"{self.median:,.0f} ({self.least:,.0f} to {self.most:,.0f})"


@dataclass(frozen=True)
class Result:
    """One format's part of the table.

    Attributes:
        name, checks: see `LabelFormat`.
        bytes_per_sample: on disk.
        per_cpu_second: samples per second of processor time of one worker: less at the mercy of what else runs.
        rates: samples per second by number of workers.
    """

    name: str
    checks: str
    bytes_per_sample: int
    per_cpu_second: Rate
    rates: dict[int, Rate]


def work(connection: Connection, folder: Path, numbers: list[int], num_samples: int, seed: int) -> None:
    """A worker: opens every format, answers with digests of all samples, then reads one format when it is asked to."""
    read = {number: FORMATS[number].open(folder / str(number)) for number in numbers}
    connection.send({number: [digest(read[number](index)) for index in range(num_samples)] for number in numbers})
    random = np.random.default_rng(seed)
    while (order := connection.recv()) is not None:
        number, seconds = order
        for duration_s in (WARM_UP_S, seconds):
            indices = random.integers(0, num_samples, 100_000).tolist()
            count, start, cpu_start = 0, time.perf_counter(), time.process_time()
            while (elapsed := time.perf_counter() - start) < duration_s:
                read[number](indices[count])
                count += 1
        connection.send((count / elapsed, count / (time.process_time() - cpu_start)))


def digest(sample: Sample) -> int:
    class_id, confidence = sample
    return zlib.crc32(np.ascontiguousarray(confidence), zlib.crc32(np.ascontiguousarray(class_id)))


def write(folder: Path, num_samples: int) -> tuple[list[int], list[int]]:
    """Writes every format whose package is there: their numbers, and the digests of the samples."""
    class_id, confidence = label_maps(num_samples, NUM_CAMERAS, HW_PX, seed=0)
    numbers = []
    for number, label_format in enumerate(tqdm(FORMATS, desc="writing", unit="format")):
        try:
            label_format.write(folder / str(number), class_id, confidence)
        except ImportError:
            continue
        numbers.append(number)
    return numbers, [digest(sample) for sample in zip(class_id, confidence, strict=True)]


@dataclass(frozen=True)
class Rates:
    """Of one format: samples per processor second of single workers, and per second of so many workers."""

    per_cpu_second: list[float]
    per_second: dict[int, list[float]]


def measure(
    folder: Path, numbers: list[int], digests: list[int], num_workers: list[int], repetitions: int, seconds: float
) -> dict[int, Rates]:
    """The rates of each format by its number."""
    context = get_context("spawn")
    connections, processes = [], []
    for seed in range(max(num_workers)):
        ours, theirs = context.Pipe()
        arguments = (theirs, folder, numbers, len(digests), seed)
        processes.append(context.Process(target=work, args=arguments, daemon=True))
        processes[-1].start()
        theirs.close()
        connections.append(ours)
    for connection in connections:
        for number, found in connection.recv().items():
            if found != digests:
                raise SystemExit(f"{FORMATS[number].name} gives other data than were written")
    rates = {number: Rates([], {workers: [] for workers in num_workers}) for number in numbers}
    for repetition in tqdm(range(repetitions), desc="reading", unit="round"):
        for place, workers in product(range(len(numbers)), num_workers):
            number = numbers[(place + repetition) % len(numbers)]
            for connection in connections[:workers]:
                connection.send((number, seconds))
            answers = [connection.recv() for connection in connections[:workers]]
            rates[number].per_second[workers].append(sum(per_second for per_second, _ in answers))
            rates[number].per_cpu_second.extend(per_cpu_second for _, per_cpu_second in answers)
    for connection, process in zip(connections, processes, strict=True):
        connection.send(None)
        process.join()
    return rates


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def show(results: list[Result], missing: list[LabelFormat], num_workers: list[int]) -> None:
    workers = [f"{count} worker{'s' * (count > 1)}" for count in num_workers]
    table = Table(
        "format",
        "KB per sample",
        "verified by a read",
        "per CPU second",
        *workers,
        title="samples per second: median (range)",
    )
    for result in results:
        rates = [str(result.rates[count]) for count in num_workers]
        table.add_row(
            result.name, f"{result.bytes_per_sample / 1e3:,.0f}", result.checks, str(result.per_cpu_second), *rates
        )
    for label_format in missing:
        table.add_row(label_format.name, "not installed")
    Console(width=160).print(table)


def versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=96)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each measurement")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        numbers, digests = write(folder, arguments.samples)
        rates = measure(folder, numbers, digests, arguments.workers, arguments.repetitions, arguments.seconds)
        results = [
            Result(
                FORMATS[number].name,
                FORMATS[number].checks,
                size_of(folder / str(number)) // arguments.samples,
                Rate.of(found.per_cpu_second),
                {workers: Rate.of(per_second) for workers, per_second in found.per_second.items()},
            )
            for number, found in rates.items()
        ]
    missing = [label_format for number, label_format in enumerate(FORMATS) if number not in numbers]
    if arguments.json:
        document = {
            "versions": versions(),
            "formats": [asdict(r) for r in results],
            "missing": [m.name for m in missing],
        }
        json.dump(document, sys.stdout, indent=1)
        print()
    else:
        print(", ".join(f"{package} {number}" for package, number in versions().items()))
        show(results, missing, arguments.workers)


if __name__ == "__main__":
    main()
