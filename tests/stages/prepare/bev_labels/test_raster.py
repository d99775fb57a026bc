import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from scene.grid import BevGrid
from stages.prepare.bev_labels.raster import AreaRaster, cut, fill, polygons_of

GRID = BevGrid(x_range_m=(-6, 6), y_range_m=(-4, 4), resolution_m=0.25)


def blob(seed, num_corners, radius_m):
    """A star-shaped polygon with a hole."""
    rng = np.random.default_rng(seed)
    angle = np.linspace(0, 2 * np.pi, num_corners, endpoint=False)
    radius = radius_m * rng.uniform(0.5, 1.0, num_corners)
    outline = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return shapely.Polygon(outline, [outline[::-1] * 0.3]).buffer(0)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 300), st.floats(-np.pi, np.pi), st.floats(-20, 20), st.floats(-20, 20))
def test_exactly_the_cells_whose_centre_is_inside(seed, num_corners, heading, x, y):
    area = blob(seed, num_corners, 30.0)
    cos, sin = np.cos(heading), np.sin(heading)
    ego_from_global = np.array([[cos, sin, x], [-sin, cos, y], [0, 0, 1]])
    mask = AreaRaster(area).mask(GRID, ego_from_global)
    in_ego = shapely.affinity.affine_transform(area, [cos, sin, -sin, cos, x, y])
    shapely.prepare(in_ego)
    expected = shapely.contains_xy(in_ego, *np.moveaxis(GRID.centres(), -1, 0))
    # A centre that lies on an edge to within rounding may fall on either side.
    on_edge = shapely.distance(in_ego.boundary, shapely.points(GRID.centres())) < 1e-9
    assert ((mask == expected) | on_edge).all()


def test_cutting_gives_small_pieces_of_the_same_area():
    area = blob(1, 600, 100.0)
    pieces = cut(area)
    sizes = [shapely.get_num_coordinates(piece) for piece in pieces]
    assert max(sizes) < shapely.get_num_coordinates(area) / 2
    assert np.isclose(sum(p.area for p in pieces), area.area)
    outside = shapely.difference(pieces, area)
    assert shapely.area(outside).sum() < 1e-6 * area.area


def test_cuts_leave_no_seams():
    area = shapely.box(-50, -50, 50, 50).segmentize(0.5)
    assert len(cut(area)) > 1
    for heading in (0.0, 0.3, np.pi / 2):
        cos, sin = np.cos(heading), np.sin(heading)
        assert AreaRaster(area).mask(GRID, np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1.0]])).all()


def test_an_empty_area_covers_nothing():
    assert not AreaRaster(shapely.Polygon()).mask(GRID, np.eye(3)).any()
    assert not fill(np.zeros((0, 2, 2)), (3, 4)).any()


def test_lines_in_a_union_have_no_area():
    mixed = shapely.GeometryCollection([shapely.box(0, 0, 1, 1), shapely.LineString([(0, 0), (5, 5)])])
    assert polygons_of(mixed) == [shapely.box(0, 0, 1, 1)]
    nested = shapely.GeometryCollection([shapely.MultiPolygon([shapely.box(0, 0, 1, 1), shapely.box(2, 0, 3, 1)])])
    assert len(polygons_of(nested)) == 2
