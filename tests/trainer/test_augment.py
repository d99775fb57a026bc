import numpy as np
import pytest

from scene.errors import InputError
from scene.grid import BevGrid
from scene.ground import ground_points
from tests import flat_world
from trainer.augment import check_flip, mirrored, mirrored_at_random, mirrored_cameras, recoloured
from trainer.settings import AugmentSettings

BEFORE, NOW = flat_world.pose(0, 0, 0.0), flat_world.pose(2.0, 0.5, 0.2)
CAMERAS = mirrored_cameras(flat_world.CAMERAS)


def test_left_and_right_cameras_change_places():
    names = np.array(flat_world.CAMERAS)[CAMERAS]
    assert list(names) == [
        "CAM_FRONT",
        "CAM_FRONT_LEFT",
        "CAM_BACK_LEFT",
        "CAM_BACK",
        "CAM_BACK_RIGHT",
        "CAM_FRONT_RIGHT",
    ]
    assert mirrored_cameras(["FRONT", "LEFT_ONLY"]).tolist() == [0, 1]


def test_twice_mirrored_is_the_original():
    clip = flat_world.clip(BEFORE, NOW)
    twice = mirrored(mirrored(clip, CAMERAS), CAMERAS)
    np.testing.assert_array_equal(twice.current.images, clip.current.images)
    np.testing.assert_allclose(twice.current.image_from_ego, clip.current.image_from_ego, atol=1e-9)
    np.testing.assert_allclose(twice.ego_from_previous[0], clip.ego_from_previous[0], atol=1e-12)
    np.testing.assert_array_equal(twice.bev_class, clip.bev_class)


def test_mirrored_cameras_see_the_mirrored_point_at_the_mirrored_pixel():
    clip = flat_world.clip(BEFORE, NOW)
    flipped = mirrored(clip, CAMERAS)
    width = flat_world.IMAGE_HW_PX[1]
    point, mirror = np.array([5.0, 2.0, 0.3, 1.0]), np.array([5.0, -2.0, 0.3, 1.0])
    for slot, source in enumerate(CAMERAS):
        u, v, d = clip.current.image_from_ego[source] @ point
        u2, v2, d2 = flipped.current.image_from_ego[slot] @ mirror
        assert d2 == pytest.approx(d)
        assert u2 / d2 == pytest.approx(width - 1 - u / d)
        assert v2 / d2 == pytest.approx(v / d)


def test_mirrored_labels_lie_on_the_mirrored_ground():
    flipped = mirrored(flat_world.clip(BEFORE, NOW), CAMERAS)
    (view,) = flipped.views
    labels = view.read()
    points_m, below = ground_points(view.ground_from_view @ labels.ground_from_pixel, *flat_world.IMAGE_HW_PX)
    usable = below & (labels.class_id < 3)
    unmirrored = points_m[usable] * [1, -1]
    expected = flat_world.class_at(flat_world.to_global(unmirrored, NOW))
    assert (labels.class_id[usable] == expected).mean() > 0.999


def test_mirrored_motion_moves_mirrored_points():
    clip = flat_world.clip(BEFORE, NOW)
    flipped = mirrored(clip, CAMERAS)
    before, mirror = np.array([3.0, 1.0, 0.0, 1.0]), np.array([3.0, -1.0, 0.0, 1.0])
    now = clip.ego_from_previous[0] @ before
    np.testing.assert_allclose(flipped.ego_from_previous[0] @ mirror, now * [1, -1, 1, 1], atol=1e-12)


def test_photometric_changes_are_drawn_from_the_generator_and_touch_images_only():
    clip = flat_world.clip(BEFORE, NOW)
    first, second, other = (
        recoloured(clip, AugmentSettings(photometric=1.0), np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.current.images, second.current.images)
    assert (first.current.images != other.current.images).any()
    assert (first.current.images != clip.current.images).any()
    assert first.views is clip.views
    np.testing.assert_array_equal(first.bev_class, clip.bev_class)


def test_everything_off_changes_nothing():
    clip = flat_world.clip(BEFORE, NOW)
    off = AugmentSettings(flip=False, photometric=0)
    assert mirrored_at_random(clip, flat_world.CAMERAS, off, None) is clip
    assert recoloured(clip, off, None) is clip


def test_half_of_the_samples_are_mirrored():
    clip, on = flat_world.clip(BEFORE, NOW), AugmentSettings()
    random = np.random.default_rng(0)
    same = [mirrored_at_random(clip, flat_world.CAMERAS, on, random) is clip for _ in range(40)]
    assert 10 < sum(same) < 30


def test_flip_needs_a_symmetric_grid():
    grid = BevGrid(x_range_m=(0.0, 10.0), y_range_m=(-5.0, 8.0), resolution_m=1.0)
    with pytest.raises(InputError, match="symmetric grid"):
        check_flip(grid, AugmentSettings())
    check_flip(grid, AugmentSettings(flip=False))
