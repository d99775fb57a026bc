"""From streets to a road network: carriageways cut at their junctions, rounded kerbs, lanes and their connectors."""

import numpy as np
import shapely
from shapely import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from synthetic.curves import Curve, strip, turn
from synthetic.layout import Street
from synthetic.network import Connector, Lane, Road, RoadNetwork, polygons_of

KERB_RADIUS_M = 6.0


def build_network(streets: list[Street]) -> RoadNetwork:
    """Cuts the streets at their junctions, rounds the kerbs, and joins the lanes."""
    bodies = [_body(street.line, street) for street in streets]
    rounded = shapely.union_all(bodies).buffer(KERB_RADIUS_M, quad_segs=12).buffer(-KERB_RADIUS_M, quad_segs=12)
    roads = []
    for i, street in enumerate(streets):
        start = _trim(streets, i, street.start_node, at_start=True)
        end = _trim(streets, i, street.end_node, at_start=False) if street.end_node >= 0 else 0.0
        line = street.line.part(start, street.line.length_m - end)
        roads.append(Road(street, line, _body(line, street)))
    junctions = _junctions(roads, rounded)
    drivable = MultiPolygon(polygons_of(shapely.union_all([*[road.body for road in roads], *junctions.values()])))
    lanes = [lane for i, road in enumerate(roads) for lane in _lanes(i, road)]
    connectors = _connectors(roads, lanes)
    exits: dict[int, list[int]] = {}
    for k, connector in enumerate(connectors):
        exits.setdefault(connector.from_lane, []).append(k)
    return RoadNetwork(roads, junctions, lanes, connectors, drivable, _sidewalk(roads, junctions, drivable), exits)


def _body(line: Curve, street: Street, widen_m: float = 0.0) -> Polygon:
    section = street.section
    return Polygon(strip(line, section.kerb_right_m - widen_m, section.kerb_left_m + widen_m)).buffer(0)


def _trim(streets: list[Street], which: int, node: int, at_start: bool) -> float:
    """Distance along a street from its node at which its cross-section has left all other arms and their kerbs."""
    own = streets[which]
    line = own.line if at_start else own.line.reversed()
    left, right = own.section.kerb_left_m, own.section.kerb_right_m
    if not at_start:
        left, right = -right, -left
    others = []
    for k, street in enumerate(streets):
        if street.start_node == node and not (k == which and at_start):
            others.append(_body(street.line.part(0, 32), street))
        if street.end_node == node and not (k == which and not at_start):
            others.append(_body(street.line.part(street.line.length_m - 32, street.line.length_m), street))
    blocked = shapely.union_all(others).buffer(KERB_RADIUS_M * 0.8)
    for distance in np.arange(3.0, 31.0, 0.5):
        origin, _, normal = line.frame_at(float(distance))
        if not blocked.intersects(shapely.LineString([origin + right * normal, origin + left * normal])):
            return float(distance)
    return 31.0


def _junctions(roads: list[Road], rounded: BaseGeometry) -> dict[int, Polygon]:
    """The area of each junction; it overlaps its roads by a few centimetres, so that unions have no slivers."""
    rest = rounded.difference(shapely.union_all([road.body for road in roads]))
    pieces = [p for p in shapely.get_parts(rest) if p.area > 0.5]
    junctions = {}
    for node in sorted({r.street.start_node for r in roads} | {r.street.end_node for r in roads} - {-1}):
        ends = [r.street.line.points[0] for r in roads if r.street.start_node == node]
        ends += [r.street.line.points[-1] for r in roads if r.street.end_node == node]
        centre = shapely.Point(ends[0])
        nearest = min(pieces, key=centre.distance)
        grown = nearest.buffer(0.05, join_style="mitre").intersection(rounded)
        junctions[node] = max(shapely.get_parts(grown), key=lambda p: p.area)
    return junctions


def _lanes(index: int, road: Road) -> list[Lane]:
    section, width = road.street.section, road.street.section.lane_width_m
    lanes = [Lane(index, True, k, road.line.offset(-(k + 0.5) * width), width) for k in range(section.lanes_forward)]
    return lanes + [
        Lane(index, False, k, road.line.offset((k + 0.5) * width).reversed(), width)
        for k in range(section.lanes_backward)
    ]


def _connectors(roads: list[Road], lanes: list[Lane]) -> list[Connector]:
    """Right turns from and to the outer lane, left turns from and to the inner one, straight on from every lane."""

    def node_of(lane: Lane, end: bool) -> int:
        street = roads[lane.road].street
        return street.end_node if end == lane.forward else street.start_node

    connectors = []
    for a, source in enumerate(lanes):
        last_index = max(x.index for x in lanes if (x.road, x.forward) == (source.road, source.forward))
        junction = node_of(source, end=True)
        for b, target in enumerate(lanes):
            same_road = source.road == target.road and source.forward != target.forward
            if junction < 0 or node_of(target, end=False) != junction or same_road:
                continue
            last_target = max(x.index for x in lanes if (x.road, x.forward) == (target.road, target.forward))
            bend = _bend(source.path, target.path)
            if bend < -0.6:
                allowed = source.index == last_index and target.index == last_target
            elif bend > 0.6:
                allowed = source.index == 0 and target.index == 0
            else:
                allowed = target.index == min(source.index, last_target)
            if allowed:
                directions = source.path.tangents[-1], target.path.tangents[0]
                path = turn(source.path.points[-1], directions[0], target.path.points[0], directions[1])
                connectors.append(Connector(junction, a, b, path, min(source.width_m, target.width_m), bend))
    return connectors


def _bend(source: Curve, target: Curve) -> float:
    """Change of heading in radians, left positive."""
    (ax, ay), (bx, by) = source.tangents[-1], target.tangents[0]
    return float(np.arctan2(ax * by - ay * bx, ax * bx + ay * by))


def _sidewalk(roads: list[Road], junctions: dict[int, Polygon], drivable: MultiPolygon) -> MultiPolygon:
    """Ribbons along the kerbs of the streets that have one, joined around the corners of the junctions."""
    ribbons = [
        _body(road.line, road.street, widen_m=road.street.section.sidewalk_m)
        for road in roads
        if road.street.section.sidewalk_m > 0
    ]
    corners = [junction.buffer(2.2, quad_segs=8) for junction in junctions.values()]
    return MultiPolygon(polygons_of(shapely.union_all([*ribbons, *corners]).difference(drivable)))
