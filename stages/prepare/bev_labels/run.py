"""Entry of the stage `bev_labels`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cache.arrays import ArraySpec, chunk_files, create_arrays
from scene.errors import InputError
from scene.frames import FrameIndex, frame_shards
from scene.grid import BevGrid
from scene.labels import NEVER_RASTERISED, MapLayer
from scene.transform import Matrix, yaw_of
from stages.prepare.bev_labels import BevLabelsSettings
from stages.prepare.bev_labels.expansion import MapExpansion
from stages.prepare.bev_labels.raster import AreaRaster
from stages.prepare.bev_labels.recipe import layer_areas
from stages.stage import StageRun

LABELS_FILE = "bev.zarr"
FRAMES_PER_SHARD = 64


def run(stage_run: StageRun) -> Mapping[str, Any]:
    """Writes `bev.zarr`; a unit of work is a shard of frames.

    Raises:
        InputError: if a town's map expansion is missing or malformed, or no keyframe lies on its roads.
    """
    assert stage_run.data_root is not None
    settings: BevLabelsSettings = stage_run.settings
    build, quiet = stage_run.build, not stage_run.runtime.progress
    index = FrameIndex.load(stage_run.inputs["index"].path / "index.npz")
    location = index.scene_location[index.frame_scene]
    towns = {}
    for name in tqdm(np.unique(location).tolist(), desc="bev labels: maps", unit="town", disable=quiet, delay=2):
        towns[name] = TownRaster(stage_run.data_root, name, settings)
    ego_from_global = planar(index.global_from_ego)
    layers = create_arrays(build.path / LABELS_FILE, [array_spec(index.num_frames, settings.grid)])["layers"]
    shards = frame_shards(index.num_frames, FRAMES_PER_SHARD)
    units = build.units(shards)
    for unit in tqdm(units, "bev labels", units.left_at_start, unit="shard", disable=quiet, delay=2):
        shard = shards[unit]
        masks = [towns[location[f]].layers(ego_from_global[f]) for f in range(shard.start, shard.stop)]
        layers[shard] = np.stack(masks)
        build.mark_done(unit, chunk_files(build.path / LABELS_FILE, shard))
    covered = coverage(layers)
    if covered[MapLayer.DRIVABLE_AREA.name.lower()] == 0:
        raise InputError(
            "no keyframe lies on a drivable area of the map",
            where=str(stage_run.data_root),
            fix="check that maps/expansion and the poses are of the same data set",
        )
    return {"frames": index.num_frames, "towns": len(towns), "covered_fraction": covered}


class TownRaster:
    """All map layers of one town, ready to be rasterised."""

    def __init__(self, data_root: Path, location: str, settings: BevLabelsSettings) -> None:
        areas = layer_areas(MapExpansion(data_root, location), settings.line_thickness_m)
        self._rasters = {layer: AreaRaster(area) for layer, area in areas.items()}
        self._grid = settings.grid
        ranges = np.array([settings.grid.x_range_m, settings.grid.y_range_m])
        centres = settings.grid.centres()
        from_edge_m = np.minimum(centres - ranges[:, 0], ranges[:, 1] - centres).min(axis=-1)
        self._inner = from_edge_m >= settings.boundary_inset_m

    def layers(self, ego_from_global_xy: Matrix) -> NDArray[np.uint16]:
        """The bit mask (X, Y), bit i set where `MapLayer(i)` covers the cell's centre."""
        result = np.zeros(self._grid.shape, np.uint16)
        for layer, raster in self._rasters.items():
            mask = raster.mask(self._grid, ego_from_global_xy)
            if layer is MapLayer.BOUNDARY:
                mask &= self._inner
            result |= mask.astype(np.uint16) << np.uint16(layer)
        return result


def planar(global_from_ego: Matrix) -> Matrix:
    """Planar transforms (F, 3, 3) from the global map into the ego frame: heading and position alone.

    The map is flat and the labels of others are cut by heading too; a tilt of 2 degrees would move a cell at 30 m by
    2 cm (our choice to leave it out).
    """
    yaw = yaw_of(global_from_ego)
    cos, sin = np.cos(yaw), np.sin(yaw)
    x, y = global_from_ego[..., 0, 3], global_from_ego[..., 1, 3]
    zero, one = np.zeros_like(yaw), np.ones_like(yaw)
    rows = [[cos, sin, -cos * x - sin * y], [-sin, cos, sin * x - cos * y], [zero, zero, one]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def array_spec(num_frames: int, grid: BevGrid) -> ArraySpec:
    """The array of `bev.zarr`."""
    num_x, num_y = grid.shape
    return ArraySpec(
        "layers",
        (num_frames, num_x, num_y),
        "u2",
        (1, num_x, num_y),
        (FRAMES_PER_SHARD, num_x, num_y),
        ("frame", "x", "y"),
        NEVER_RASTERISED,
        attributes={"bits": [layer.name.lower() for layer in MapLayer], "grid": grid.canonical()},
    )


def coverage(layers: Any) -> dict[str, float]:
    """The fraction of all cells that each layer covers, from the finished array."""
    counts = np.zeros(len(MapLayer), np.int64)
    for rows in frame_shards(layers.shape[0], FRAMES_PER_SHARD).values():
        shard = layers[rows]
        counts += [np.count_nonzero(shard & (1 << layer)) for layer in MapLayer]
    return {layer.name.lower(): round(int(counts[layer]) / layers.size, 6) for layer in MapLayer}
