import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scene.camera import ground_from_pixel, project, resize_intrinsics
from scene.ground import ground_area_m2, ground_points, pixel_from_ground
from scene.transform import apply, inverse, rigid, rotation_from_euler

# x right, y down, z forward from x forward, y left, z up.
CAMERA_FROM_EGO_AXES = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])
INTRINSICS = np.array([[1266.4, 0, 816.3], [0, 1266.4, 491.5], [0, 0, 1]])


def camera_at(yaw=0.0, pitch=0.0, roll=0.0, position_m=(1.7, 0.0, 1.5)):
    """camera_from_ego of a camera that looks along x before it is turned."""
    ego_from_camera = rigid(rotation_from_euler(roll, pitch, yaw) @ CAMERA_FROM_EGO_AXES.T, np.array(position_m))
    return inverse(ego_from_camera)


poses = st.builds(
    camera_at,
    yaw=st.floats(-np.pi, np.pi),
    pitch=st.floats(-0.3, 0.3),
    roll=st.floats(-0.2, 0.2),
    position_m=st.tuples(st.floats(-2, 2), st.floats(-2, 2), st.floats(0.5, 3)),
)


@given(poses, st.floats(0, 1599), st.floats(0, 899))
def test_ground_from_pixel_is_the_intersection_of_the_ray_with_the_plane(camera_from_ego, u, v):
    ego_from_camera = inverse(camera_from_ego)
    origin = ego_from_camera[:3, 3]
    direction = ego_from_camera[:3, :3] @ np.linalg.solve(INTRINSICS, [u, v, 1.0])
    x, y, w = ground_from_pixel(INTRINSICS, camera_from_ego) @ [u, v, 1.0]
    assert w == pytest.approx(-direction[2] / origin[2], abs=1e-12)
    if w > 1e-3:
        hit = origin - origin[2] / direction[2] * direction
        assert [x / w, y / w] == pytest.approx(hit[:2], abs=1e-6)
        pixel, depth = project(INTRINSICS, apply(camera_from_ego, np.array([[*hit[:2], 0.0]])))
        assert depth[0] == pytest.approx(1 / w)
        assert pixel[0] == pytest.approx([u, v], abs=1e-5)


@given(poses, st.floats(-30, 30), st.floats(-15, 15))
def test_pixel_from_ground_inverts_ground_from_pixel(camera_from_ego, x, y):
    u, v, depth = pixel_from_ground(INTRINSICS, camera_from_ego) @ [x, y, 1.0]
    if abs(depth) > 0.1:
        back = ground_from_pixel(INTRINSICS, camera_from_ego) @ [u / depth, v / depth, 1.0]
        assert back[2] * depth == pytest.approx(1)
        assert back[:2] / back[2] == pytest.approx([x, y], abs=1e-6)


def test_nothing_above_the_horizon_meets_the_ground():
    points, below = ground_points(ground_from_pixel(INTRINSICS, camera_at()), 900, 1600)
    horizon = INTRINSICS[1, 2]
    assert below[int(horizon) + 1 :].all()
    assert not below[: int(horizon)].any()
    assert np.isnan(points[~below]).all()
    assert (points[below][:, 0] > 1.7).all()
    # Left in the image is left of the vehicle: y > 0.
    assert points[800, 100, 1] > 0 > points[800, 1500, 1]


@settings(max_examples=30)
@given(poses, st.integers(10, 1580), st.integers(10, 880))
def test_ground_area_is_the_jacobian_of_the_homography(camera_from_ego, u, v):
    homography = ground_from_pixel(INTRINSICS, camera_from_ego)
    if (homography @ [u, v, 1.0])[2] < 0.02:
        return

    def hit(du, dv):
        x, y, w = homography @ [u + du, v + dv, 1.0]
        return np.array([x, y]) / w

    step = 1e-3
    along_u, along_v = hit(step, 0) - hit(-step, 0), hit(0, step) - hit(0, -step)
    numeric = abs(along_u[0] * along_v[1] - along_u[1] * along_v[0]) / (2 * step) ** 2
    shifted = homography @ np.array([[1, 0, u], [0, 1, v], [0, 0, 1.0]])
    assert ground_area_m2(shifted, 1, 1)[0, 0] == pytest.approx(numeric, rel=1e-4)


def test_area_grows_with_the_cube_of_the_distance():
    homography = ground_from_pixel(INTRINSICS, camera_at())
    area, (points, below) = ground_area_m2(homography, 900, 1600), ground_points(homography, 900, 1600)
    assert np.isinf(area[~below]).all()
    depth = points[[560, 700], 816, 0] - 1.7
    assert area[560, 816] / area[700, 816] == pytest.approx((depth[0] / depth[1]) ** 3, rel=1e-9)
    # The front camera's pixel row at 10 m is 0.05 m deep (docs/methods.md section 3) and 10 / 1266 m wide.
    row_at_10_m = int(np.argmin(np.abs(points[:, 816, 0] - 11.7)[below[:, 816]])) + np.flatnonzero(below[:, 816])[0]
    assert area[row_at_10_m, 816] == pytest.approx(0.05 * 10 / 1266, rel=0.1)


def test_a_camera_below_the_ground_is_refused():
    with pytest.raises(ValueError, match="ground plane"):
        ground_from_pixel(INTRINSICS, camera_at(position_m=(0, 0, -0.1)))


def test_resizing_keeps_pixel_corners_not_pixel_centres():
    half = resize_intrinsics(INTRINSICS, (1600, 900), (800, 450))
    ray = np.array([0.2, 0.1, 1.0])
    full_uv, half_uv = (INTRINSICS @ ray)[:2], (half @ ray)[:2]
    assert half_uv + 0.5 == pytest.approx((full_uv + 0.5) / 2)
    # The corner of the image stays its corner; a plain scaling of K would move the view by a quarter of a pixel.
    assert half_uv != pytest.approx(full_uv / 2)
    assert resize_intrinsics(half, (800, 450), (1600, 900)) == pytest.approx(INTRINSICS)


def test_resizing_takes_one_size_per_camera():
    sizes = np.array([[1600, 900], [800, 450]])
    both = resize_intrinsics(np.stack([INTRINSICS, INTRINSICS]), sizes, (400, 224))
    for i, size in enumerate(sizes):
        assert both[i] == pytest.approx(resize_intrinsics(INTRINSICS, tuple(size), (400, 224)))


def test_resized_image_and_resized_intrinsics_agree():
    """Averaging 2x2 blocks of an image of u coordinates gives the u of the small pixel's centre."""
    u = np.arange(8.0)
    averaged = u.reshape(4, 2).mean(axis=1)
    small = resize_intrinsics(np.eye(3), (8, 8), (4, 4))
    assert (small @ np.stack([averaged, averaged, np.ones(4)]))[0] == pytest.approx(np.arange(4.0))
