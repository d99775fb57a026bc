"""What the embedded world's true poses say about the ground found in its sweeps."""

import numpy as np
import pytest

from scene.camera import ground_from_pixel
from scene.frames import FrameIndex
from scene.ground import ground_points
from scene.transform import inverse, rigid, rotation_from_euler, yaw_of
from stages.prepare.geometry.cameras import camera_geometry
from stages.prepare.ground import STAGE, GroundSettings
from stages.prepare.index import STAGE as INDEX
from stages.prepare.index import IndexSettings
from stages.prepare.world import STAGE as WORLD
from stages.prepare.world import SplitSettings, WorldSettings
from synthetic.contents import CAMERAS
from tests.stages.prepare.tiny_data_set import run_stage

LABEL_HW_PX = (48, 96)
ONE, NONE = SplitSettings(num_towns=1, num_scenes=1), SplitSettings(num_towns=1, num_scenes=0)
SMALL = WorldSettings(
    train=ONE, val=NONE, teacher=NONE, frames_per_scene=4, image_wh_px=(64, 32), ground_resolution_m=0.2
)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """The index, the ground, and homographies from pixels to the true ground, in the recorded ego's planar frame."""
    cache = tmp_path_factory.mktemp("ground") / "cache"
    world, _ = run_stage(WORLD, SMALL, cache, None)
    settings = IndexSettings(version="v1.0-synthetic", split="dataset")
    made, _ = run_stage(INDEX, settings, cache, world.path)
    ground, _ = run_stage(STAGE, GroundSettings(), cache, world.path, index=made)
    index = FrameIndex.load(made.path / "index.npz")
    with np.load(world.path / "truth" / f"{index.scene_name[0]}.npz") as truth:
        order = [CAMERAS.index(name) for name in index.camera_names.tolist()]
        global_from_ego = truth["global_from_ego"][:, order]
    planar = np.stack(
        [rigid(rotation_from_euler(0, 0, float(yaw_of(t))), [*t[:2, 3], 0]) for t in index.global_from_ego]
    )
    flat = camera_geometry(index, LABEL_HW_PX)
    camera_from_planar = inverse(global_from_ego @ index.ego_from_camera) @ planar[:, None]
    with np.load(ground.path / "ground.npz") as arrays:
        ground_from_ego = arrays["ground_from_ego"]
    return index, ground_from_ego, ground_from_pixel(flat.image_from_camera, camera_from_planar)


def median_error_m(homographies, truth):
    """Of where pixels 15 to 25 m away meet the ground."""
    expected, _ = ground_points(truth, *LABEL_HW_PX)
    points, _ = ground_points(homographies, *LABEL_HW_PX)
    distance_m = np.linalg.norm(expected, axis=-1)
    error_m = np.linalg.norm(points - expected, axis=-1)[(distance_m > 15) & (distance_m < 25)]
    return float(np.nanmedian(error_m))


def test_pixels_meet_the_ground_five_times_as_close_to_where_they_do(found):
    index, ground_from_ego, truth = found
    flat = median_error_m(camera_geometry(index, LABEL_HW_PX).ground_from_pixel, truth)
    upright = median_error_m(camera_geometry(index, LABEL_HW_PX, ground_from_ego).ground_from_pixel, truth)
    assert upright < flat / 5
    assert upright < 0.15


def test_motion_and_cameras_stay_consistent(found):
    index, ground_from_ego, _ = found
    upright = camera_geometry(index, LABEL_HW_PX, ground_from_ego)
    step = upright.ego_from_global[1] @ inverse(upright.ego_from_global[0])
    assert upright.ego_from_previous[1] == pytest.approx(step, abs=1e-9)
    flat = camera_geometry(index, LABEL_HW_PX)
    back = upright.camera_from_ego @ ground_from_ego[:, None]
    assert back == pytest.approx(flat.camera_from_ego, abs=1e-9)
