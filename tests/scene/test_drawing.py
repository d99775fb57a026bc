import numpy as np
import pytest

from scene import drawing
from scene.camera import ground_from_pixel
from scene.grid import BevGrid
from scene.labels import NEVER_WRITTEN
from scene.transform import inverse, rigid

GRID = BevGrid(x_range_m=(-10.0, 10.0), y_range_m=(-5.0, 5.0), resolution_m=0.5)
COLOURS = np.zeros((256, 3), np.uint8)
COLOURS[1], COLOURS[2] = (200, 0, 0), (0, 200, 0)

FORWARD = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
CAMERA_FROM_EGO = inverse(rigid(FORWARD, np.array([0.0, 0.0, 1.5])))
INTRINSICS = np.array([[50.0, 0.0, 47.5], [0.0, 50.0, 23.5], [0.0, 0.0, 1.0]])


def test_bev_picture_has_forward_up_and_left_on_the_left() -> None:
    cells = np.zeros(GRID.shape, np.uint8)
    cells[-1, -1] = 1  # the foremost, leftmost cell
    picture = drawing.bev_picture(cells, GRID, COLOURS, scale=3)
    assert picture.shape == (120, 60, 3)
    assert picture[0, 0].tolist() == [200, 0, 0]
    assert np.count_nonzero((picture == [200, 0, 0]).all(axis=-1)) == 9


def test_what_lies_ahead_on_the_left_shows_in_the_lower_left_of_the_front_camera() -> None:
    cells = np.ones(GRID.shape, np.uint8)
    cells[:, GRID.shape[1] // 2 :] = 2  # y > 0: left
    seen = drawing.bev_in_camera(cells, GRID, ground_from_pixel(INTRINSICS, CAMERA_FROM_EGO), (48, 96))
    assert (seen[:24] == NEVER_WRITTEN).all(), "the sky meets no ground"
    assert seen[40, 20] == 2
    assert seen[40, 75] == 1


def test_overlay_leaves_skipped_and_unwritten_pixels_alone() -> None:
    rgb = np.full((2, 3, 3), 90, np.uint8)
    ids = np.array([[1, 2, NEVER_WRITTEN], [1, 2, NEVER_WRITTEN]], np.uint8)
    result = drawing.overlay(rgb, ids, COLOURS, skip=[2])
    assert (result[:, 1:] == 90).all()
    assert result[0, 0, 0] > 90


def test_mosaic_puts_the_cameras_where_a_driver_expects_them() -> None:
    images = {name: np.full((4, 6, 3), i + 1, np.uint8) for i, name in enumerate(reversed(drawing.MOSAIC_ORDER))}
    canvas = drawing.camera_mosaic(images, gap_px=0)
    assert canvas.shape == (8, 18, 3)
    assert canvas[0, 7, 0] == images["CAM_FRONT"][0, 0, 0]
    assert canvas[7, 0, 0] == images["CAM_BACK_LEFT"][0, 0, 0]


@pytest.mark.parametrize("count", [1, 2, 4])
def test_mosaic_of_any_number_of_cameras(count: int) -> None:
    images = {f"CAM_{i}": np.full((4, 6, 3), i + 1, np.uint8) for i in range(count)}
    assert set(np.unique(drawing.camera_mosaic(images, gap_px=0))) >= set(range(1, count + 1))


def test_mosaic_of_cameras_of_different_sizes() -> None:
    images = {"CAM_FRONT_LEFT": np.full((4, 6, 3), 50, np.uint8), "CAM_FRONT": np.full((2, 8, 3), 90, np.uint8)}
    canvas = drawing.camera_mosaic(images, gap_px=0)
    assert canvas.shape == (4, 16, 3)
    assert [(canvas == value).sum() for value in (50, 90)] == [4 * 6 * 3, 2 * 8 * 3]


@pytest.mark.parametrize("axis", [0, 1])
def test_pictures_are_joined_with_a_gap_behind_each(axis: int) -> None:
    small, large = np.full((2, 3, 3), 50, np.uint8), np.full((4, 5, 3), 90, np.uint8)
    found = drawing.joined([small, large], axis, gap_px=1)
    assert found.shape == ((8, 5, 3) if axis == 0 else (4, 10, 3))
    assert [(found == value).sum() for value in (50, 90)] == [small.size, large.size]


def test_points_outside_the_image_are_not_drawn() -> None:
    rgb = np.zeros((10, 10, 3), np.uint8)
    pixels = np.array([[5.0, 5.0], [-3.0, 2.0], [2.0, 12.0]])
    drawn = drawing.draw_points(rgb, pixels, np.array([5.0, 5.0, 5.0]))
    touched = np.argwhere(drawn.any(axis=-1))
    assert len(touched)
    assert np.abs(touched - 5).max() <= 2


def test_ground_rings_are_where_the_ground_is_at_that_distance() -> None:
    rgb = np.zeros((480, 960, 3), np.uint8)
    intrinsics = np.array([[500.0, 0, 479.5], [0, 500.0, 239.5], [0, 0, 1]])
    drawn = drawing.draw_ground_rings(rgb, intrinsics, CAMERA_FROM_EGO, radii_m=[10])
    rows = np.flatnonzero(drawn[:, 480].any(axis=-1))
    assert abs(rows.mean() - (239.5 + 500 * 1.5 / 10)) < 1.5
