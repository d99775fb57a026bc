from unittest import mock

from scene.grid import BevGrid
from stages.prepare.bev_labels import STAGE, BevLabelsSettings
from stages.prepare.bev_labels import run as bev_run
from stages.prepare.index import STAGE as INDEX
from tests.contracts.stage import check_changed_setting, check_kill_and_resume, check_rerun_does_nothing, check_schema
from tests.stages.prepare.bev_labels import tiny_town as town
from tests.stages.prepare.tiny_data_set import INDEX_SETTINGS, run_stage, write_data_set


def recipe(root, **changes):
    """Three shards of two frames, on a coarse grid."""
    data_root = root.parent / "data"
    write_data_set(data_root)
    town.write_town(data_root)
    index, _ = run_stage(INDEX, INDEX_SETTINGS, root, data_root)
    settings = BevLabelsSettings(grid=BevGrid(resolution_m=0.5)).model_copy(update=changes)
    with mock.patch.object(bev_run, "FRAMES_PER_SHARD", 2):
        return run_stage(STAGE, settings, root, data_root, index=index)


def test_contract(tmp_path):
    check_rerun_does_nothing(recipe, tmp_path)
    changes = {"line_thickness_m": 1.5, "boundary_inset_m": 2.0, "grid": BevGrid(resolution_m=1.0)}
    check_changed_setting(recipe, tmp_path, **changes)
    layers = {"shape": [6, 120, 60], "dtype": "uint16", "dims": ["frame", "x", "y"]}
    check_schema(recipe(tmp_path / "cache")[0], {"bev.zarr/layers": layers})


def test_kill_and_resume(tmp_path):
    check_kill_and_resume(recipe, tmp_path, num_kills=3)
