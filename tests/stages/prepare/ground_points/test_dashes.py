from dataclasses import replace

import numpy as np
import pytest

from scene.ground import ground_points
from stages.prepare.ground_points.classify import classified_pixels
from stages.prepare.ground_points.dashes import dash_ends, joints
from tests.stages.prepare.ground_points.test_classify import ROAD, looking_down

CELL_M = 0.1


def painted(*dashes):
    """A view from straight above: ground points of 0.1 m pixels, and paint on straight dashes 0.2 m wide."""
    rows, columns = np.mgrid[0:200, 0:300]
    points_m = np.stack([columns, rows], axis=-1) * CELL_M
    paint = np.zeros(rows.shape, bool)
    for start, end in np.array(dashes, float):
        direction = (end - start) / np.linalg.norm(end - start)
        along = (points_m - start) @ direction
        across = (points_m - start) @ [-direction[1], direction[0]]
        paint |= (along >= 0) & (along <= np.linalg.norm(end - start)) & (np.abs(across) <= 0.1)
    return paint, points_m, np.full(paint.shape, CELL_M**2)


def joined(*dashes, reach_m=6.0):
    return joints(dash_ends(*painted(*dashes)), reach_m)


def test_a_dash_has_two_ends_that_point_outwards():
    ends = dash_ends(*painted([(5, 5), (8, 9)]))
    order = np.argsort(ends[:, 0, 0])
    np.testing.assert_allclose(ends[order][:, 0], [[5, 5], [8, 9]], atol=0.15)
    np.testing.assert_allclose(ends[order][:, 1], [[-0.6, -0.8], [0.6, 0.8]], atol=0.05)


def test_patches_without_a_direction_are_no_dashes():
    paint, points_m, area_m2 = painted([(5, 5), (5.2, 5)])
    paint[100:120, 100:120] = True
    assert len(dash_ends(paint, points_m, area_m2)) == 0
    assert len(dash_ends(np.zeros_like(paint), points_m, area_m2)) == 0
    assert joints(np.zeros((0, 2, 2)), 6.0).shape == (0, 2, 2)


def test_dashes_of_a_line_are_joined_across_gaps_within_reach():
    segments = joined([(2, 5), (5, 5)], [(9, 5.2), (12, 5.3)], [(20, 5), (23, 5)])
    found = {tuple(np.round(np.sort(s[:, 0]))) for s in segments}
    assert found == {(5, 9)}, "8 m are no gap"


@pytest.mark.parametrize(
    "other",
    [
        [(2, 8.5), (5, 8.5)],  # the next lane's, beside it
        [(6, 8.5), (9, 8.5)],  # and further on
        [(8, 3), (8, 7)],  # across
        [(4, 5.4), (7, 5.4)],  # a double line
    ],
)
def test_what_does_not_go_on_in_the_same_line_is_not_joined(other):
    assert len(joined([(2, 5), (5, 5)], other)) == 0


def test_a_dashed_divider_becomes_one_line():
    """A road with dashes of 2 m and gaps of 3 m along y = -0.3."""
    labels = looking_down()
    points_m, _ = ground_points(labels.ground_from_pixel, *labels.class_id.shape[1:])
    x, y = points_m[..., 0], points_m[..., 1]
    dash = (np.abs(y + 0.3) < 0.15) & (np.mod(x, 5) < 2)
    labels = replace(labels, class_id=np.where(dash, 2, 1).astype(np.uint8))
    shares = []
    for join in ({}, {"divider": 4.0}):
        settings = ROAD.model_copy(update={"max_row_m": 1.0, "widen": {"divider": 0.75}, "join_dashes": join})
        found = classified_pixels(labels, settings)
        x, y = found.points_m.T
        in_a_gap = (np.abs(y + 0.3) < 0.2) & (np.abs(np.mod(x, 5) - 3.5) < 1) & (np.abs(x) < 7)
        shares.append((found.class_id[in_a_gap] == 2).mean())
        assert not (found.class_id[np.abs(y + 0.3) > 0.7] == 2).any()
    assert shares == [0.0, 1.0]
