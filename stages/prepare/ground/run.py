"""Entry of the stage `ground`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from tqdm import tqdm

from scene.errors import InputError
from scene.frames import FrameIndex
from scene.sweep import LIDAR, read_sweep
from scene.transform import apply
from stages.prepare.ground import GroundSettings
from stages.prepare.ground.plane import NOT_FOUND, Fit, fit_plane
from stages.stage import StageRun

GROUND_FILE = "ground.npz"


def run(stage_run: StageRun) -> Mapping[str, Any]:
    """Writes `ground.npz`: `ground_from_ego` (F, 4, 4), `num_points` (F,), `residual_m` (F,), `found` (F,).

    Raises:
        InputError: if a sweep that the index lists cannot be read, or no keyframe has one.
    """
    settings: GroundSettings = stage_run.settings
    assert stage_run.data_root is not None
    index = FrameIndex.load(stage_run.inputs["index"].path / "index.npz")
    if not (index.lidar_file != "").any():
        fix = "unpack the LiDAR keyframes, or do without: geometry.ground=ego_plane"
        raise InputError("no keyframe has a LiDAR sweep", where=str(stage_run.data_root / "samples" / LIDAR), fix=fix)
    fits: list[Fit] = []
    frames = zip(index.lidar_file.tolist(), index.ego_from_lidar, strict=True)
    quiet = not stage_run.runtime.progress
    for file, ego_from_lidar in tqdm(frames, "ground", index.num_frames, unit="frame", disable=quiet, delay=2):
        if not file:
            fits.append(NOT_FOUND)
            continue
        sweep = read_sweep(stage_run.data_root / file)
        fits.append(fit_plane(apply(ego_from_lidar, sweep[:, :3].astype(np.float64)), settings))
    found = np.array([fit.found for fit in fits])
    with (stage_run.build.path / GROUND_FILE).open("wb") as stream:
        np.savez_compressed(
            stream,
            ground_from_ego=np.array([fit.ground_from_ego for fit in fits]).reshape(-1, 4, 4),
            num_points=np.array([fit.num_points for fit in fits], np.int32),
            residual_m=np.array([fit.residual_m for fit in fits]),
            found=found,
        )
    statistics: dict[str, Any] = {"frames": index.num_frames, "found": int(found.sum())}
    if found.any():
        upright = [min(1.0, float(fit.ground_from_ego[2, 2])) for fit in fits if fit.found]
        statistics["mean_tilt_deg"] = round(float(np.degrees(np.arccos(upright)).mean()), 4)
        statistics["mean_residual_m"] = round(float(np.mean([fit.residual_m for fit in fits if fit.found])), 4)
    return statistics
