"""Entry of the stage `geometry`."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from tqdm import tqdm

from cache.arrays import ArraySpec, chunk_files, create_arrays
from scene.errors import InputError
from scene.frames import FrameIndex, frame_shards
from scene.transform import Matrix
from stages.prepare.geometry import GeometrySettings
from stages.prepare.geometry.cameras import camera_geometry
from stages.prepare.geometry.seen import pack_cells, seen_cells
from stages.stage import StageRun

GEOMETRY_FILE = "geometry.zarr"
FRAMES_PER_SHARD = 64


def run(stage_run: StageRun) -> Mapping[str, Any]:
    """Writes `geometry.zarr`; a unit of work is a shard of frames.

    Raises:
        InputError: if a camera of the index lies below the ground.
    """
    settings: GeometrySettings = stage_run.settings
    build = stage_run.build
    index = FrameIndex.load(stage_run.inputs["index"].path / "index.npz")
    geometry = camera_geometry(index, settings.label_hw_px, _ground(stage_run))
    attributes = {"label_hw_px": list(settings.label_hw_px), "grid": settings.grid.canonical()}
    group = create_arrays(build.path / GEOMETRY_FILE, array_specs(index, settings), attributes)
    shards = frame_shards(index.num_frames, FRAMES_PER_SHARD)
    units = build.units(shards)
    quiet = not stage_run.runtime.progress
    for unit in tqdm(units, "geometry", units.left_at_start, unit="shard", disable=quiet, delay=2):
        shard = shards[unit]
        for field in fields(geometry):
            group[field.name][shard] = getattr(geometry, field.name)[shard]
        seen = [
            seen_cells(
                geometry.image_from_camera[f],
                geometry.camera_from_ego[f],
                settings.label_hw_px,
                settings.grid,
                settings.max_range_m,
            )
            for f in range(shard.start, shard.stop)
        ]
        group["seen_cells"][shard] = pack_cells(np.stack(seen))
        build.mark_done(unit, chunk_files(build.path / GEOMETRY_FILE, shard))
    step_m = np.linalg.norm(geometry.ego_from_previous[geometry.has_previous > 0, :3, 3], axis=-1)
    return {
        "frames": index.num_frames,
        "cameras": index.num_cameras,
        "frames_with_previous": len(step_m),
        "mean_step_m": round(float(step_m.mean()), 3) if len(step_m) else 0.0,
    }


def _ground(stage_run: StageRun) -> Matrix | None:
    if stage_run.settings.ground == "ego_plane":
        return None
    if "ground" not in stage_run.inputs:
        raise InputError("the ground is to come from the LiDAR, and no stage has found it", where="geometry.ground")
    with np.load(stage_run.inputs["ground"].path / "ground.npz", allow_pickle=False) as ground:
        found: Matrix = ground["ground_from_ego"]
    return found


def array_specs(index: FrameIndex, settings: GeometrySettings) -> list[ArraySpec]:
    """The arrays of `geometry.zarr`. Matrices are read all at once, seen cells frame by frame: so are their chunks."""
    frames, cameras = index.num_frames, index.num_cameras
    num_bytes = -(-settings.grid.shape[0] * settings.grid.shape[1] // 8)

    def matrices(name: str, shape: tuple[int, ...], dims: tuple[str, ...], units: str) -> ArraySpec:
        chunks = (FRAMES_PER_SHARD, *shape)
        return ArraySpec(name, (frames, *shape), "f8", chunks, None, ("frame", *dims), np.nan, units)

    camera, ego = ("camera", "row", "column"), ("row", "column")
    return [
        matrices("image_from_camera", (cameras, 3, 3), camera, "px"),
        matrices("camera_from_ego", (cameras, 4, 4), camera, "m"),
        matrices("ground_from_pixel", (cameras, 3, 3), camera, "m"),
        matrices("ego_from_global", (4, 4), ego, "m"),
        matrices("ego_from_previous", (4, 4), ego, "m"),
        ArraySpec("has_previous", (frames,), "u1", (FRAMES_PER_SHARD,), None, ("frame",), 255),
        ArraySpec(
            "seen_cells",
            (frames, cameras, num_bytes),
            "u1",
            (1, cameras, num_bytes),
            (FRAMES_PER_SHARD, cameras, num_bytes),
            ("frame", "camera", "byte"),
            0,
            attributes={"grid_shape": list(settings.grid.shape), "bit_order": "big"},
        ),
    ]
