import numpy as np

from models.objectives.points import GroundPoints
from models.objectives.reprojection.targets import draw_targets
from tests import flat_world


def test_points_have_the_class_of_the_ground_they_lie_on():
    ego = flat_world.pose(3, 1, 0.4)
    points = flat_world.points(flat_world.image_labels(ego))
    targets = draw_targets([(points, np.eye(3))], flat_world.GRID, 8000, np.random.default_rng(0))
    expected = flat_world.class_at(flat_world.to_global(targets.points_m.astype(float), ego))
    assert (targets.class_id == expected).mean() > 0.999
    assert set(targets.class_id) == {0, 1, 2}
    assert (targets.weight == 1).all()


def test_a_view_is_drawn_from_by_its_weight_inside_the_grid():
    here = GroundPoints(np.full((10, 2), 1.0, np.float32), np.zeros(10, np.uint8), 3.0)
    half_outside = np.repeat(np.float32([[2.0, 2.0], [99.0, 2.0]]), 10, axis=0)
    there = GroundPoints(half_outside, np.ones(20, np.uint8), 2.0)
    targets = draw_targets([(here, np.eye(3)), (there, np.eye(3))], flat_world.GRID, 400, np.random.default_rng(0))
    assert np.abs(np.bincount(targets.class_id) - [300, 100]).max() <= 1
    assert (np.abs(targets.points_m) <= 2).all()


def test_a_frame_without_ground_has_points_that_do_not_count():
    labels = flat_world.image_labels(np.eye(4))
    labels.class_id[:] = 253
    points = flat_world.points(labels)
    targets = draw_targets([(points, np.eye(3))], flat_world.GRID, 500, np.random.default_rng(0))
    assert points.weight == 0
    assert targets.points_m.shape == (500, 2)
    assert (targets.weight == 0).all()
    assert np.isfinite(targets.points_m).all()


def test_points_of_a_neighbour_show_what_lies_behind_the_edge_of_sight():
    """Two keyframes 5 m apart: the neighbour's points have the class of the ground where they lie now."""
    before, now = flat_world.pose(-5, 0.5, 0.1), flat_world.pose(0, 0, 0)
    settings = flat_world.POINTS.model_copy(update={"max_row_m": 0.4})
    views = []
    for ego in (now, before):
        view = flat_world.view(ego, now)
        views.append((flat_world.points(view.read(), settings), view.ground_from_view))
    alone, both = (draw_targets(v, flat_world.GRID, 4000, np.random.default_rng(0)) for v in (views[:1], views))
    expected = flat_world.class_at(flat_world.to_global(both.points_m.astype(float), now))
    assert (both.class_id == expected).mean() > 0.999
    assert both.points_m[:, 0].min() < alone.points_m[:, 0].min() - 4
