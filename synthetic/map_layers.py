"""Growing the tables of a nuScenes map expansion: nodes, lines, polygons, and records that refer to them."""

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
import shapely
from shapely import Polygon

from synthetic.curves import Curve, Points
from synthetic.seeds import token_of

Record = dict[str, Any]

LAYERS = (
    "polygon",
    "line",
    "node",
    "drivable_area",
    "road_segment",
    "road_block",
    "lane",
    "lane_connector",
    "ped_crossing",
    "walkway",
    "stop_line",
    "carpark_area",
    "road_divider",
    "lane_divider",
    "traffic_light",
)
SIMPLIFY_M = 0.02


class MapTables:
    """The layers of one location under construction. Tokens are made from the names that the callers give."""

    def __init__(self, location: str) -> None:
        self.location = location
        self.layers: dict[str, list[Record]] = {layer: [] for layer in LAYERS}
        self.connectivity: dict[str, Record] = {}
        self.arcline_paths: dict[str, list[Record]] = {}

    def token(self, *names: object) -> str:
        """A token within this location."""
        return token_of("map", self.location, *names)

    def add(self, layer: str, token: str, **fields: Any) -> str:
        """Appends a record and returns its token."""
        self.layers[layer].append({"token": token, **fields})
        return token

    def add_nodes(self, points: Points, *names: object) -> list[str]:
        """A node for each of (N, 2) points, rounded to a tenth of a millimetre."""
        return [
            self.add("node", self.token("node", *names, i), x=round(float(x), 4), y=round(float(y), 4))
            for i, (x, y) in enumerate(points)
        ]

    def add_line(self, points: Points, *names: object) -> tuple[str, list[str]]:
        """A line through (N, 2) points; returns its token and those of its nodes."""
        nodes = self.add_nodes(points, "line", *names)
        return self.add("line", self.token("line", *names), node_tokens=nodes), nodes

    def add_polygon(self, polygon: Polygon, *names: object, exact: bool = False) -> str:
        """A polygon with its holes.

        Vertices that nobody would miss are left out, unless `exact`: neighbours that are simplified one by one no
        longer share their border.
        """
        if not exact:
            simple = polygon.simplify(SIMPLIFY_M)
            assert isinstance(simple, Polygon)
            polygon = simple
        exterior = self.add_nodes(np.array(polygon.exterior.coords)[:-1], "exterior", *names)
        holes = [
            {"node_tokens": self.add_nodes(np.array(ring.coords)[:-1], "hole", k, *names)}
            for k, ring in enumerate(polygon.interiors)
        ]
        return self.add("polygon", self.token("polygon", *names), exterior_node_tokens=exterior, holes=holes)

    def add_polygons(self, polygons: Iterable[Polygon], *names: object) -> list[str]:
        """Several polygons; returns their tokens."""
        return [self.add_polygon(polygon, k, *names) for k, polygon in enumerate(polygons)]

    def to_json(self, canvas_edge_m: tuple[float, float]) -> Record:
        """The document that `NuScenesMap` reads, format version 1.3."""
        return {
            "version": "1.3",
            **self.layers,
            "canvas_edge": list(canvas_edge_m),
            "connectivity": self.connectivity,
            "arcline_path_3": self.arcline_paths,
        }


def simplified(curve: Curve) -> Points:
    """(N, 2) vertices of the curve without those that lie within `SIMPLIFY_M` of the rest."""
    return np.array(shapely.LineString(curve.points).simplify(SIMPLIFY_M).coords)


def arcline_path(curve: Curve) -> list[Record]:
    """A lane's centre line in the form of `arcline_path_3`: arc, line, arc; ours are chains of straight pieces."""
    points = simplified(curve)
    records = []
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        heading = float(np.arctan2(y1 - y0, x1 - x0))
        records.append(
            {
                "start_pose": [float(x0), float(y0), heading],
                "end_pose": [float(x1), float(y1), heading],
                "shape": "LSR",
                "radius": 999.999,
                "segment_length": [0.0, float(np.hypot(x1 - x0, y1 - y0)), 0.0],
            }
        )
    return records
