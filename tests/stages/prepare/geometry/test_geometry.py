import numpy as np
import pytest

from cache.arrays import open_arrays
from scene.camera import project
from scene.errors import InputError
from scene.frames import FrameIndex
from scene.grid import BevGrid
from scene.transform import apply, inverse
from stages.prepare.geometry import STAGE, GeometrySettings
from stages.prepare.geometry.seen import seen_cells
from stages.prepare.index import STAGE as INDEX
from tests.stages.prepare.tiny_data_set import HEADING, INDEX_SETTINGS, STEP_M

SETTINGS = GeometrySettings(label_hw_px=(9, 16), grid=BevGrid(resolution_m=0.5))
NUM_FRAMES, NUM_CAMERAS = 6, 2


@pytest.fixture
def frames(index):
    return FrameIndex.load(index.path / "index.npz")


@pytest.fixture
def geometry(build, index):
    group = open_arrays(build(STAGE, SETTINGS, index=index).path / "geometry.zarr")
    return {name: group[name][:] for name in group.array_keys()}


def test_cameras_are_where_they_were_at_their_own_time(frames, geometry):
    """Through the global frame, point by point: ego at the keyframe -> global -> ego at the camera's time -> camera."""
    points = np.random.default_rng(0).uniform(-20, 20, (7, 3))
    for f in range(NUM_FRAMES):
        for c in range(NUM_CAMERAS):
            in_global = apply(frames.global_from_ego[f], points)
            in_ego_then = apply(inverse(frames.global_from_ego_at_camera[f, c]), in_global)
            expected = apply(inverse(frames.ego_from_camera[f, c]), in_ego_then)
            assert apply(geometry["camera_from_ego"][f, c], points) == pytest.approx(expected, abs=1e-6)
    moved = inverse(geometry["camera_from_ego"])[0, :, :2, 3] - frames.ego_from_camera[0, :, :2, 3]
    assert np.abs(moved).max() > 0.05, "the vehicle moved between the camera's time and the keyframe's"


def test_intrinsics_are_of_the_label_image(frames, geometry):
    """The label image has half the size: pixel corners halve."""
    points = np.array([[0.3, 0.1, 2.0], [-0.5, 0.2, 4.0]])
    full, _ = project(frames.image_from_camera[0, 0], points)
    label, _ = project(geometry["image_from_camera"][0, 0], points)
    assert label + 0.5 == pytest.approx((full + 0.5) / 2)


def test_ego_motion_maps_the_previous_frame_into_this_one(frames, geometry):
    assert geometry["has_previous"].tolist() == [0, 1, 1, 0, 1, 1]
    for f in range(NUM_FRAMES):
        motion = geometry["ego_from_previous"][f]
        if not geometry["has_previous"][f]:
            assert np.array_equal(motion, np.eye(4))
            continue
        # The previous origin lies one step behind.
        assert motion[:3, 3] == pytest.approx([-STEP_M, 0, 0], abs=0.1)
        points = np.array([[3.0, 1.0, 0.5]])
        in_global = apply(frames.global_from_ego[f - 1], points)
        assert apply(motion, points) == pytest.approx(apply(geometry["ego_from_global"][f], in_global))
    assert HEADING != 0, "a heading of zero would hide a transposed rotation"


def test_ground_from_pixel_meets_the_plane_that_the_cameras_see(geometry):
    u, v = 7.0, 8.0
    x, y, w = geometry["ground_from_pixel"][1, 0] @ [u, v, 1.0]
    assert w > 0
    on_ground = np.array([[x / w, y / w, 0.0]])
    pixel, depth = project(geometry["image_from_camera"][1, 0], apply(geometry["camera_from_ego"][1, 0], on_ground))
    assert pixel[0] == pytest.approx([u, v])
    assert depth[0] == pytest.approx(1 / w)


def test_seen_cells_are_those_whose_centre_projects_into_the_image(geometry):
    num_x, num_y = SETTINGS.grid.shape
    height, width = SETTINGS.label_hw_px
    seen = np.unpackbits(geometry["seen_cells"], axis=-1, count=num_x * num_y).reshape(NUM_FRAMES, -1, num_x, num_y)
    centres = SETTINGS.grid.centres().reshape(-1, 2)
    centres = np.concatenate([centres, np.zeros((len(centres), 1))], axis=1)
    for f in range(NUM_FRAMES):
        for c in range(NUM_CAMERAS):
            in_camera = apply(geometry["camera_from_ego"][f, c], centres)
            (u, v), depth = (a.T for a in project(geometry["image_from_camera"][f, c], in_camera))
            expected = (depth > 0) & (u >= -0.5) & (u < width - 0.5) & (v >= -0.5) & (v < height - 0.5)
            assert np.array_equal(seen[f, c].reshape(-1), expected)
    front, back = seen[0]
    assert front[100:, 30].all(), "straight ahead"
    assert back[:20, 30].all(), "straight behind"
    assert not (front & back).any()


def test_cells_beyond_the_range_are_unseen(geometry):
    arguments = geometry["image_from_camera"][0, 0], geometry["camera_from_ego"][0, 0], SETTINGS.label_hw_px
    near = seen_cells(*arguments, SETTINGS.grid, 10.0)
    far = seen_cells(*arguments, SETTINGS.grid, 1000.0)
    distance = np.linalg.norm(SETTINGS.grid.centres() - inverse(arguments[1])[:2, 3], axis=-1)
    assert np.array_equal(near, far & (distance <= 10.0))
    assert 0 < near.sum() < far.sum()


def test_a_camera_below_the_ground_is_named(build, edit):
    edit("calibrated_sensor", lambda rows: rows[1].update(translation=[0.0, 0.0, -0.5]))
    index = build(INDEX, INDEX_SETTINGS)
    with pytest.raises(InputError, match="6 cameras lie on or below the ground, the first is CAM_BACK") as error:
        build(STAGE, SETTINGS, index=index)
    assert "sample-10" in str(error.value)
