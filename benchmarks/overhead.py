"""What the store adds to writing label shards with plain zarr, on the same data and disk in one run.

python -m benchmarks.overhead [--json]

The label maps are as large as the stage `teacher_labels` makes them for nuScenes, in its arrays: class ids and
confidences of 8 keyframes of six cameras per shard. Four writers take turns, each into a new folder:

- the store: claims, zarr, hashing, sync, receipts, commit;
- zarr: the same arrays by the same codecs, left to the kernel, which writes them to the disk some time later;
- zarr + fsync: each file is on the disk before the next shard begins. This is the fair one to compare with: of the
  two promises of a unit that is done, that it survives a power cut is here, that any damage to it shows is not;
- zarr + fsync + SHA-256: both promises, without claims, receipts, provenance and an atomic commit.

And the worst case for the store: units that are nearly nothing, a thousand files of 100 bytes.
"""

import argparse
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from tqdm import tqdm

from benchmarks.figures import Spread, answer
from benchmarks.label_maps import label_maps
from cache.arrays import ArraySpec, chunk_files, create_arrays
from cache.build import Build
from cache.keys import KeySpec
from cache.store import Store
from scene.frames import frame_shards

HW_PX, NUM_CAMERAS, FRAMES_PER_SHARD = (448, 800), 6, 8
SMALL_BYTES = 100
TARGET_PERCENT = 5.0

Arrays = dict[str, NDArray[np.uint8]]
Write = Callable[[Path], None]


def specs(arrays: Arrays) -> list[ArraySpec]:
    """As `stages.prepare.teacher_labels.store` lays them out."""
    return [
        ArraySpec(
            name,
            array.shape,
            "u1",
            (1, *array.shape[1:]),
            (FRAMES_PER_SHARD, *array.shape[1:]),
            ("frame", "camera", "row", "column"),
            255,
            compression="lz4" if name == "class_id" else "zstd",
        )
        for name, array in arrays.items()
    ]


def with_store(arrays: Arrays) -> Write:
    def fill(build: Build) -> dict[str, str]:
        group = create_arrays(build.path / "labels.zarr", specs(arrays))
        shards = frame_shards(len(arrays["class_id"]), FRAMES_PER_SHARD)
        for unit in build.units(shards):
            span = shards[unit]
            for name, array in arrays.items():
                group[name][span] = array[span]
            build.mark_done(unit, chunk_files(build.path / "labels.zarr", span))
        return {}

    return lambda folder: _discard(Store(folder).get_or_build(KeySpec("labels", 1, {}), {}, fill, shared=True))


def with_zarr(arrays: Arrays, *, sync: bool, digest: bool = False) -> Write:
    def write(folder: Path) -> None:
        group = create_arrays(folder / "labels.zarr", specs(arrays))
        for start in range(0, len(arrays["class_id"]), FRAMES_PER_SHARD):
            span = slice(start, start + FRAMES_PER_SHARD)
            for name, array in arrays.items():
                group[name][span] = array[span]
            for file in chunk_files(folder / "labels.zarr", span):
                _finish(_only_file(file), sync=sync, digest=digest)

    return write


def small_with_store(count: int) -> Write:
    def fill(build: Build) -> dict[str, str]:
        for unit in build.units([f"unit-{number:06d}" for number in range(count)]):
            (build.path / unit).write_bytes(os.urandom(SMALL_BYTES))
            build.mark_done(unit, [unit])
        return {}

    return lambda folder: _discard(Store(folder).get_or_build(KeySpec("small", 1, {}), {}, fill, shared=True))


def small_with_files(count: int, *, sync: bool, digest: bool = False) -> Write:
    def write(folder: Path) -> None:
        folder.mkdir()
        for number in range(count):
            file = folder / f"unit-{number:06d}"
            file.write_bytes(os.urandom(SMALL_BYTES))
            _finish(file, sync=sync, digest=digest)

    return write


def _finish(file: Path, *, sync: bool, digest: bool) -> None:
    for path in (file, file.parent) if sync else ():
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
    if digest:
        with file.open("rb") as stream:
            hashlib.file_digest(stream, "sha256").hexdigest()


def _only_file(path: Path) -> Path:
    while path.is_dir():
        (path,) = path.iterdir()
    return path


def _discard(_: object) -> None:
    pass


@dataclass(frozen=True)
class Result:
    """Of one writer.

    Attributes:
        wall_s, cpu_s: seconds of one whole artifact.
        over_percent: by how much the store took longer than this writer in the same round.
    """

    wall_s: Spread
    cpu_s: Spread
    over_percent: Spread


def measure(writers: dict[str, Write], rounds: int, folder: Path, title: str) -> dict[str, Result]:
    """Each writer once per round, in turns; the first round does not count. The first writer is the store."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in writers}
    names = list(writers)
    with tqdm(total=(rounds + 1) * len(names), desc=title, unit="artifact") as bar:
        for round_number in range(rounds + 1):
            for place in range(len(names)):
                name = names[(place + round_number) % len(names)]
                os.sync()  # what others left to the kernel is not written at this one's expense
                start, cpu_start = time.perf_counter(), time.process_time()
                writers[name](folder / "artifact")
                figures = time.perf_counter() - start, time.process_time() - cpu_start
                shutil.rmtree(folder / "artifact")
                bar.update()
                if round_number:
                    found[name].append(figures)
    ours = [wall_s for wall_s, _ in found[names[0]]]
    results = {}
    for name, rows in found.items():
        wall_s, cpu_s = zip(*rows, strict=True)
        over = [100 * (our / their - 1) for our, their in zip(ours, wall_s, strict=True)]
        results[name] = Result(Spread.of(wall_s), Spread.of(cpu_s), Spread.of(over))
    return results


def table(title: str, results: dict[str, Result], scale: float, unit: str, digits: int) -> Table:
    shown = Table("writer", unit, f"CPU {unit}", "the store takes longer by, %", title=title)
    for name, result in results.items():
        times = [
            Spread(*(scale * value for value in vars(spread).values())).text(digits)
            for spread in (result.wall_s, result.cpu_s)
        ]
        shown.add_row(name, *times, "" if name == "store" else result.over_percent.text(1))
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shards", type=int, default=40, help="of 8 keyframes each")
    parser.add_argument("--units", type=int, default=1000, help="of 100 bytes each")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="on the disk to measure")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    maps = label_maps(2 * FRAMES_PER_SHARD, NUM_CAMERAS, HW_PX, seed=0)
    rows = np.arange(arguments.shards * FRAMES_PER_SHARD) % (2 * FRAMES_PER_SHARD)
    arrays = {name: array[rows] for name, array in zip(("class_id", "confidence"), maps, strict=True)}
    count = arguments.units
    with tempfile.TemporaryDirectory(prefix="bevprior-overhead-", dir=arguments.folder) as scratch:
        shards = {
            "store": with_store(arrays),
            "zarr": with_zarr(arrays, sync=False),
            "zarr + fsync": with_zarr(arrays, sync=True),
            "zarr + fsync + SHA-256": with_zarr(arrays, sync=True, digest=True),
        }
        small = {
            "store": small_with_store(count),
            "files": small_with_files(count, sync=False),
            "files + fsync": small_with_files(count, sync=True),
            "files + fsync + SHA-256": small_with_files(count, sync=True, digest=True),
        }
        large = measure(shards, arguments.repetitions, Path(scratch), "label shards")
        tiny = measure(small, max(1, arguments.repetitions // 2), Path(scratch), "small units")
    title = f"{arguments.shards} shards of {FRAMES_PER_SHARD} keyframes"
    tables = [
        table(title, large, 1.0, "s", 3),
        table(f"{count} units of {SMALL_BYTES} bytes", tiny, 1e6 / count, "us per unit", 0),
    ]
    over = large["zarr + fsync"].over_percent.median
    met = over <= TARGET_PERCENT
    note = f"the store costs {over:.1f} % over zarr + fsync; at most {TARGET_PERCENT:.0f} %: {'yes' if met else 'NO'}"
    document = {
        "shards": {name: asdict(result) for name, result in large.items()},
        "small_units": {name: asdict(result) for name, result in tiny.items()},
        "target_met": met,
    }
    answer(document, tables, [note], as_json=arguments.json)


if __name__ == "__main__":
    main()
