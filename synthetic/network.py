"""A road network: roads between junctions, lanes, and the connectors by which traffic passes from lane to lane.

Traffic keeps to the right everywhere.
"""

from dataclasses import dataclass, field

import shapely
from shapely import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from synthetic.curves import Curve, Points, strip
from synthetic.layout import Street


@dataclass(frozen=True, eq=False)
class Approach:
    """One end of a carriageway at a junction, seen by traffic that drives towards it.

    Attributes:
        forward: whether that traffic drives in the direction of the road's line.
        curve: the reference line directed *towards* the junction; it ends at the junction's edge.
        lanes: lanes that lead to the junction, 0 next to the reference line.
        lane_width_m, drive_left_m, kerb_right_m, kerb_left_m: offsets as seen in that direction.
    """

    road: int
    junction: int
    forward: bool
    curve: Curve
    lanes: int
    lane_width_m: float
    drive_left_m: float
    kerb_right_m: float
    kerb_left_m: float


@dataclass(frozen=True, eq=False)
class Road:
    """A street between the edges of its junctions.

    Attributes:
        line: trimmed reference line.
        body: carriageway with parking lanes.
    """

    street: Street
    line: Curve
    body: Polygon


@dataclass(frozen=True, eq=False)
class Lane:
    """A driving lane. `path` is its centre line in the direction of travel; `index` counts from the reference line."""

    road: int
    forward: bool
    index: int
    path: Curve
    width_m: float


@dataclass(frozen=True, eq=False)
class Connector:
    """How traffic passes through a junction from one lane to another; `bend_rad` is positive to the left."""

    junction: int
    from_lane: int
    to_lane: int
    path: Curve
    width_m: float
    bend_rad: float


@dataclass(frozen=True, eq=False)
class RoadNetwork:
    """All that vehicles can drive on in one town."""

    roads: list[Road]
    junctions: dict[int, Polygon]
    lanes: list[Lane]
    connectors: list[Connector]
    drivable: MultiPolygon
    sidewalk: MultiPolygon
    _exits: dict[int, list[int]] = field(default_factory=dict)

    def exits(self, lane: int) -> list[int]:
        """Connectors that start at the end of a lane."""
        return self._exits.get(lane, [])

    def approaches(self) -> list[Approach]:
        """Every end of a road that meets a junction."""
        found = []
        for i, road in enumerate(self.roads):
            if road.street.end_node >= 0:
                found.append(approach_of(road, i, road.street.end_node, forward=True))
            found.append(approach_of(road, i, road.street.start_node, forward=False))
        return found


def approach_of(road: Road, index: int, junction: int, forward: bool) -> Approach:
    """One direction of a road as its drivers see it."""
    s = road.street.section
    if forward:
        offsets = (s.drive_left_m, s.kerb_right_m, s.kerb_left_m)
        return Approach(index, junction, True, road.line, s.lanes_forward, s.lane_width_m, *offsets)
    offsets = (-s.drive_right_m, -s.kerb_left_m, -s.kerb_right_m)
    return Approach(index, junction, False, road.line.reversed(), s.lanes_backward, s.lane_width_m, *offsets)


GRID_M = 1e-3
"""Cuts snap to millimetres: exact ones leave near-coincident edges, on which the next cut may fail."""


def sidewalk_pieces(network: RoadNetwork) -> list[Polygon]:
    """The sidewalks cut at the ends of the roads, so that none goes around a block.

    Real maps cut them too, and the devkit's masks lose what lies inside the hole of a polygon that is drawn later.
    """
    pieces: list[Polygon] = []
    rest: BaseGeometry = network.sidewalk
    for road in network.roads:
        section = road.street.section
        for inner, outer in (
            (section.kerb_left_m, section.kerb_left_m + section.sidewalk_m),
            (section.kerb_right_m, section.kerb_right_m - section.sidewalk_m),
        ):
            if section.sidewalk_m > 0:
                ribbon = Polygon(strip(road.line, inner, outer)).buffer(0)
                pieces += polygons_of(shapely.intersection(rest, ribbon, grid_size=GRID_M))
                rest = MultiPolygon(polygons_of(shapely.difference(rest, ribbon, grid_size=GRID_M), min_area_m2=0))
    return pieces + polygons_of(rest)


def polygons_of(geometry: BaseGeometry, min_area_m2: float = 1.0) -> list[Polygon]:
    """Its polygons, without what is too small to matter."""
    return [part for part in shapely.get_parts(geometry) if isinstance(part, Polygon) and part.area > min_area_m2]


def lane_polygon(lane: Lane | Connector) -> Points:
    """Exterior (M, 2) of the lane's area, a little narrower than the lane.

    A lane on the kerb would otherwise share a border with its road, and rounded coordinates would leave seams in
    their union, which label recipes take for road boundaries.
    """
    half = lane.width_m / 2 - 0.04
    return strip(lane.path, -half, half)


def parking_rows(network: RoadNetwork) -> list[tuple[int, Curve, float]]:
    """Road, centre line and width of every parking lane."""
    rows = []
    for i, road in enumerate(network.roads):
        section = road.street.section
        if section.parking_right:
            offset = section.kerb_right_m + section.parking_width_m / 2
            rows.append((i, road.line.offset(offset), section.parking_width_m))
        if section.parking_left:
            offset = section.kerb_left_m - section.parking_width_m / 2
            rows.append((i, road.line.offset(offset).reversed(), section.parking_width_m))
    return rows
