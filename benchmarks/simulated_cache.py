"""A data set and a cache of any size, for what looks at names, sizes and manifests but never into a data file.

python -m benchmarks.simulated_cache FOLDER TIMES

Below FOLDER: `data`, as large as nuScenes trainval so many times (850 scenes, 34,149 keyframes, 204,894 images), and
`cache`, in which the experiment `nuscenes` is finished with 3 seeds so many times, scored on 6,019 keyframes each.
Every manifest, key, receipt and name is what our stages would write. Simulated are:

- data files: sparse, of a truthful size (docs/storage.md), so their digests in the manifests are invented;
- the tables: sparse too, as long as trainval's (rows x bytes per row of a real keyframe's tables);
- images beyond the first 204,894: hard links to these, to spare inodes.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from tqdm import tqdm

from cache.arrays import ArraySpec, create_arrays
from cache.cost import Cost
from cache.documents import seal
from cache.manifest import Artifact, FileEntry, Manifest
from cache.place import LocalPlace
from cache.provenance import describe_environment
from cache.roots import Run, pin, record_run
from cache.schema import describe_arrays
from cache.sources import source_digest, source_files
from cache.store import ARTIFACTS, Store
from cache.work import TMP, Work
from pipeline.keys import Keyed, keyed
from pipeline.plan import Plan
from pipeline.request import ExperimentRequest
from scene.frames import FrameIndex
from stages.prepare.bev_labels.run import array_spec as bev_spec
from stages.prepare.geometry.run import array_specs as geometry_specs
from stages.prepare.ground_points.run import array_specs as points_specs
from stages.prepare.index import NUSCENES_CAMERAS
from stages.prepare.teacher_labels.store import array_specs as label_specs

SAMPLES, VAL_SAMPLES, SEEDS, RUNS, PINS = 34_149, 6_019, 3, 20, 5
TABLE_BYTES = {  # rows of trainval x bytes per row
    "sample_data": 2_631_083 * 447,
    "ego_pose": 2_631_083 * 262,
    "calibrated_sensor": 10_200 * 401,
    "sample": SAMPLES * 157,
    "scene": 850 * 308,
    "log": 68 * 179,
    "sensor": 12 * 57,
}
TOWN_BYTES = {
    "boston-seaport": 45e6,
    "singapore-hollandvillage": 12e6,
    "singapore-onenorth": 16e6,
    "singapore-queenstown": 13e6,
}
FRAME_BYTES = {  # of a keyframe, in each array
    "points.zarr/points": 63_000,
    "points.zarr/class_id": 2_000,
    "class_id": 148_000,
    "confidence": 118_000,
    "seen_cells": 1_194,
    "camera_from_ego": 529,
    "ground_from_pixel": 421,
    "layers": 1_600,
}
PLAIN_FILES = {
    "index": {"index.npz": 800 * SAMPLES, "problems.json": 300},
    "ground": {"ground.npz": 130 * SAMPLES},
    "pretrain": {"model.safetensors": 190e6, "model.json": 900, "history.jsonl": 40e3},
    "finetune": {"model.safetensors": 180e6, "model.json": 900, "history.jsonl": 40e3},
    "evaluate": {"scores.json": 4e3},
    "report": {"index.html": 3e6, "summary.json": 8e3},
}
PER_FRAME = ("index", "ground")
"""Of these stages, files grow with the data set."""


@dataclass(frozen=True)
class Simulation:
    """Where a simulation lies and how large it is.

    Attributes:
        folder: of both.
        times: nuScenes, so many times.
    """

    folder: Path
    times: int

    @property
    def overrides(self) -> tuple[str, ...]:
        """What makes the experiment `nuscenes` this one."""
        return (f"data.root={self.folder / 'data'}", f"seeds={json.dumps(list(range(SEEDS * self.times)))}")

    @property
    def frames(self) -> int:
        """Keyframes."""
        return SAMPLES * self.times

    def plan(self, *more: str) -> Plan:
        """The plan of the experiment; `more` settings changed."""
        return ExperimentRequest(config="nuscenes", overrides=(*self.overrides, *more)).load()[1]


def make(simulation: Simulation) -> None:
    """Writes the data set and the cache into a new folder."""
    _write_data_set(simulation)
    store = Store(simulation.folder / "cache")
    store.prepared()
    known: dict[str, Artifact] = {}
    for step in tqdm(list(simulation.plan()), "artifacts", unit="artifact"):
        known[step.name] = _publish(store, keyed(step, known, store), simulation)
    _begin(store, simulation, known)
    kept = {name: artifact.key for name, artifact in known.items() if _seed(name) < SEEDS * simulation.times - 1}
    for number in range(RUNS * simulation.times):
        steps = kept if number >= (RUNS - 10) * simulation.times else {name: a.key for name, a in known.items()}
        record_run(store.objects, Run(f"2026{number:011d}-abcdef", "nuscenes", steps))
    for number, (step, key) in zip(range(PINS * simulation.times), kept.items(), strict=False):
        pin(store.objects, f"pin-{number}-{step.replace(':', '-')}", key)


def _seed(step: str) -> int:
    last = step.rpartition(":")[2]
    return int(last) if last.isdigit() else 0


def _write_data_set(simulation: Simulation) -> None:
    data = simulation.folder / "data"
    sizes = {data / "v1.0-trainval" / f"{name}.json": size * simulation.times for name, size in TABLE_BYTES.items()}
    sizes |= {data / "maps" / "expansion" / f"{name}.json": int(size) for name, size in TOWN_BYTES.items()}
    for file, size in sizes.items():
        _sparse(file, size)
    with tqdm(total=len(NUSCENES_CAMERAS) * simulation.frames, desc="images", unit="image", unit_scale=True) as bar:
        for camera in NUSCENES_CAMERAS:
            folder = data / "samples" / camera
            folder.mkdir(parents=True)
            for number in range(simulation.frames):
                copy, sample = divmod(number, SAMPLES)
                name, original = (f"n015-2018-07-24__{camera}__1532402{sample:09d}{k:02d}.jpg" for k in (copy, 0))
                if copy:
                    os.link(folder / original, folder / name)
                else:
                    _truncate(folder / name, 150_000 + sample)
                bar.update()


def _publish(store: Store, known: Keyed, simulation: Simulation) -> Artifact:
    """A finished artifact as `cache.build.Build.commit` makes it."""
    spec = known.spec
    data = store.root / "tmp" / f"{spec.stage}-{spec.key}" / "data"
    files, units = _write_files(known, data, simulation, share=1.0)
    provenance = {
        **describe_environment(),
        "origin": {"settings": known.step.settings.model_dump(mode="json"), "data_root": str(known.data_root)},
        "source_digest": source_digest(known.step.stage.sources),
        "sources": source_files(known.step.stage.sources),
        "cost": {"attempts": 1, **vars(Cost(3600.0, 7200.0, 2_000_000_000))},
        "units": len(units),
        "unit_wall_s": dict.fromkeys(units, 1.234),
        "recorded": {},
    }
    parents = {role: artifact.key for role, artifact in known.inputs.items()}
    manifest = Manifest(spec, parents, files, describe_arrays(data), {"frames": simulation.frames}, provenance)
    artifact = LocalPlace(data, store.root / ARTIFACTS / spec.stage / spec.key).publish(manifest)
    data.parent.rmdir()
    return artifact


def _begin(store: Store, simulation: Simulation, known: dict[str, Artifact]) -> None:
    """Teacher labels with another setting, half of whose units are done, left by a process that is no more."""
    step = simulation.plan("teacher_labels.min_confidence=0.5").until("teacher_labels").steps[-1]
    begun = keyed(step, known, store)
    name = f"{begun.spec.stage}-{begun.spec.key}"
    work = Work(store.objects, store.root / TMP / name, name)
    files, units = _write_files(begun, work.data, simulation, share=0.5)
    by_unit: dict[str, dict[str, dict[str, Any]]] = {}
    for path, entry in files.items():
        by_unit.setdefault(entry.unit, {})[path] = {"bytes": entry.bytes, "sha256": entry.sha256, "unit": ""}
    for unit in tqdm(units, "receipts", unit="receipt"):
        receipt = seal({"files": by_unit[unit], "wall_s": 1.234})
        store.objects.put(work.receipt_of(unit), receipt, durable=False)
    work.put_total(ceil(simulation.frames / step.settings.frames_per_shard))
    attempt = {"cost": vars(Cost()), "recorded": {}, "source_digest": "", "parents": {}, "owner": "0" * 32}
    work.put_attempt(f"000000-{'0' * 32}", attempt)


def _write_files(
    known: Keyed, data: Path, simulation: Simulation, share: float
) -> tuple[dict[str, FileEntry], list[str]]:
    """Writes the files of a step, the first `share` of its units; what a manifest says of them, and the units."""
    stage, units = known.step.stage.name, set()
    files: dict[str, FileEntry] = {}
    for group, specs in _arrays(known, simulation).items():
        create_arrays(data / group, specs)
        for file in (data / group).rglob("zarr.json"):
            content = file.read_bytes()
            files[file.relative_to(data).as_posix()] = FileEntry(len(content), hashlib.sha256(content).hexdigest())
        for path, size, unit in _chunks(group, specs, share):
            _sparse(data / path, size)
            files[path] = FileEntry(size, hashlib.sha256(f"{known.spec.key} {path}".encode()).hexdigest(), unit)
            units.add(unit)
    for name, size in PLAIN_FILES.get(stage, {}).items():
        size = int(size) * (simulation.times if stage in PER_FRAME else 1)
        _sparse(data / name, size)
        files[name] = FileEntry(size, hashlib.sha256(f"{known.spec.key} {name}".encode()).hexdigest())
    return files, sorted(units)


def _arrays(known: Keyed, simulation: Simulation) -> dict[str, list[ArraySpec]]:
    """The arrays of a step's artifact by the group's name: those that the stage itself specifies."""
    index = cast(FrameIndex, SimpleNamespace(num_frames=simulation.frames, num_cameras=len(NUSCENES_CAMERAS)))
    settings: Any = known.step.settings
    match known.step.stage.name:
        case "teacher_labels":
            return {"labels.zarr": label_specs(index, settings)}
        case "geometry":
            return {"geometry.zarr": geometry_specs(index, settings)}
        case "ground_points":
            return {"points.zarr": points_specs(simulation.frames, settings)}
        case "bev_labels":
            return {"bev.zarr": [bev_spec(simulation.frames, settings.grid)]}
        case "evaluate":
            return {"predictions.zarr": [bev_spec(VAL_SAMPLES, settings.grid)]}
    return {}


def _chunks(group: str, specs: list[ArraySpec], share: float) -> Iterator[tuple[str, int, str]]:
    """Path, size and unit of each file of a group's arrays."""
    for spec in specs:
        step = (spec.shards or spec.chunks)[0]
        for number in range(int(ceil(spec.shape[0] / step) * share)):
            path = "/".join((group, spec.name, "c", str(number), *["0"] * (len(spec.shape) - 1)))
            frames = min(step, spec.shape[0] - number * step)
            size = FRAME_BYTES.get(f"{group}/{spec.name}", FRAME_BYTES.get(spec.name, 100))
            yield path, frames * size, f"frames-{number * step:06d}"


def _sparse(file: Path, size: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    _truncate(file, size)


def _truncate(file: Path, size: int) -> None:
    descriptor = os.open(file, os.O_CREAT | os.O_WRONLY, 0o644)
    os.ftruncate(descriptor, size)
    os.close(descriptor)


if __name__ == "__main__":
    make(Simulation(Path(sys.argv[1]), int(sys.argv[2])))
