"""The vector map in the unmodified devkit."""

from pathlib import Path

import numpy as np
import pytest
import shapely
from nuscenes.map_expansion.map_api import NuScenesMap

from synthetic.contents import Semantic
from synthetic.files import write_json
from synthetic.map_expansion import map_expansion
from synthetic.network import sidewalk_pieces
from synthetic.town import Town

LOCATION = "singapore-onenorth"


@pytest.fixture(scope="module")
def town() -> Town:
    return Town(2, "a town", (220.0, 220.0), resolution_m=0.1)


@pytest.fixture(scope="module")
def devkit_map(town: Town, tmp_path_factory: pytest.TempPathFactory) -> NuScenesMap:
    root: Path = tmp_path_factory.mktemp("map")
    write_json(root / "maps" / "expansion" / f"{LOCATION}.json", map_expansion(LOCATION, [town], (440.0, 440.0)))
    return NuScenesMap(str(root), LOCATION)


def test_every_layer_is_there_and_refers_to_what_exists(devkit_map: NuScenesMap) -> None:
    for layer in devkit_map.layer_names:
        assert len(getattr(devkit_map, layer)) > 0, layer
    for lane in devkit_map.lane:
        for end in ("from_edge_line_token", "to_edge_line_token"):
            assert len(devkit_map.extract_line(lane[end]).coords) == 2
        assert lane["right_lane_divider_segment_nodes"] is not None
    for block in devkit_map.road_block:
        assert devkit_map.get("road_segment", block["road_segment_token"])["is_intersection"] is False
    for stop_line in devkit_map.stop_line:
        expected = {"STOP_SIGN": 0, "PED_CROSSING": 1, "TRAFFIC_LIGHT": 1}
        assert len(stop_line["cue"]) == expected[stop_line["stop_line_type"]]


def test_dividers_say_how_they_are_painted(devkit_map: NuScenesMap) -> None:
    types = {s["segment_type"] for d in devkit_map.lane_divider for s in d["lane_divider_segments"]}
    assert types == {"SINGLE_DASHED_WHITE", "SINGLE_SOLID_WHITE"}
    for divider in devkit_map.lane_divider:
        nodes = [segment["node_token"] for segment in divider["lane_divider_segments"]]
        assert nodes == devkit_map.get("line", divider["line_token"])["node_tokens"]


def test_road_segments_and_lanes_join_without_slivers(devkit_map: NuScenesMap, town: Town) -> None:
    areas = [devkit_map.extract_polygon(r["polygon_token"]) for r in [*devkit_map.road_segment, *devkit_map.lane]]
    assert all(area.is_valid for area in areas)
    union = shapely.union_all(areas)
    assert union.symmetric_difference(town.network.drivable).area < 0.002 * town.network.drivable.area
    holes = [shapely.Polygon(ring) for part in shapely.get_parts(union) for ring in part.interiors]
    assert holes
    assert min(hole.area for hole in holes) > 100  # blocks of houses, no seams


def test_lanes_lead_on_along_their_centre_lines(devkit_map: NuScenesMap) -> None:
    for connector in devkit_map.lane_connector:
        token = connector["token"]
        (source,), (target,) = devkit_map.get_incoming_lane_ids(token), devkit_map.get_outgoing_lane_ids(token)
        assert token in devkit_map.get_outgoing_lane_ids(source)
        assert token in devkit_map.get_incoming_lane_ids(target)
        path = devkit_map.get_arcline_path(token)
        np.testing.assert_allclose(devkit_map.get_arcline_path(source)[-1]["end_pose"][:2], path[0]["start_pose"][:2])
    lane = devkit_map.lane[0]
    points = np.array(devkit_map.discretize_lanes([lane["token"]], 0.5)[lane["token"]])
    polygon = devkit_map.extract_polygon(lane["polygon_token"])
    inside = shapely.contains_xy(polygon.buffer(0.1), points[:, 0], points[:, 1])
    assert inside.mean() > 0.98
    x, y = points[len(points) // 2, :2]
    assert devkit_map.get_closest_lane(x, y) == lane["token"]


def test_masks_agree_with_the_ground_raster(devkit_map: NuScenesMap, town: Town) -> None:
    junction = next(iter(town.network.junctions.values())).centroid
    cells = 600  # of 0.1 m: OpenCV also fills the cells on an outline
    layers = ["drivable_area", "ped_crossing", "walkway"]
    masks = devkit_map.get_map_mask((junction.x, junction.y, 60.0, 60.0), 0.0, layers, (cells, cells))
    offsets = (np.arange(cells) + 0.5) / cells * 60 - 30
    x, y = np.meshgrid(junction.x + offsets, junction.y + offsets)
    index = ((np.stack([x, y], axis=-1) - town.ground.origin_m) / town.ground.resolution_m).astype(int)
    semantic = town.ground.semantic[index[..., 0], index[..., 1]]
    for mask, truth in ((masks[0], semantic >= Semantic.ROAD), (masks[2], semantic == Semantic.SIDEWALK)):
        intersection, union = np.sum((mask > 0) & truth), np.sum((mask > 0) | truth)
        assert intersection / union > 0.9
    assert np.mean(masks[1][semantic == Semantic.CROSSING] > 0) > 0.95


def test_geometry_of_a_patch(devkit_map: NuScenesMap) -> None:
    lanes = dict(devkit_map.get_map_geom((220.0, 220.0, 300.0, 300.0), 30.0, ["lane", "road_divider", "lane_divider"]))
    assert all(len(geometries) > 0 for geometries in lanes.values())


@pytest.mark.parametrize("seed", [3, 27, 53])
def test_sidewalks_of_a_town_with_near_coincident_edges_are_cut(seed: int) -> None:
    """These towns once ended in a TopologyException: exact cuts leave edges that the next cut cannot order."""
    network = Town(seed, "teacher-town-20", (500.0, 500.0)).network
    pieces = sidewalk_pieces(network)
    assert shapely.union_all(pieces).area == pytest.approx(network.sidewalk.area, rel=1e-3)
    assert sum(piece.area for piece in pieces) == pytest.approx(network.sidewalk.area, rel=1e-3)
