"""What is painted on the roads of a town: dividers, crossings, stop lines, arrows.

Each marking is kept twice, as the map records it (a line, an area) and as it is painted (polygons of paint), because
a map draws a dashed divider as one line and a zebra crossing as one area. Dimensions are our choice of common practice.
"""

from dataclasses import dataclass, field

import numpy as np

from synthetic.arrows import arrow_polygon
from synthetic.contents import Semantic
from synthetic.curves import Curve, Points, quad, strip
from synthetic.network import Approach, Road, RoadNetwork, approach_of


@dataclass(frozen=True, eq=False)
class Divider:
    """A dividing line as the map records it.

    Attributes:
        road: index of its road.
        kind: "road" between opposite directions, "lane" between lanes of one direction.
        forward, index: for a lane divider, the lanes `index` and `index + 1` of that direction lie beside it.
        curve: its course, in the direction of the road's line.
        dashed, double: how it is painted.
    """

    road: int
    kind: str
    forward: bool
    index: int
    curve: Curve
    dashed: bool
    double: bool = False


@dataclass(frozen=True, eq=False)
class Crossing:
    """A pedestrian crossing on a road; `corners` (4, 2)."""

    road: int
    corners: Points


@dataclass(frozen=True, eq=False)
class StopLine:
    """A stop line.

    Attributes:
        approach: index of the approach to a junction that it ends, -1 in the middle of a road.
        corners: (4, 2).
        crossing: index of the crossing behind it, -1 where there is none.
        signalled: whether a traffic light governs it.
    """

    road: int
    approach: int
    corners: Points
    crossing: int
    signalled: bool


@dataclass(frozen=True, eq=False)
class Markings:
    """All markings of a town; `painted` are exterior rings (M, 2) with the class of their paint."""

    dividers: list[Divider] = field(default_factory=list)
    crossings: list[Crossing] = field(default_factory=list)
    stop_lines: list[StopLine] = field(default_factory=list)
    painted: list[tuple[Semantic, Points]] = field(default_factory=list)


def paint(rng: np.random.Generator, network: RoadNetwork) -> Markings:
    """Marks every road of a network."""
    markings = Markings()
    approaches = network.approaches()
    clear: dict[tuple[int, bool], float] = {}
    for i, approach in enumerate(approaches):
        signalled = _signalled(rng, approaches, i)
        clear[approach.road, approach.forward] = _paint_approach(rng, network, markings, approach, i, signalled)
    for r, road in enumerate(network.roads):
        start, end = clear.get((r, False), 0.0), clear.get((r, True), 0.0)
        gap = _paint_midblock(rng, markings, r, road) if rng.random() < 0.45 else None
        _paint_dividers(rng, markings, r, road, start, end, gap)
    return markings


def _signalled(rng: np.random.Generator, approaches: list[Approach], i: int) -> bool:
    """Junctions of four arms have signals more often than others; one draw for each approach keeps streams simple."""
    arms = sum(a.junction == approaches[i].junction for a in approaches)
    return bool(rng.random() < (0.8 if arms >= 4 else 0.45))


def _paint_approach(
    rng: np.random.Generator, network: RoadNetwork, markings: Markings, approach: Approach, index: int, signalled: bool
) -> float:
    """Crossing, stop line and arrows at one end of a road; returns the length that dividers must leave clear."""
    line, end = approach.curve, approach.curve.length_m
    clear = float(rng.uniform(0.3, 0.9))
    crossing = -1
    if rng.random() < 0.68 and end > 25:
        depth = float(rng.uniform(2.6, 4.2))
        crossing = len(markings.crossings)
        _paint_crossing(rng, markings, approach.road, line, end - clear - depth, end - clear, approach)
        clear += depth + float(rng.uniform(0.8, 1.4))
    if (crossing >= 0 or rng.random() < 0.75) and end > clear + 4:
        depth = float(rng.uniform(0.3, 0.5))
        right = -approach.lanes * approach.lane_width_m + 0.15
        corners = quad(line, end - clear - depth, end - clear, right, -0.12)
        markings.stop_lines.append(StopLine(approach.road, index, corners, crossing, signalled))
        markings.painted.append((Semantic.STOP_LINE, corners))
        clear += depth
    if rng.random() < (0.85 if approach.lanes > 1 else 0.4):
        _paint_arrows(rng, network, markings, approach, clear)
    return clear


def _paint_crossing(
    rng: np.random.Generator,
    markings: Markings,
    road: int,
    line: Curve,
    start_m: float,
    end_m: float,
    sides: Approach,
) -> None:
    right, left = sides.kerb_right_m, sides.kerb_left_m
    markings.crossings.append(Crossing(road, quad(line, start_m, end_m, right, left)))
    stripe, gap = float(rng.uniform(0.4, 0.6)), float(rng.uniform(0.4, 0.7))
    count = int((left - right - 0.3) // (stripe + gap))
    first = 0.5 * (right + left) - 0.5 * (count * (stripe + gap) - gap)
    for k in range(count):
        low = first + k * (stripe + gap)
        markings.painted.append((Semantic.CROSSING, quad(line, start_m, end_m, low, low + stripe)))


def _paint_arrows(
    rng: np.random.Generator, network: RoadNetwork, markings: Markings, approach: Approach, clear_m: float
) -> None:
    """An arrow per lane that shows where its connectors lead, repeated once where the road is long."""
    line = approach.curve
    distances = [clear_m + float(rng.uniform(4, 7))]
    if line.length_m > 60 and rng.random() < 0.5:
        distances.append(distances[0] + 18.0)
    scale = float(rng.uniform(0.85, 1.1))
    for lane_index in range(approach.lanes):
        lane = next(
            i
            for i, lane in enumerate(network.lanes)
            if (lane.road, lane.forward, lane.index) == (approach.road, approach.forward, lane_index)
        )
        bends = [network.connectors[k].bend_rad for k in network.exits(lane)]
        if not bends:
            continue
        shape = arrow_polygon(
            left=max(bends) > 0.6, straight=any(abs(b) <= 0.6 for b in bends), right=min(bends) < -0.6
        )
        for distance in distances:
            if line.length_m - distance < 12:
                continue
            origin, tangent, normal = line.frame_at(line.length_m - distance)
            origin = origin - (lane_index + 0.5) * approach.lane_width_m * normal
            for ring in shape:
                points = origin + scale * (ring[:, :1] * tangent + ring[:, 1:] * normal)
                markings.painted.append((Semantic.ARROW, points))


def _paint_midblock(rng: np.random.Generator, markings: Markings, index: int, road: Road) -> tuple[float, float] | None:
    """A crossing between junctions with its two stop lines; returns the part of the road that it takes."""
    length = road.line.length_m
    if length < 55 or road.street.end_node < 0:
        return None
    section = road.street.section
    middle, depth = float(rng.uniform(0.42, 0.58)) * length, float(rng.uniform(2.8, 4.0))
    sides = approach_of(road, index, -1, forward=True)
    start, end = middle - depth / 2, middle + depth / 2
    crossing = len(markings.crossings)
    _paint_crossing(rng, markings, index, road.line, start, end, sides)
    for low, high, right, left in (
        (start - 1.4, start - 1.0, section.drive_right_m + 0.15, -0.12),
        (end + 1.0, end + 1.4, 0.12, section.drive_left_m - 0.15),
    ):
        corners = quad(road.line, low, high, right, left)
        markings.stop_lines.append(StopLine(index, -1, corners, crossing, False))
        markings.painted.append((Semantic.STOP_LINE, corners))
    return start - 1.4, end + 1.4


def _paint_dividers(
    rng: np.random.Generator,
    markings: Markings,
    index: int,
    road: Road,
    start_m: float,
    end_m: float,
    gap: tuple[float, float] | None,
) -> None:
    """The line between the directions (single or double, solid) and those between lanes (dashed, solid at the ends)."""
    section, length = road.street.section, road.line.length_m
    spans = [(start_m, length - end_m)] if gap is None else [(start_m, gap[0]), (gap[1], length - end_m)]
    width = float(rng.uniform(0.13, 0.2))
    double = bool(rng.random() < 0.55)
    dash, space = float(rng.uniform(2.0, 3.2)), float(rng.uniform(2.4, 5.0))
    solid_m = float(rng.uniform(12, 22))
    for low, high in spans:
        if high - low < 4:
            continue
        line = road.line.part(low, high)
        markings.dividers.append(Divider(index, "road", True, 0, line, False, double))
        for offset in (-width, width) if double else (0.0,):
            _paint_line(markings, line.offset(offset), width)
        for forward, count in ((True, section.lanes_forward), (False, section.lanes_backward)):
            to_junction = (high == length - end_m and road.street.end_node >= 0) if forward else low == start_m
            for k in range(1, count):
                side = road.line.offset(-k * section.lane_width_m if forward else k * section.lane_width_m)
                scale = side.length_m / length
                curve = side.part(low * scale, high * scale)
                solid = min(solid_m, 0.4 * curve.length_m) if to_junction else 0.0
                cut = curve.length_m - solid if forward else solid
                parts = [(curve.part(0, cut), forward), (curve.part(cut, curve.length_m), not forward)]
                for piece, dashed in parts:
                    if piece.length_m < 1:
                        continue
                    markings.dividers.append(Divider(index, "lane", forward, k - 1, piece, dashed))
                    _paint_line(markings, piece, width, (dash, space) if dashed else None)


def _paint_line(markings: Markings, line: Curve, width_m: float, dashes: tuple[float, float] | None = None) -> None:
    dash, space = dashes or (6.0, 0.0)
    for start in np.arange(0.0, line.length_m - 0.3, dash + space):
        piece = line.part(float(start), float(min(start + dash, line.length_m)))
        markings.painted.append((Semantic.DIVIDER, strip(piece, -width_m / 2, width_m / 2)))
