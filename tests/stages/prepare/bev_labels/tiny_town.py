"""A town of few shapes, given in the ego frame of the tiny data set's first keyframes, as a map expansion."""

import json
from pathlib import Path

import numpy as np

from tests.stages.prepare.tiny_data_set import HEADING, START, TOWN

DEVKIT_LAYERS = [
    *("polygon", "line", "node", "drivable_area", "road_segment", "road_block", "lane", "ped_crossing", "walkway"),
    *("stop_line", "carpark_area", "road_divider", "lane_divider", "traffic_light", "lane_connector"),
]

ROAD = [(-60, -5), (40, -5), (40, 7), (-60, 7)]
ISLAND = [(20, 0), (26, 0), (26, 3), (20, 3)]
CROSSING = [(10, -5), (14, -5), (14, 7), (10, 7)]
STOP = [(-12, -5), (-10, -5), (-10, 1), (-12, 1)]
LEFT_AHEAD = [(5, 9), (12, 9), (12, 14)]
LANE_DIVIDER = [(-50, -2), (-10, -2), (0, -2), (9, -2)]
KINDS = ["DOUBLE_DASHED_WHITE", "SINGLE_SOLID_WHITE", "NIL", "NIL"]
ROAD_DIVIDER = [(-50, 1), (9, 1)]


class Town:
    """Tables of a map expansion."""

    def __init__(self) -> None:
        self.tables: dict[str, object] = {layer: [] for layer in DEVKIT_LAYERS}
        self.tables |= {"version": "1.3", "canvas_edge": [2000.0, 2000.0], "arcline_path_3": {}, "connectivity": {}}

    def nodes(self, points) -> list[str]:
        cos, sin = np.cos(HEADING), np.sin(HEADING)
        tokens = []
        for x, y in points:
            token = f"node-{len(self.tables['node'])}"
            place = START + np.array([cos * x - sin * y, sin * x + cos * y])
            self.tables["node"].append({"token": token, "x": float(place[0]), "y": float(place[1])})
            tokens.append(token)
        return tokens

    def polygon(self, points, holes=()) -> str:
        token = f"polygon-{len(self.tables['polygon'])}"
        rings = [{"node_tokens": self.nodes(hole)} for hole in holes]
        record = {"token": token, "exterior_node_tokens": self.nodes(points), "holes": rings}
        self.tables["polygon"].append(record)
        return token

    def line(self, points) -> str:
        token = f"line-{len(self.tables['line'])}"
        self.tables["line"].append({"token": token, "node_tokens": self.nodes(points)})
        return token

    def add(self, layer, **fields) -> None:
        self.tables[layer].append({"token": f"{layer}-{len(self.tables[layer])}", **fields})


def tiny_town() -> dict[str, object]:
    town = Town()
    town.add("drivable_area", polygon_tokens=[town.polygon(ROAD, [ISLAND]), town.polygon(LEFT_AHEAD)])
    town.add("road_segment", polygon_token=town.polygon([(-60, -5), (0, -5), (0, 7), (-60, 7)]))
    town.add("lane", polygon_token=town.polygon([(0, -5), (40, -5), (40, 7), (0, 7)]))
    for lane in town.tables["lane"]:
        lane |= {"left_lane_divider_segments": [], "right_lane_divider_segments": []}
    town.add("ped_crossing", polygon_token=town.polygon(CROSSING))
    town.add("stop_line", polygon_token=town.polygon(STOP), stop_line_type="YIELD")
    divider = town.line(LANE_DIVIDER)
    nodes = town.tables["line"][-1]["node_tokens"]
    segments = [{"node_token": node, "segment_type": kind} for node, kind in zip(nodes, KINDS, strict=True)]
    town.add("lane_divider", line_token=divider, lane_divider_segments=segments)
    town.add("lane_divider", line_token=town.line([]), lane_divider_segments=[])
    town.add("road_divider", line_token=town.line(ROAD_DIVIDER), road_segment_token="")
    return town.tables


def write_town(data_root: Path, name: str = TOWN) -> Path:
    file = data_root / "maps" / "expansion" / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(tiny_town()))
    return file
