from dataclasses import replace

import numpy as np
import pytest

from models.objectives.frames import ImageLabels
from scene.camera import ground_from_pixel
from scene.grid import BevGrid
from scene.ground import ground_points
from scene.labels import IGNORE, STRUCTURE, BevClass, LabelSchema
from scene.transform import inverse, rigid, rotation_from_euler
from stages.prepare.ground_points.classify import classified_pixels, pixel_weights, row_length_m
from tests import flat_world

SETTINGS = flat_world.POINTS
ONE_CLASS = SETTINGS.model_copy(
    update={"label_schema": LabelSchema(name="one", classes=(BevClass(name="ground"), BevClass(name="other")))}
)


def test_points_have_the_class_of_the_ground_they_lie_on():
    ego = flat_world.pose(3, 1, 0.4)
    targets = classified_pixels(flat_world.image_labels(ego), SETTINGS)
    expected = flat_world.class_at(flat_world.to_global(targets.points_m, ego))
    assert (targets.class_id == expected).mean() > 0.999
    assert set(targets.class_id) == {0, 1, 2}
    assert (targets.weight > 0).all()


def looking_down(height_px=200, width_px=240):
    """Labels of a camera 20 m above the ground that looks straight down: small pixels, no cell missed."""
    k = np.array([[150.0, 0, width_px / 2], [0, 150.0, height_px / 2], [0, 0, 1]])
    pose = rigid(rotation_from_euler(np.pi, 0.1, 0.3), np.array([0.0, 0.0, 20.0]))
    homography = ground_from_pixel(k[None], inverse(pose)[None])
    shape = (1, height_px, width_px)
    return ImageLabels(np.zeros(shape, np.uint8), np.ones(shape, np.float32), homography)


def test_every_cell_counts_alike_however_many_pixels_it_has():
    grid = BevGrid(x_range_m=(-8.0, 8.0), y_range_m=(-6.0, 6.0), resolution_m=1.0)
    labels = looking_down()
    points_m, _ = ground_points(labels.ground_from_pixel, 200, 240)
    weight = pixel_weights(labels, points_m, ONE_CLASS.model_copy(update={"grid": grid}))
    cells = np.floor(grid.cell_from_ego(points_m.reshape(-1, 2)) + 0.5).astype(int)
    inside = ((cells >= 0) & (cells < grid.shape)).all(axis=1)
    per_cell, pixels = np.zeros(grid.shape), np.zeros(grid.shape)
    np.add.at(per_cell, tuple(cells[inside].T), weight.reshape(-1)[inside])
    np.add.at(pixels, tuple(cells[inside].T), 1)
    assert pixels.max() > 1.3 * pixels.min()
    np.testing.assert_allclose(per_cell, 1, atol=0.15)
    assert per_cell.mean() == pytest.approx(1, abs=0.01)


def test_a_pixel_never_counts_more_than_a_cell_and_coarse_rows_not_at_all():
    labels = flat_world.image_labels(np.eye(4))
    points_m, _ = ground_points(labels.ground_from_pixel, *flat_world.IMAGE_HW_PX)
    grid = BevGrid(x_range_m=(-30.0, 30.0), y_range_m=(-15.0, 15.0), resolution_m=0.15)
    settings = SETTINGS.model_copy(update={"grid": grid})
    weight = pixel_weights(labels, points_m, settings)
    assert weight.max() == 1
    near = pixel_weights(labels, points_m, settings.model_copy(update={"max_row_m": 1.0}))
    distance = np.linalg.norm(points_m, axis=-1)
    assert np.nanmax(distance[near > 0]) < 0.6 * np.nanmax(distance[weight > 0])
    flat = pixel_weights(labels, points_m, settings.model_copy(update={"area_balance": False}))
    assert set(np.unique(flat)) == {0, 1}


def test_structure_and_ignored_pixels_say_nothing():
    labels = looking_down()
    labels.class_id[:, :, :120] = IGNORE
    labels.class_id[:, :40] = STRUCTURE
    points_m, _ = ground_points(labels.ground_from_pixel, 200, 240)
    weight = pixel_weights(labels, points_m, ONE_CLASS)
    assert (weight[labels.class_id >= STRUCTURE] == 0).all()
    assert weight.sum() > 0


def test_confidence_scales_the_weight():
    labels = looking_down()
    half = replace(labels, confidence=np.full(labels.confidence.shape, 0.5, np.float32))
    points_m, _ = ground_points(labels.ground_from_pixel, 200, 240)
    whole, halved = (pixel_weights(x, points_m, ONE_CLASS) for x in (labels, half))
    np.testing.assert_allclose(halved, 0.5 * whole)
    strict = ONE_CLASS.model_copy(update={"min_confidence": 0.6})
    assert pixel_weights(half, points_m, strict).sum() == 0


ROAD_SCHEMA = LabelSchema(
    name="lines",
    classes=(
        BevClass(name="background"),
        BevClass(name="road"),
        BevClass(name="divider"),
        BevClass(name="boundary", edge_of=("road", "divider")),
    ),
)


ROAD = SETTINGS.model_copy(update={"label_schema": ROAD_SCHEMA})


def straight_road():
    """A road between y = -4 and y = 3 with a painted line at y = -0.3, seen by the rig."""
    labels = flat_world.image_labels(np.eye(4))
    points_m, below = ground_points(labels.ground_from_pixel, *flat_world.IMAGE_HW_PX)
    y = points_m[..., 1]
    classes = np.where((y > -4) & (y < 3), 1, 0)
    classes = np.where(np.abs(y + 0.3) < 0.075, 2, classes)
    return replace(labels, class_id=np.where(below, classes, STRUCTURE).astype(np.uint8))


def test_boundary_is_where_road_meets_other_ground_as_thick_as_on_the_map():
    settings = ROAD.model_copy(update={"max_row_m": 1.0})
    targets = classified_pixels(straight_road(), settings)
    x, y = targets.points_m.T
    near = np.abs(x) < 6
    offset = np.minimum(np.abs(y + 4), np.abs(y - 3))
    boundary = targets.class_id == 3
    # Pixels are up to 1 m long here, so the edge itself is known to half of that.
    assert boundary[near & (offset < 0.15)].mean() > 0.9
    assert not boundary[offset > 1.0].any()


def test_thin_paint_is_widened_to_the_thickness_of_the_map():
    settings = ROAD.model_copy(update={"max_row_m": 0.5, "widen": {"divider": 0.75}})
    targets = classified_pixels(straight_road(), settings)
    x, y = targets.points_m.T
    near = np.hypot(x, y) < 6
    divider = targets.class_id == 2
    assert divider[near & (np.abs(y + 0.3) < 0.2)].mean() > 0.95
    assert not divider[np.abs(y + 0.3) > 0.55].any()
    thin = settings.model_copy(update={"widen": {}})
    plain = classified_pixels(straight_road(), thin)
    assert (plain.class_id == 2).sum() < 0.5 * divider.sum()


@pytest.mark.filterwarnings("error")
def test_row_length_is_the_step_to_the_row_below():
    points = np.zeros((1, 3, 2, 2))
    points[0, :, :, 0] = np.array([9.0, 4.0, 2.0])[:, None]
    points[0, 0, 0] = np.nan
    length = row_length_m(points)
    np.testing.assert_allclose(length[0, :, 1], [5, 2, 2])
    assert np.isnan(length[0, 0, 0])
