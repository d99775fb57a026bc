from dataclasses import replace

import numpy as np
import pytest

from scene.ground import ground_points
from scene.labels import IGNORE
from scene.transform import rigid, rotation_from_euler
from tests import flat_world
from trainer.geometric import image_changes, resized, resized_at_random, rotated, rotated_at_random
from trainer.settings import AugmentSettings

BEFORE, NOW = flat_world.pose(0, 0, 0.0), flat_world.pose(2.0, 0.5, 0.2)
ANGLE_RAD = 0.3
TURN = rigid(rotation_from_euler(0, 0, ANGLE_RAD), np.zeros(3))
GRID = flat_world.GRID
NUM_CAMERAS = len(flat_world.CAMERAS)


def changed(scale, angle_deg=0.0, place=(0.0, 0.0)):
    """The matrices that change every camera's images alike."""
    full = [np.full(NUM_CAMERAS, value) for value in (scale, angle_deg)]
    return image_changes(flat_world.IMAGE_HW_PX, *full, np.tile(place, (NUM_CAMERAS, 1)))


@pytest.fixture(scope="module")
def clip():
    return flat_world.clip(BEFORE, NOW)


def test_the_rotated_point_is_seen_at_the_same_pixel(clip):
    point = np.array([5.0, 2.0, 0.3, 1.0])
    after = rotated(clip, GRID, ANGLE_RAD).current.image_from_ego @ (TURN @ point)
    np.testing.assert_allclose(after, clip.current.image_from_ego @ point, atol=1e-9)


def test_rotated_labels_lie_on_the_rotated_ground(clip):
    turned = rotated(clip, GRID, ANGLE_RAD)
    (view,) = turned.views
    labels = view.read()
    points_m, below = ground_points(view.ground_from_view @ labels.ground_from_pixel, *flat_world.IMAGE_HW_PX)
    usable = below & (labels.class_id < 3)
    as_recorded = points_m[usable] @ TURN[:2, :2]
    expected = flat_world.class_at(flat_world.to_global(as_recorded, NOW))
    assert (labels.class_id[usable] == expected).mean() > 0.999


def test_the_rotated_bev_label_is_that_of_the_place_and_unknown_outside_the_recorded_grid(clip):
    as_recorded = GRID.centres() @ TURN[:2, :2]
    (x0, x1), (y0, y1) = GRID.x_range_m, GRID.y_range_m
    x, y = np.moveaxis(as_recorded, -1, 0)
    covered = (x >= x0) & (x < x1) & (y >= y0) & (y < y1)
    label = rotated(clip, GRID, ANGLE_RAD).bev_class
    assert 0.05 < (~covered).mean() < 0.5
    assert (label[~covered] == IGNORE).all()
    expected = flat_world.class_at(flat_world.to_global(as_recorded[covered], NOW))
    assert (label[covered] == expected).mean() > 0.95  # the nearest of cells of half a metre


def test_rotated_motion_moves_rotated_points(clip):
    before = np.array([3.0, 1.0, 0.0, 1.0])
    moved = rotated(clip, GRID, ANGLE_RAD).ego_from_previous[0] @ (TURN @ before)
    np.testing.assert_allclose(moved, TURN @ clip.ego_from_previous[0] @ before, atol=1e-12)


def test_seen_cells_rotate_and_are_unseen_where_there_was_no_grid(clip):
    ahead = GRID.centres()[..., 0] > 0
    marked = replace(clip, frames=tuple(replace(frame, seen=ahead) for frame in clip.frames))
    behind_now = rotated(marked, GRID, np.pi).frames[0].seen
    np.testing.assert_array_equal(behind_now, ~ahead)
    assert not rotated(clip, GRID, ANGLE_RAD).current.seen[0, 0]


@pytest.mark.parametrize("angle_rad", [np.pi, -np.pi / 2])
def test_there_and_back_is_the_original_where_nothing_left_the_grid(clip, angle_rad):
    back = rotated(rotated(clip, GRID, angle_rad), GRID, -angle_rad)
    kept = back.bev_class != IGNORE
    assert kept.mean() > 0.6
    np.testing.assert_array_equal(back.bev_class[kept], clip.bev_class[kept])
    np.testing.assert_allclose(back.current.image_from_ego, clip.current.image_from_ego, atol=1e-9)


@pytest.mark.parametrize(
    "changes",
    [changed(1.0), changed(1.3, 5.0, (0.8, -0.5)), changed(0.8, -5.0, (-1.0, 1.0))],
    ids=["as is", "in", "out"],
)
def test_a_place_has_its_colour_where_the_changed_camera_sees_it(clip, changes):
    frame = resized(clip, GRID, changes).current
    x, y = np.random.default_rng(0).uniform((-12, -8), (12, 8), (4000, 2)).T
    points = np.stack([x, y, 0 * x, 1 + 0 * x])
    right = looked = 0
    height, width = flat_world.IMAGE_HW_PX
    colours = flat_world.COLOURS[flat_world.class_at(flat_world.to_global(np.stack([x, y], -1), NOW))]
    for image, matrix in zip(frame.images, frame.image_from_ego, strict=True):
        u, v, depth = matrix @ points
        u, v = np.round(u / depth), np.round(v / depth)
        shown = (depth > 1) & (u >= 0) & (u < width) & (v >= 0) & (v < height)
        found = image[v[shown].astype(int), u[shown].astype(int)].astype(int)
        found_black = (found == 0).all(axis=-1)
        right += (np.abs(found - colours[shown]).max(axis=-1) < 60)[~found_black].sum()
        looked += (~found_black).sum()
    assert looked > 500
    assert right / looked > 0.9


def test_an_image_that_does_not_change_keeps_its_bytes(clip):
    same = resized(clip, GRID, changed(1.0))
    np.testing.assert_array_equal(same.current.images, clip.current.images)
    np.testing.assert_allclose(same.current.image_from_ego, clip.current.image_from_ego)


def test_what_was_cut_off_is_not_seen_any_more(clip):
    whole, cut = (resized(clip, GRID, changed(scale)).current.seen for scale in (0.99, 2.0))
    assert cut.sum() < 0.8 * whole.sum()
    assert not (cut & ~whole).any()


def test_changes_are_drawn_from_the_generator_and_alike_in_all_frames(clip):
    strong = AugmentSettings(bev_rotation_deg=20.0, image_scale=0.2, image_rotation_deg=5.0)

    def drawn(seed):
        random = np.random.default_rng(seed)
        return resized_at_random(rotated_at_random(clip, GRID, strong, random), GRID, strong, random)

    first, second, other = (drawn(seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.current.images, second.current.images)
    np.testing.assert_array_equal(first.bev_class, second.bev_class)
    assert (first.bev_class != other.bev_class).any()
    relative = [
        np.linalg.pinv(a.image_from_ego) @ b.image_from_ego for a, b in zip(first.frames, clip.frames, strict=True)
    ]
    np.testing.assert_allclose(relative[0], relative[1], atol=1e-6)


def test_off_changes_nothing_and_draws_nothing(clip):
    off = AugmentSettings()
    assert rotated_at_random(clip, GRID, off, None) is clip
    assert resized_at_random(clip, GRID, off, None) is clip
    assert set(off.canonical()) == {"flip", "photometric"}, "another key for what is trained as it was"
    assert "image_scale" in AugmentSettings(image_scale=0.1).canonical()
