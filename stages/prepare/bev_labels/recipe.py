"""From the vector map to areas: what each `MapLayer` covers of a town's ground.

Lines become strips of the drawing width here, once per town, so that a label means the same at every resolution and
rasterising a frame is one kind of work. The recipe is HDMapNet's (docs/methods.md section 4), the kinds of dividers
are ours.
"""

from collections.abc import Sequence
from itertools import pairwise

import shapely
from shapely import LineString, Polygon
from shapely.geometry.base import BaseGeometry

from scene.labels import MapLayer
from stages.prepare.bev_labels.expansion import MapExpansion, valid


def layer_areas(town: MapExpansion, line_thickness_m: float) -> dict[MapLayer, BaseGeometry]:
    """The area that each layer covers: polygons that do not overlap, global frame, metres.

    Boundary: the outline of the union of road segments and lanes. Crossing outline: its polygons' two longest edges.
    Dividers of kind NIL, which are not painted, are lane dividers without being solid or dashed; zigzag lines count as
    solid (our choice). The kinds of road dividers are not in the map.
    """
    crossings = town.polygons("ped_crossing")
    road = shapely.union_all([*valid(town.polygons("road_segment")), *valid(town.polygons("lane"))])
    segments = list(town.divider_segments())
    solid = [line for kind, line in segments if "SOLID" in kind or "ZIGZAG" in kind]
    dashed = [line for kind, line in segments if "DASHED" in kind]

    def strips(lines: Sequence[BaseGeometry]) -> BaseGeometry:
        return shapely.union_all(shapely.buffer(lines, line_thickness_m / 2))

    return {
        MapLayer.DRIVABLE_AREA: shapely.union_all(valid(town.polygons("drivable_area"))),
        MapLayer.ROAD_DIVIDER: strips(town.lines("road_divider")),
        MapLayer.LANE_DIVIDER: strips(town.lines("lane_divider")),
        MapLayer.CROSSING_FILLED: shapely.union_all(valid(crossings)),
        MapLayer.CROSSING_OUTLINE: strips([edge for p in crossings for edge in longest_edges(p)]),
        MapLayer.BOUNDARY: strips([shapely.boundary(road)]),
        MapLayer.STOP_LINE: shapely.union_all(valid(town.polygons("stop_line"))),
        MapLayer.DIVIDER_SOLID: strips(solid),
        MapLayer.DIVIDER_DASHED: strips(dashed),
    }


def longest_edges(polygon: Polygon) -> list[LineString]:
    """The two longest edges of a polygon's outline."""
    corners = list(polygon.exterior.coords)
    edges = [LineString(pair) for pair in pairwise(corners)]
    return sorted(edges, key=lambda edge: edge.length, reverse=True)[:2]
