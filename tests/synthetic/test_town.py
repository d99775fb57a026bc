"""Towns: layouts that drive, markings that lie on the road, the same seed the same town."""

import numpy as np
import pytest
import shapely

from synthetic.contents import Semantic
from synthetic.layout import plan_streets
from synthetic.network import RoadNetwork
from synthetic.roads import build_network
from synthetic.seeds import generator
from synthetic.town import Town


@pytest.fixture(scope="module")
def town() -> Town:
    return Town(5, "a town", (220.0, 220.0), resolution_m=0.1)


def _network(seed: int) -> RoadNetwork:
    return build_network(plan_streets(generator(seed, "streets"), np.array([200.0, 200.0])))


def test_the_same_seed_gives_the_same_town_and_another_seed_another(town: Town) -> None:
    again = Town(5, "a town", (220.0, 220.0), resolution_m=0.1)
    assert again.ground.seed == town.ground.seed
    np.testing.assert_array_equal(again.ground.semantic, town.ground.semantic)
    assert [s.seed for s in again.solids] == [s.seed for s in town.solids]
    other = Town(6, "a town", (220.0, 220.0), resolution_m=0.1)
    overlap = other.network.drivable.intersection(town.network.drivable).area
    assert overlap < 0.6 * town.network.drivable.area


@pytest.mark.parametrize("seed", range(12))
def test_every_plan_makes_a_network_that_traffic_can_use(seed: int) -> None:
    network = _network(seed)
    assert len(network.junctions) >= 3
    assert network.drivable.is_valid
    assert all(road.body.is_valid and road.line.length_m > 15 for road in network.roads)
    assert network.drivable.area == pytest.approx(
        sum(road.body.area for road in network.roads) + sum(j.area for j in network.junctions.values()), rel=0.02
    )
    for i, lane in enumerate(network.lanes):
        street = network.roads[lane.road].street
        leads_out = lane.forward and street.end_node < 0
        assert bool(network.exits(i)) != leads_out


def test_connectors_join_lanes_without_a_kink() -> None:
    network = _network(3)
    for connector in network.connectors:
        source, target = network.lanes[connector.from_lane].path, network.lanes[connector.to_lane].path
        np.testing.assert_allclose(connector.path.points[0], source.points[-1], atol=1e-6)
        np.testing.assert_allclose(connector.path.points[-1], target.points[0], atol=1e-6)
        assert connector.path.tangents[0] @ source.tangents[-1] > 0.98
        assert connector.path.tangents[-1] @ target.tangents[0] > 0.98


def test_traffic_keeps_right() -> None:
    network = _network(4)
    for lane in network.lanes:
        line = network.roads[lane.road].line
        middle = lane.path.at(lane.path.length_m / 2)
        nearest = int(np.argmin(np.linalg.norm(line.points - middle, axis=1)))
        left = float((middle - line.points[nearest]) @ line.normals[nearest])
        assert (left < 0) == lane.forward


def test_paint_lies_on_the_road_and_the_raster_shows_it(town: Town) -> None:
    road = town.network.drivable.buffer(0.15)
    kinds = {semantic for semantic, _ in town.markings.painted}
    assert kinds == {Semantic.DIVIDER, Semantic.CROSSING, Semantic.STOP_LINE, Semantic.ARROW}
    for _, ring in town.markings.painted:
        paint = shapely.Polygon(ring).buffer(0)
        assert paint.difference(road).area < 0.05 * paint.area
    cell_m2 = town.ground.resolution_m**2
    for kind in kinds:
        painted = shapely.union_all([shapely.Polygon(r).buffer(0) for k, r in town.markings.painted if k == kind]).area
        shown = np.count_nonzero(town.ground.semantic == kind) * cell_m2
        assert shown == pytest.approx(painted, rel=0.25)


def test_raster_and_polygons_agree(town: Town) -> None:
    rng = np.random.default_rng(0)
    shape = np.array(town.ground.semantic.shape)
    cells = (rng.random((4000, 2)) * shape).astype(int)
    points = shapely.points((cells + 0.5) * town.ground.resolution_m + town.ground.origin_m)
    clear = shapely.distance(town.network.drivable.boundary, points) > 2 * town.ground.resolution_m
    on_road = town.ground.semantic[cells[:, 0], cells[:, 1]] >= Semantic.ROAD
    np.testing.assert_array_equal(on_road[clear], shapely.contains(town.network.drivable, points)[clear])


def test_no_terrain_shows_between_sidewalk_and_road(town: Town) -> None:
    paved = shapely.union(town.network.sidewalk, town.network.drivable).buffer(-2 * town.ground.resolution_m)
    x, y = np.nonzero(town.ground.semantic == Semantic.TERRAIN)
    x, y = ((index[::7] + 0.5) * town.ground.resolution_m for index in (x, y))
    shapely.prepare(paved)
    assert not shapely.contains_xy(paved, x + town.ground.origin_m[0], y + town.ground.origin_m[1]).any()


def test_nothing_stands_on_the_road(town: Town) -> None:
    assert {s.semantic for s in town.solids} == {Semantic.BUILDING, Semantic.VEGETATION, Semantic.POLE}
    assert [s.instance for s in town.solids] == list(range(1, len(town.solids) + 1))
    for solid in town.solids:
        if solid.semantic == Semantic.BUILDING:
            half = np.array(solid.size_m[:2]) / 2
            corners = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * half
            pose = solid.global_from_solid
            footprint = shapely.Polygon(corners @ pose[:2, :2].T + pose[:2, 3])
            assert not footprint.intersects(town.network.drivable)
        assert not town.network.drivable.contains(shapely.Point(solid.global_from_solid[:2, 3]))
