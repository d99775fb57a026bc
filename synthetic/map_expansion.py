"""The vector map of a location in the nuScenes map expansion format, from the towns that lie on its canvas.

The devkit accepts four location names only, so these serve as canvases; the towns on them have nothing to do with the
cities of those names. Road geometry follows the conventions of the real files: dividers are continuous lines whose
segments carry a type, crossings are filled areas, the road is cut into road segments, blocks and lanes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from shapely import Polygon

from synthetic.curves import strip
from synthetic.map_layers import MapTables, arcline_path, simplified
from synthetic.markings import Divider
from synthetic.network import Road, lane_polygon, parking_rows, sidewalk_pieces
from synthetic.town import Town


def map_expansion(location: str, towns: Sequence[Town], canvas_edge_m: tuple[float, float]) -> dict[str, Any]:
    """The content of maps/expansion/<location>.json."""
    tables = MapTables(location)
    for town in towns:
        _TownWriter(tables, town).write()
    return tables.to_json(canvas_edge_m)


class _TownWriter:
    """Adds one town to the tables; its methods run in the order in which records refer to each other."""

    def __init__(self, tables: MapTables, town: Town) -> None:
        self.tables, self.town, self.name = tables, town, town.name
        self.segments: dict[int, str] = {}
        self.blocks: dict[tuple[int, bool], str] = {}
        self.divider_nodes: dict[tuple[int, str, bool, int], list[dict[str, str]]] = {}
        self.crossings: list[str] = []

    def write(self) -> None:
        self._areas()
        self._road_segments()
        self._dividers()
        self._lanes()
        self._crossings()
        self._stop_lines()

    def _token(self, *names: object) -> str:
        return self.tables.token(self.name, *names)

    def _areas(self) -> None:
        network, tables = self.town.network, self.tables
        polygons = tables.add_polygons(network.drivable.geoms, self.name, "drivable")
        tables.add("drivable_area", self._token("drivable"), polygon_tokens=polygons)
        for k, polygon in enumerate(tables.add_polygons(sidewalk_pieces(network), self.name, "walkway")):
            tables.add("walkway", self._token("walkway", k), polygon_token=polygon)

    def _road_segments(self) -> None:
        network, tables = self.town.network, self.tables
        drivable = self._token("drivable")
        for node, junction in network.junctions.items():
            polygon = tables.add_polygon(junction, self.name, "junction", node, exact=True)
            fields = {"is_intersection": True, "drivable_area_token": drivable}
            tables.add("road_segment", self._token("junction", node), polygon_token=polygon, **fields)
        for i, road in enumerate(network.roads):
            polygon = tables.add_polygon(road.body, self.name, "road", i, exact=True)
            fields = {"is_intersection": False, "drivable_area_token": drivable}
            self.segments[i] = tables.add("road_segment", self._token("road", i), polygon_token=polygon, **fields)
            self._blocks(i, road)
        for k, (i, row, width) in enumerate(parking_rows(network)):
            area = Polygon(strip(row, -width / 2, width / 2)).buffer(0)
            polygon = tables.add_polygon(area, self.name, "carpark", k)
            heading = float(row.headings[len(row.headings) // 2])
            block = next(block for (road_index, _), block in self.blocks.items() if road_index == i)
            fields = {"orientation": heading, "road_block_token": block}
            tables.add("carpark_area", self._token("carpark", k), polygon_token=polygon, **fields)

    def _blocks(self, i: int, road: Road) -> None:
        """The lanes of one direction together."""
        section, tables = road.street.section, self.tables
        for forward, right, left in ((True, section.drive_right_m, 0.0), (False, 0.0, section.drive_left_m)):
            names = (self.name, "block", i, forward)
            polygon = tables.add_polygon(Polygon(strip(road.line, right, left)).buffer(0), *names)
            ends = [np.array([road.line.offset(side).points[k] for side in (right, left)]) for k in (0, -1)]
            first, last = ends if forward else ends[::-1]
            self.blocks[i, forward] = tables.add(
                "road_block",
                self._token("block", i, forward),
                polygon_token=polygon,
                from_edge_line_token=tables.add_line(first, *names, "from")[0],
                to_edge_line_token=tables.add_line(last, *names, "to")[0],
                road_segment_token=self.segments[i],
            )

    def _dividers(self) -> None:
        tables = self.tables
        for k, divider in enumerate(self.town.markings.dividers):
            line, nodes = tables.add_line(simplified(divider.curve), self.name, "divider", k)
            segments = [{"node_token": node, "segment_type": _segment_type(divider)} for node in nodes]
            key = (divider.road, divider.kind, divider.forward, divider.index)
            self.divider_nodes.setdefault(key, []).extend(segments)
            fields: dict[str, Any] = {"line_token": line}
            if divider.kind == "road":
                fields |= {"road_segment_token": self.segments[divider.road], "road_divider_segments": segments}
                tables.add("road_divider", self._token("divider", k), **fields)
            else:
                tables.add("lane_divider", self._token("divider", k), **fields, lane_divider_segments=segments)

    def _lanes(self) -> None:
        network, tables = self.town.network, self.tables
        for i, lane in enumerate(network.lanes):
            token = self._token("lane", i)
            half = lane.width_m / 2
            sides = [lane.path.offset(side).points for side in (half, -half)]
            inner_kind = "road" if lane.index == 0 else "lane"
            inner = (lane.road, inner_kind, lane.forward if inner_kind == "lane" else True, max(lane.index - 1, 0))
            outer = (lane.road, "lane", lane.forward, lane.index)
            tables.add(
                "lane",
                token,
                polygon_token=tables.add_polygon(Polygon(lane_polygon(lane)).buffer(0), self.name, "lane", i),
                lane_type="CAR",
                from_edge_line_token=tables.add_line(np.array([s[0] for s in sides]), self.name, "from", i)[0],
                to_edge_line_token=tables.add_line(np.array([s[-1] for s in sides]), self.name, "to", i)[0],
                left_lane_divider_segments=self._beside(inner, lane.forward),
                right_lane_divider_segments=self._beside(outer, lane.forward),
            )
            tables.arcline_paths[token] = arcline_path(lane.path)
            incoming = [self._token("connector", k) for k, c in enumerate(network.connectors) if c.to_lane == i]
            outgoing = [self._token("connector", k) for k in network.exits(i)]
            tables.connectivity[token] = {"incoming": incoming, "outgoing": outgoing}
        for k, connector in enumerate(network.connectors):
            area = Polygon(lane_polygon(connector)).buffer(0)
            token = self._token("connector", k)
            polygon = tables.add_polygon(area, self.name, "connector", k)
            tables.add("lane_connector", token, polygon_token=polygon)
            tables.arcline_paths[token] = arcline_path(connector.path)
            ends = (self._token("lane", connector.from_lane), self._token("lane", connector.to_lane))
            tables.connectivity[token] = {"incoming": [ends[0]], "outgoing": [ends[1]]}

    def _beside(self, key: tuple[int, str, bool, int], forward: bool) -> list[dict[str, str]]:
        """Divider segments beside a lane in its direction of travel (dividers are stored in that of the road)."""
        segments = self.divider_nodes.get(key, [])
        return segments if forward else segments[::-1]

    def _crossings(self) -> None:
        for k, crossing in enumerate(self.town.markings.crossings):
            polygon = self.tables.add_polygon(Polygon(crossing.corners), self.name, "crossing", k)
            fields = {"polygon_token": polygon, "road_segment_token": self.segments[crossing.road]}
            self.crossings.append(self.tables.add("ped_crossing", self._token("crossing", k), **fields))

    def _stop_lines(self) -> None:
        tables = self.tables
        approaches = self.town.network.approaches()
        for k, line in enumerate(self.town.markings.stop_lines):
            polygon = tables.add_polygon(Polygon(line.corners), self.name, "stop", k)
            lights, block = [], ""
            kind = "PED_CROSSING" if line.crossing >= 0 else "STOP_SIGN"
            if line.approach >= 0:
                approach = approaches[line.approach]
                block = self.blocks[line.road, approach.forward]
                if line.signalled:
                    kind = "TRAFFIC_LIGHT"
                    lights.append(self._traffic_light(k, line.approach, block))
            tables.add(
                "stop_line",
                self._token("stop", k),
                polygon_token=polygon,
                stop_line_type=kind,
                ped_crossing_tokens=[self.crossings[line.crossing]] if kind == "PED_CROSSING" else [],
                traffic_light_tokens=lights,
                road_block_token=block,
            )

    def _traffic_light(self, k: int, approach_index: int, block: str) -> str:
        """The signal on the right of the approach; its line points towards the traffic that it governs."""
        approach = self.town.network.approaches()[approach_index]
        origin, tangent, normal = approach.curve.frame_at(approach.curve.length_m - 0.3)
        place = origin + (approach.kerb_right_m - 0.7) * normal
        line, _ = self.tables.add_line(np.array([place, place - tangent]), self.name, "light", k)
        heading = float(np.arctan2(-tangent[1], -tangent[0]))
        colours = (("RED", 3.6), ("YELLOW", 3.3), ("GREEN", 3.0))
        items = [
            {
                "color": c,
                "shape": "CIRCLE",
                "rel_pos": {"tx": 0.0, "ty": 0.0, "tz": z - 3.0},
                "to_road_block_tokens": [],
            }
            for c, z in colours
        ]
        return self.tables.add(
            "traffic_light",
            self._token("light", k),
            line_token=line,
            traffic_light_type="VERTICAL",
            from_road_block_token=block,
            items=items,
            pose={"tx": float(place[0]), "ty": float(place[1]), "tz": 3.0, "rx": 0.0, "ry": 0.0, "rz": heading},
        )


def _segment_type(divider: Divider) -> str:
    if divider.kind == "road":
        return "DOUBLE_SOLID_WHITE" if divider.double else "SINGLE_SOLID_WHITE"
    return "SINGLE_DASHED_WHITE" if divider.dashed else "SINGLE_SOLID_WHITE"
