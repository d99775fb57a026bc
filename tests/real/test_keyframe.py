"""One real nuScenes keyframe, beside the checkout: our geometry against the devkit's own."""

from pathlib import Path

import numpy as np
import pytest
from nuscenes import NuScenes
from nuscenes.utils.data_classes import LidarPointCloud

from scene.camera import project, resize_intrinsics
from scene.grid import BevGrid
from scene.sweep import read_sweep
from scene.transform import apply
from stages.prepare.geometry.cameras import camera_geometry
from stages.prepare.geometry.seen import seen_cells
from stages.prepare.ground import GroundSettings
from stages.prepare.ground.plane import fit_plane
from stages.prepare.index import IndexSettings
from stages.prepare.index.problems import Problems
from stages.prepare.index.run import index_data_set

KEYFRAME = Path(__file__).parents[3] / "shared" / "real-keyframe"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not KEYFRAME.is_dir(), reason=f"the real keyframe is not beside the checkout ({KEYFRAME})"),
]


@pytest.fixture(scope="module")
def devkit():
    return NuScenes("v1.0-mini", str(KEYFRAME), verbose=False)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    problems = Problems()
    settings = IndexSettings(version="v1.0-mini", check_images="full")
    listing = tmp_path_factory.mktemp("real") / "problems.json"
    frames = index_data_set(settings, KEYFRAME, problems, listing, progress=False)
    assert not problems.found
    return frames


def points_in_ego(index):
    """The LiDAR sweep (N, 3) in the keyframe's ego frame."""
    cloud = LidarPointCloud.from_file(str(KEYFRAME / index.lidar_file[0]))
    return apply(index.ego_from_lidar[0], cloud.points[:3].T.astype(np.float64))


def test_the_keyframe_is_scene_0061(index):
    assert index.num_frames == 1
    assert index.scene_name.tolist() == ["scene-0061"]
    assert index.scene_split.tolist() == ["train"]
    assert index.scene_location.tolist() == ["singapore-onenorth"]
    assert (index.image_wh_px == (1600, 900)).all()


@pytest.fixture
def double_precision(monkeypatch):
    """The devkit keeps points in float32 on their way through the global frame: 1,200 m to 0.1 mm, 0.03 px nearby."""
    read = LidarPointCloud.from_file

    def from_file(file):
        cloud = read(file)
        cloud.points = cloud.points.astype(np.float64)
        return cloud

    monkeypatch.setattr(LidarPointCloud, "from_file", from_file)


def pixel_errors(index, devkit, camera):
    channel = str(index.camera_names[camera])
    data = devkit.get("sample", str(index.frame_token[0]))["data"]
    theirs, depths, _ = devkit.explorer.map_pointcloud_to_image(data["LIDAR_TOP"], data[channel], min_dist=1.0)
    geometry = camera_geometry(index, (900, 1600))
    in_camera = apply(geometry.camera_from_ego[0, camera], points_in_ego(index))
    ours, depth = project(geometry.image_from_camera[0, camera], in_camera)
    # The devkit keeps points inside the image, one pixel from its edge, and forgets which: it keeps their order.
    u, v = ours.T
    kept = (depth > 1.0) & (u > 1) & (u < 1599) & (v > 1) & (v < 899)
    assert kept.sum() == theirs.shape[1] > 1000
    assert depth[kept] == pytest.approx(depths, abs=1e-3)
    return np.linalg.norm(ours[kept] - theirs[:2].T, axis=1)


@pytest.mark.parametrize("camera", range(6))
def test_lidar_points_land_on_the_devkits_pixels(index, devkit, camera, double_precision):
    errors_px = pixel_errors(index, devkit, camera)
    assert errors_px.max() < 1e-6, errors_px.max()


@pytest.mark.parametrize("camera", range(6))
def test_lidar_points_land_on_the_devkits_pixels_up_to_its_rounding(index, devkit, camera):
    errors_px = pixel_errors(index, devkit, camera)
    assert np.median(errors_px) < 0.01
    assert errors_px.max() < 0.05


def test_resized_label_images_show_the_same_points(index):
    full, small = camera_geometry(index, (900, 1600)), camera_geometry(index, (225, 400))
    assert small.image_from_camera == pytest.approx(resize_intrinsics(full.image_from_camera, (1600, 900), (400, 225)))
    in_camera = apply(full.camera_from_ego[0, 0], points_in_ego(index))
    in_camera = in_camera[in_camera[:, 2] > 1]
    one, _ = project(full.image_from_camera[0, 0], in_camera)
    other, _ = project(small.image_from_camera[0, 0], in_camera)
    assert other + 0.5 == pytest.approx((one + 0.5) / 4)


def test_points_on_the_road_lie_on_the_plane_that_pixels_meet(index):
    """LiDAR points within 10 m that are near z = 0: pixel -> ground comes back to the point, up to the road's shape."""
    geometry = camera_geometry(index, (900, 1600))
    points = points_in_ego(index)
    ahead = points[
        (points[:, 0] > 6) & (points[:, 0] < 12) & (np.abs(points[:, 1]) < 3) & (np.abs(points[:, 2]) < 0.05)
    ]
    assert len(ahead) > 100
    front = index.camera_names.tolist().index("CAM_FRONT")
    pixels, _ = project(geometry.image_from_camera[0, front], apply(geometry.camera_from_ego[0, front], ahead))
    homogeneous = np.concatenate([pixels, np.ones((len(pixels), 1))], axis=1)
    ground = homogeneous @ geometry.ground_from_pixel[0, front].T
    assert (ground[:, 2] > 0).all()
    error_m = np.linalg.norm(ground[:, :2] / ground[:, 2:] - ahead[:, :2], axis=1)
    assert np.median(error_m) < 0.2


def test_the_six_cameras_see_all_around(index):
    grid = BevGrid()
    geometry = camera_geometry(index, (900, 1600))
    seen = seen_cells(geometry.image_from_camera[0], geometry.camera_from_ego[0], (900, 1600), grid, 60.0)
    far = grid.distance_m() > 8
    assert seen.any(axis=0)[far].mean() > 0.99
    names = index.camera_names.tolist()
    assert seen[names.index("CAM_FRONT")][-1, 100]
    assert seen[names.index("CAM_BACK")][0, 100]
    assert seen[names.index("CAM_FRONT_LEFT")][300, -1]
    assert seen[names.index("CAM_BACK_RIGHT")][150, 0]


def test_the_road_is_found_in_a_real_sweep(index):
    sweep = read_sweep(KEYFRAME / str(index.lidar_file[0]))
    points_m = apply(index.ego_from_lidar[0], sweep[:, :3].astype(np.float64))
    fit = fit_plane(points_m, GroundSettings())
    assert fit.found
    assert fit.num_points > 5000
    assert fit.residual_m < 0.02
    tilt_deg = np.degrees(np.arccos(fit.ground_from_ego[2, 2]))
    assert tilt_deg < 0.5
    # The road here has a bank on its left and falls off on its right: a plane through everything is 5 cm off.
    on_road = (np.hypot(points_m[:, 0], points_m[:, 1]) < 20) & (np.abs(points_m[:, 1]) < 5)
    near = points_m[on_road & (np.abs(points_m[:, 2]) < 0.3)]
    before, after = np.abs(near[:, 2]), np.abs(apply(fit.ground_from_ego, near)[:, 2])
    assert np.median(after) < 0.5 * np.median(before)
