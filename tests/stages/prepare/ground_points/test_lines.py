import numpy as np

from scene.labels import IGNORE, STRUCTURE
from stages.prepare.ground_points.lines import ThickLines, area_segments, border_segments, on_ground

BOUNDS = (np.array([-10.0, -5.0]), np.array([10.0, 5.0]))
INNER, OUTER = np.zeros(256, bool), np.zeros(256, bool)
INNER[1], OUTER[0] = True, True


def lengths(segments):
    return np.linalg.norm(segments[:, 0] - segments[:, 1], axis=-1)


def test_border_of_a_rectangle_is_closed_and_half_a_pixel_outside():
    image = np.zeros((8, 10), np.uint8)
    image[2:6, 3:7] = 1
    segments = border_segments(image, INNER, OUTER)
    ends = segments[lengths(segments) > 0].reshape(-1, 2)
    points, counts = np.unique(ends, axis=0, return_counts=True)
    assert (counts == 2).all(), "every point of the outline joins two segments"
    assert points.min(axis=0).tolist() == [2.5, 1.5]
    assert points.max(axis=0).tolist() == [6.5, 5.5]


def test_ignored_and_structure_pixels_make_no_border():
    image = np.full((6, 6), IGNORE, np.uint8)
    image[3:] = 1
    image[:3, 3:] = STRUCTURE
    assert len(border_segments(image, INNER, OUTER)) == 0


def test_area_segments_join_neighbours_only():
    mask = np.zeros((5, 5), bool)
    mask[1, 1:3] = mask[4, 4] = True
    segments = area_segments(mask)
    assert sorted(lengths(segments)) == [0, 0, 0, 1]


def test_segments_at_or_above_the_horizon_are_dropped():
    homography = np.array([[1.0, 0, 0], [0, 1.0, 0], [0, 1.0, -2.0]])
    segments = np.array([[[0, 3], [0, 4]], [[0, 2], [0, 3]], [[0, 0], [1, 0]]], np.float32)
    ground = on_ground(segments, homography)
    np.testing.assert_allclose(ground, [[[0, 3], [0, 2]]])
    assert len(on_ground(segments, np.full((3, 3), np.nan))) == 0


def test_lines_cover_half_their_thickness_on_each_side_without_holes():
    line = np.array([[[-8.0, -3.0], [8.0, 3.0]]])
    lines = ThickLines(line, BOUNDS, 0.75)
    direction = np.array([16.0, 6.0]) / np.hypot(16, 6)
    normal = np.array([-direction[1], direction[0]])
    along = np.linspace(-7, 7, 400)[:, None] * direction
    assert lines.cover(along + 0.2 * normal).all()
    assert lines.cover(along - 0.2 * normal).all()
    assert not lines.cover(along + 0.55 * normal).any()
    offsets = np.linspace(-1, 1, 201)
    share = np.mean([lines.cover(along + o * normal).mean() for o in offsets]) * 2
    assert abs(share - 0.75) < 0.06, "the mean thickness is that asked for"


def test_lines_off_the_grid_are_harmless():
    lines = ThickLines(np.array([[[1e7, 0], [1e7, 1]], [[10.2, -3], [10.2, 3]]]), BOUNDS, 0.75)
    assert lines.cover(np.array([[9.95, 0.5]])).all()
    assert not lines.cover(np.array([[0.0, 0.0]])).any()


def test_closing_fills_gaps_and_keeps_the_outline():
    stripes = [[[x, -2.0], [x, 2.0]] for x in (-3.0, -2.2, -1.4, 4.0)]
    closed = ThickLines(np.array(stripes), BOUNDS, 1.4, closes=True)
    inside = np.stack(np.meshgrid(np.linspace(-2.8, -1.6, 40), np.linspace(-1.2, 1.2, 20)), -1).reshape(-1, 2)
    assert closed.cover(inside).mean() > 0.98, "0.8 m between stripes is a gap"
    assert not closed.cover(inside - [1.6, 0]).any(), "the area does not grow"
    between = np.stack([np.linspace(-0.9, 3.5, 40), np.zeros(40)], -1)
    assert not closed.cover(between).any(), "5.4 m is no gap"
