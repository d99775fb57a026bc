import numpy as np
import pytest

from scene.errors import InputError
from stages.prepare.ground import STAGE, GroundSettings
from stages.prepare.index import STAGE as INDEX
from tests.contracts.stage import check_changed_setting, check_kill_and_resume, check_rerun_does_nothing
from tests.stages.prepare.tiny_data_set import INDEX_SETTINGS, run_stage, write_data_set


def recipe(root, **changes):
    """Six frames: a road 0.1 m below the ego frames, and in the first one a sweep of a single point."""
    data_root = root.parent / "data"
    write_data_set(data_root)
    rng = np.random.default_rng(0)
    for file in sorted((data_root / "samples" / "LIDAR_TOP").iterdir())[1:]:
        sweep = np.zeros((3000, 5), np.float32)
        sweep[:, :2] = rng.uniform(-15, 15, (3000, 2))
        sweep[:, 2] = -1.6
        sweep.tofile(file)
    index, _ = run_stage(INDEX, INDEX_SETTINGS, root, data_root)
    return run_stage(STAGE, GroundSettings(**({"max_offset_m": 3.0} | changes)), root, data_root, index=index)


def test_rerun_does_nothing(tmp_path):
    check_rerun_does_nothing(recipe, tmp_path)


def test_changed_setting_new_key(tmp_path):
    check_changed_setting(recipe, tmp_path, scale_m=0.05, radius_m=20.0, min_points=50)


def test_kill_and_resume(tmp_path):
    check_kill_and_resume(recipe, tmp_path, num_kills=3)


def test_frames_without_a_road_stay_as_they_are(tmp_path):
    artifact, _ = recipe(tmp_path / "cache")
    with np.load(artifact.path / "ground.npz", allow_pickle=False) as ground:
        found, ground_from_ego = ground["found"], ground["ground_from_ego"]
    assert found.sum() == artifact.manifest.statistics["found"] == 5
    assert np.array_equal(ground_from_ego[~found], np.eye(4)[None])
    heights = ground_from_ego[found, 2, 3]
    assert heights == pytest.approx(heights[0], abs=1e-3)
    assert abs(heights[0]) > 0.01


def test_a_sweep_that_was_cut_short_is_one_line(tmp_path):
    recipe(tmp_path / "cache")
    sweep = next((tmp_path / "data" / "samples" / "LIDAR_TOP").iterdir())
    index, _ = run_stage(INDEX, INDEX_SETTINGS, tmp_path / "cache", tmp_path / "data")
    sweep.write_bytes(sweep.read_bytes()[:-3])
    with pytest.raises(InputError, match="truncated"):
        run_stage(STAGE, GroundSettings(min_points=7), tmp_path / "cache", tmp_path / "data", index=index)


def test_sweeps_that_come_later_are_seen(tmp_path):
    artifact, _ = recipe(tmp_path / "cache")
    kept = tmp_path / "kept"
    (tmp_path / "data" / "samples" / "LIDAR_TOP").rename(kept)
    index, _ = run_stage(INDEX, INDEX_SETTINGS, tmp_path / "cache", tmp_path / "data")
    with pytest.raises(InputError, match=r"no keyframe has a LiDAR sweep .*samples/LIDAR_TOP.*unpack"):
        run_stage(STAGE, GroundSettings(max_offset_m=3.0), tmp_path / "cache", tmp_path / "data", index=index)
    kept.rename(tmp_path / "data" / "samples" / "LIDAR_TOP")
    again, found = recipe(tmp_path / "cache")
    assert found
    assert again.key == artifact.key


def test_a_sweep_of_another_size_is_another_ground(tmp_path):
    artifact, _ = recipe(tmp_path / "cache")
    sweep = max((tmp_path / "data" / "samples" / "LIDAR_TOP").iterdir())
    np.fromfile(sweep, np.float32)[: 5 * 1500].tofile(sweep)
    index, _ = run_stage(INDEX, INDEX_SETTINGS, tmp_path / "cache", tmp_path / "data")
    again, found = run_stage(
        STAGE, GroundSettings(max_offset_m=3.0), tmp_path / "cache", tmp_path / "data", index=index
    )
    assert not found
    assert again.key != artifact.key
