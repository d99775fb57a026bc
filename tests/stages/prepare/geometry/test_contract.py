from unittest import mock

import numpy as np

from cache.arrays import open_arrays
from scene.grid import BevGrid
from stages.prepare.geometry import STAGE, GeometrySettings
from stages.prepare.geometry import run as geometry_run
from stages.prepare.index import STAGE as INDEX
from tests.contracts.stage import check_changed_setting, check_kill_and_resume, check_rerun_does_nothing, check_schema
from tests.stages.prepare.tiny_data_set import INDEX_SETTINGS, run_stage, write_data_set

SETTINGS = GeometrySettings(label_hw_px=(9, 16), grid=BevGrid(resolution_m=0.5))
NUM_FRAMES, NUM_CAMERAS = 6, 2


def recipe(root, **changes):
    """Three shards of two frames."""
    data_root = root.parent / "data"
    write_data_set(data_root)
    index, _ = run_stage(INDEX, INDEX_SETTINGS, root, data_root)
    with mock.patch.object(geometry_run, "FRAMES_PER_SHARD", 2):
        return run_stage(STAGE, SETTINGS.model_copy(update=changes), root, data_root, index=index)


def test_contract(tmp_path):
    check_rerun_does_nothing(recipe, tmp_path)
    changes = {"label_hw_px": (18, 32), "max_range_m": 20.0, "grid": BevGrid(resolution_m=1.0)}
    check_changed_setting(recipe, tmp_path, **changes)
    artifact, _ = recipe(tmp_path / "cache")
    camera, ego = ["frame", "camera", "row", "column"], ["frame", "row", "column"]
    shapes = {
        "image_from_camera": {"shape": [NUM_FRAMES, NUM_CAMERAS, 3, 3], "dims": camera, "units": "px"},
        "camera_from_ego": {"shape": [NUM_FRAMES, NUM_CAMERAS, 4, 4], "dims": camera, "units": "m"},
        "ground_from_pixel": {"shape": [NUM_FRAMES, NUM_CAMERAS, 3, 3], "dims": camera, "units": "m"},
        "ego_from_global": {"shape": [NUM_FRAMES, 4, 4], "dims": ego, "units": "m"},
        "ego_from_previous": {"shape": [NUM_FRAMES, 4, 4], "dims": ego, "units": "m"},
    }
    declared = {name: {**array, "dtype": "float64"} for name, array in shapes.items()}
    declared["has_previous"] = {"shape": [NUM_FRAMES], "dtype": "uint8"}
    declared["seen_cells"] = {"shape": [NUM_FRAMES, NUM_CAMERAS, 120 * 60 // 8], "dtype": "uint8"}
    check_schema(artifact, {f"geometry.zarr/{name}": array for name, array in declared.items()})


def test_kill_and_resume(tmp_path):
    check_kill_and_resume(recipe, tmp_path, num_kills=3)


def test_shards_do_not_show_in_the_values(tmp_path):
    sharded = recipe(tmp_path / "cache")[0]
    data_root = tmp_path / "data"
    index, _ = run_stage(INDEX, INDEX_SETTINGS, tmp_path / "cache", data_root)
    whole, _ = run_stage(STAGE, SETTINGS, tmp_path / "another", data_root, index=index)
    one, other = (open_arrays(artifact.path / "geometry.zarr") for artifact in (sharded, whole))
    for name in one.array_keys():
        assert np.array_equal(one[name][:], other[name][:]), name
