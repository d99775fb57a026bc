"""Entry of the stage `ground_points`."""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cache.arrays import ArraySpec, chunk_files, create_arrays
from models.objectives.frames import ImageLabels
from models.objectives.points import draw_systematically, metres_per_unit, stored
from scene import drawing
from scene.errors import InputError
from scene.frames import FrameIndex, frame_shards
from scene.labels import IGNORE
from stages.prepare.ground_points import GroundPointsSettings
from stages.prepare.ground_points.classify import classified_pixels
from stages.prepare.ground_points.picture import seen_from_above
from stages.stage import StageRun
from trainer.labels import LabelReader, Sources

POINTS_FILE = "points.zarr"
FRAMES_PER_SHARD = 64
PICTURED = 4
"""Keyframes in `points.png`, evenly spaced."""


def run(stage_run: StageRun) -> Mapping[str, Any]:
    """Writes `points.zarr`, and `points.png` to look at; a unit of work is a shard of keyframes.

    Keyframes of other splits are left without points.

    Raises:
        InputError: if the labels are not of this grid, were never written, or show no ground at all.
    """
    settings: GroundPointsSettings = stage_run.settings
    build, runtime = stage_run.build, stage_run.runtime
    folders = {role: artifact.path for role, artifact in stage_run.inputs.items()}
    sources = Sources(folders["index"], folders["geometry"], Path(), teacher_labels=folders["teacher_labels"])
    index = FrameIndex.load(folders["index"] / "index.npz")
    reader = LabelReader(sources, index, settings.grid, settings.label_schema, cache_bytes=0)
    num_frames, wanted = index.num_frames, set(index.frames_of_split(settings.split).tolist())
    if not wanted:
        where, fix = f"ground_points.split = {settings.split!r}", "check index.split"
        raise InputError("no keyframe is in the split", where=where, fix=fix)

    def entry(frame: int) -> dict[str, NDArray[Any]]:
        if frame not in wanted:
            return nothing(settings.points_per_keyframe, np.nan)
        return drawn_points(reader.image_labels(frame), settings)

    file = build.path / POINTS_FILE
    group = create_arrays(file, array_specs(num_frames, settings), {"grid": settings.grid.canonical()})
    shards = frame_shards(num_frames, FRAMES_PER_SHARD)
    units, quiet = build.units(shards), not runtime.progress
    # Threads: what takes time here is numpy and OpenCV, which release the interpreter's lock.
    with ThreadPoolExecutor(runtime.num_workers or os.cpu_count() or 1) as pool:
        for unit in tqdm(units, "ground points", units.left_at_start, unit="shard", disable=quiet, delay=2):
            shard = shards[unit]
            rows = list(pool.map(entry, range(shard.start, shard.stop)))
            for name in rows[0]:
                group[name][shard] = np.stack([row[name] for row in rows])
            build.mark_done(unit, chunk_files(file, shard))
    weight = np.nan_to_num(np.asarray(group["weight"][:], np.float64))
    if not weight.any():
        raise InputError(
            "no label pixel of any keyframe says anything of the ground",
            where=str(folders["teacher_labels"]),
            fix="look at the labels (`make look`), or lower ground_points.min_confidence",
        )
    shown = sorted(wanted)[:: -(-len(wanted) // PICTURED)]
    (build.path / "points.png").write_bytes(drawing.png_bytes(seen_from_above(group, shown, settings)))
    without = len(wanted) - int((weight > 0).sum())
    return {"keyframes": len(wanted), "without_ground": without, "classes": shares(group, weight, settings)}


def drawn_points(labels: ImageLabels, settings: GroundPointsSettings) -> dict[str, NDArray[Any]]:
    """A keyframe's entry in each array of `points.zarr`: a fixed draw, so that equal labels give equal bytes."""
    pixels = classified_pixels(labels, settings)
    total = pixels.weight.sum()
    if total == 0:
        return nothing(settings.points_per_keyframe, 0.0)
    chosen = draw_systematically(pixels.weight, settings.points_per_keyframe, 0.5)
    return {
        "points": stored(pixels.points_m[chosen], settings.grid),
        "class_id": pixels.class_id[chosen],
        "weight": np.array(total, np.float32),
    }


def nothing(num_points: int, weight: float) -> dict[str, NDArray[Any]]:
    """The entry of a keyframe without points: of weight 0 if its labels show no ground, NaN if nobody asked for it."""
    return {
        "points": np.zeros((num_points, 2), np.int16),
        "class_id": np.full(num_points, IGNORE, np.uint8),
        "weight": np.array(weight, np.float32),
    }


def array_specs(num_frames: int, settings: GroundPointsSettings) -> list[ArraySpec]:
    """The arrays of `points.zarr`; a keyframe's points are one chunk."""
    count, shard, unit_m = settings.points_per_keyframe, FRAMES_PER_SHARD, metres_per_unit(settings.grid)
    return [
        ArraySpec(
            "points", (num_frames, count, 2), "i2", (1, count, 2), (shard, count, 2), ("frame", "point", "xy"), 0,
            units=f"{unit_m!r} m", compression="lz4",
        ),
        ArraySpec(
            "class_id", (num_frames, count), "u1", (1, count), (shard, count), ("frame", "point"), IGNORE,
            attributes={"classes": list(settings.label_schema.names)}, compression="lz4",
        ),
        ArraySpec("weight", (num_frames,), "f4", (shard,), None, ("frame",), np.nan),
    ]  # fmt: skip


def shares(group: Any, weight: NDArray[np.float64], settings: GroundPointsSettings) -> dict[str, float]:
    """The share of each class in the weight of all points, from the finished arrays."""
    counts = np.zeros(256)
    for shard in frame_shards(len(weight), FRAMES_PER_SHARD).values():
        for row, class_id in zip(weight[shard], group["class_id"][shard], strict=True):
            counts += row * np.bincount(class_id, minlength=256)
    return {name: round(float(counts[k] / counts.sum()), 6) for k, name in enumerate(settings.label_schema.names)}
