import numpy as np

from models.objectives.points import draw_systematically, grid_radius_m, in_metres, stored
from scene.grid import BevGrid


def test_systematic_drawing_is_proportional_to_within_one():
    weight = np.array([0, 0.5, 0, 2.5, 1.0, 0])
    drawn = draw_systematically(weight, 400, 0.3)
    counts = np.bincount(drawn, minlength=6)
    assert np.abs(counts - 100 * weight).max() <= 1
    assert counts[weight == 0].sum() == 0


def test_stored_points_are_right_to_a_millimetre_or_two():
    grid = BevGrid(x_range_m=(-30.0, 30.0), y_range_m=(-15.0, 15.0))
    points_m = np.random.default_rng(0).uniform(-30, 30, (1000, 2))
    points_m *= np.minimum(1, grid_radius_m(grid) / np.linalg.norm(points_m, axis=1, keepdims=True))
    read = in_metres(stored(points_m, grid), grid)
    assert np.abs(read - points_m).max() < 1e-3
