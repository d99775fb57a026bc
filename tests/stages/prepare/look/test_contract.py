import cv2
import numpy as np

from scene.frames import FrameIndex
from scene.grid import BevGrid
from scene.transform import inverse
from stages.prepare.geometry import STAGE as GEOMETRY
from stages.prepare.geometry import GeometrySettings
from stages.prepare.index import STAGE as INDEX
from stages.prepare.look import STAGE, LookSettings
from stages.prepare.look.run import sweep_in_ego
from tests.contracts.stage import check_changed_setting, check_kill_and_resume, check_rerun_does_nothing, check_schema
from tests.flat_world import SCHEMA
from tests.stages.prepare.tiny_data_set import INDEX_SETTINGS, run_stage, write_data_set

GRID = BevGrid(resolution_m=0.5)
SETTINGS = LookSettings(grid=GRID, label_schema=SCHEMA, num_frames=2, camera_width_px=64)


def recipe(root, **changes):
    """Two pictures of calibration alone: no labels of either kind."""
    data_root = root.parent / "data"
    write_data_set(data_root)
    index, _ = run_stage(INDEX, INDEX_SETTINGS, root, data_root)
    geometry, _ = run_stage(GEOMETRY, GeometrySettings(label_hw_px=(9, 16), grid=GRID), root, data_root, index=index)
    inputs = {"index": index, "geometry": geometry}
    return run_stage(STAGE, SETTINGS.model_copy(update=changes), root, data_root, **inputs)


def test_contract(tmp_path):
    check_rerun_does_nothing(recipe, tmp_path)
    check_changed_setting(recipe, tmp_path, num_frames=3, camera_width_px=32)
    artifact, _ = recipe(tmp_path / "cache")
    check_schema(artifact, {})


def test_pictures_of_the_first_and_the_last_frame(tmp_path):
    artifact, _ = recipe(tmp_path / "cache")
    assert set(artifact.manifest.files) == {"frame-00000.png", "frame-00005.png"}
    picture = cv2.imread(str(artifact.path / "frame-00000.png"))
    assert np.ptp(picture) > 50, "an empty picture"


def test_lidar_points_are_in_the_ego_frame_of_the_geometry(tmp_path):
    """Which is another than the recorded one where it stands upright on the ground found."""
    recipe(tmp_path / "cache")
    index, _ = run_stage(INDEX, INDEX_SETTINGS, tmp_path / "cache", tmp_path / "data")
    frames = FrameIndex.load(index.path / "index.npz")
    frame = int(np.flatnonzero(frames.lidar_file != "")[0])
    recorded = inverse(frames.global_from_ego[frame])
    raised = np.eye(4)
    raised[2, 3] = -0.5
    points_m = [sweep_in_ego(tmp_path / "data", frames, frame, pose) for pose in (recorded, raised @ recorded)]
    assert len(points_m[0]) > 0
    np.testing.assert_allclose(points_m[1] - points_m[0], np.tile([0, 0, -0.5], (len(points_m[0]), 1)), atol=1e-6)


def test_kill_and_resume(tmp_path):
    check_kill_and_resume(recipe, tmp_path, num_kills=3)
