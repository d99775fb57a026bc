"""One PNG a frame: cameras with LiDAR points and ground rings, pseudo-labels, and both seen from above."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cache.arrays import open_arrays
from scene import drawing
from scene.camera import project, resize_intrinsics
from scene.errors import InputError
from scene.frames import FrameIndex
from scene.labels import NEVER_WRITTEN, STRUCTURE
from scene.pictures import read_cameras
from scene.sweep import read_sweep
from scene.transform import Matrix, apply
from stages.prepare.look import LookSettings
from stages.stage import StageRun

BEV_SCALE_PX_PER_M = 14


def run(stage_run: StageRun) -> Mapping[str, Any]:
    """Writes `frame-<row>.png` for evenly spaced frames."""
    settings: LookSettings = stage_run.settings
    index = FrameIndex.load(stage_run.inputs["index"].path / "index.npz")
    rows = np.unique(np.linspace(0, index.num_frames - 1, settings.num_frames).round().astype(int))
    for row in rows:
        picture = draw_frame(stage_run, index, int(row))
        (stage_run.build.path / f"frame-{row:05d}.png").write_bytes(drawing.png_bytes(picture))
    return {"frames": [str(index.frame_token[row]) for row in rows]}


def draw_frame(stage_run: StageRun, index: FrameIndex, frame: int) -> drawing.Image:
    """The picture of one frame: camera mosaics stacked, the views from above beside each other below them."""
    settings: LookSettings = stage_run.settings
    if stage_run.data_root is None:
        raise InputError("the look needs the data set's folder")
    geometry = open_arrays(stage_run.inputs["geometry"].path / "geometry.zarr")
    labels = stage_run.inputs.get("teacher_labels")
    class_id = None if labels is None else np.asarray(open_arrays(labels.path / "labels.zarr")["class_id"][frame])
    images = read_cameras(stage_run.data_root, index, frame, settings.camera_width_px)
    points = sweep_in_ego(stage_run.data_root, index, frame, np.asarray(geometry["ego_from_global"][frame]))
    colours = settings.label_schema.colours()
    calibrated, labelled = {}, {}
    for name, rgb in images.items():
        column = int(np.flatnonzero(index.camera_names == name)[0])
        camera_from_ego = np.asarray(geometry["camera_from_ego"][frame, column])
        size_wh = (rgb.shape[1], rgb.shape[0])
        intrinsics = resize_intrinsics(
            index.image_from_camera[frame, column], tuple(index.image_wh_px[frame, column].tolist()), size_wh
        )
        pixels, depth = project(intrinsics, apply(camera_from_ego, points))
        ahead = depth > 1.0
        picture = drawing.draw_points(rgb, pixels[ahead], depth[ahead])
        calibrated[name] = drawing.draw_ground_rings(picture, intrinsics, camera_from_ego)
        if class_id is not None:
            labelled[name] = drawing.overlay(rgb, class_id[column], colours, skip=[STRUCTURE])
    rows = [drawing.camera_mosaic(m, gap_px=4) for m in (calibrated, labelled) if m]
    above = [_points_above(points, settings)]
    if class_id is not None:
        above.append(_labels_above(class_id, np.asarray(geometry["ground_from_pixel"][frame]), settings))
    if (bev := stage_run.inputs.get("bev_labels")) is not None:
        layers = np.asarray(open_arrays(bev.path / "bev.zarr")["layers"][frame])
        above.append(_bev(settings.label_schema.classes_from_layers(layers), settings))
    return drawing.joined([*rows, np.concatenate(above, axis=1)], axis=0)


def sweep_in_ego(data_root: Path, index: FrameIndex, frame: int, ego_from_global: Matrix) -> NDArray[np.float64]:
    """LiDAR points (N, 3) in the ego frame of the geometry, which may be upright on the ground found and then is not
    the recorded one; none where the frame has no sweep."""
    if not index.lidar_file[frame]:
        return np.zeros((0, 3))
    points_m = read_sweep(data_root / str(index.lidar_file[frame]))[:, :3].astype(np.float64)
    return apply(ego_from_global @ index.global_from_ego[frame] @ index.ego_from_lidar[frame], points_m)


def _bev(class_id: NDArray[np.uint8], settings: LookSettings) -> drawing.Image:
    scale = max(1, round(BEV_SCALE_PX_PER_M * settings.grid.resolution_m))
    return drawing.bev_picture(class_id, settings.grid, settings.label_schema.colours(), scale)


def _labels_above(
    class_id: NDArray[np.uint8], ground_from_pixel: NDArray[np.float64], settings: LookSettings
) -> drawing.Image:
    """Pseudo-labels dropped onto the ground plane: every labelled ground pixel colours the cell its ray meets."""
    result = np.full(settings.grid.shape, NEVER_WRITTEN, np.uint8)
    height, width = class_id.shape[1:]
    v, u = np.indices((height, width), dtype=np.float64)
    pixels = np.stack([u, v, np.ones_like(u)], axis=-1)
    for ids, homography in zip(class_id, ground_from_pixel, strict=True):
        ground = pixels @ homography.T
        usable = (ground[..., 2] > 1e-6) & (ids < STRUCTURE)
        points = ground[usable][:, :2] / ground[usable][:, 2:]
        cells = np.round(settings.grid.cell_from_ego(points)).astype(np.int64)
        inside = np.all((cells >= 0) & (cells < np.array(settings.grid.shape)), axis=1)
        result[cells[inside, 0], cells[inside, 1]] = ids[usable][inside]
    return _bev(result, settings)


def _points_above(points: NDArray[np.float64], settings: LookSettings) -> drawing.Image:
    """LiDAR points seen from above, coloured by height from -1 m (cool) to 3 m (warm)."""
    blank = _bev(np.full(settings.grid.shape, NEVER_WRITTEN, np.uint8), settings)
    scale = blank.shape[0] / settings.grid.shape[0]
    cells = settings.grid.cell_from_ego(points[:, :2])
    u = (settings.grid.shape[1] - 0.5 - cells[:, 1]) * scale
    v = (settings.grid.shape[0] - 0.5 - cells[:, 0]) * scale
    return drawing.draw_points(blank, np.stack([u, v], axis=-1), 3.0 - points[:, 2], max_depth_m=4.0)
