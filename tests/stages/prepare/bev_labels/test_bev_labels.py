import json

import numpy as np
import pytest
import shapely
from nuscenes.map_expansion.map_api import NuScenesMap

from cache.arrays import open_arrays
from scene.errors import InputError
from scene.frames import FrameIndex
from scene.grid import BevGrid
from scene.labels import MapLayer
from scene.transform import yaw_of
from stages.prepare.bev_labels import STAGE, BevLabelsSettings
from stages.prepare.bev_labels.expansion import MapExpansion
from stages.prepare.bev_labels.recipe import layer_areas
from tests.stages.prepare.bev_labels import tiny_town as town
from tests.stages.prepare.tiny_data_set import TOWN

SETTINGS = BevLabelsSettings()


@pytest.fixture
def frames(index):
    return FrameIndex.load(index.path / "index.npz")


@pytest.fixture
def labels(build, index, data_root):
    """labels(**changes) is a mask {layer: (F, X, Y) bool} of the tiny town."""
    town.write_town(data_root)

    def labels(**changes):
        artifact = build(STAGE, SETTINGS.model_copy(update=changes), index=index)
        layers = open_arrays(artifact.path / "bev.zarr")["layers"][:]
        assert layers.max() < 1 << len(MapLayer)
        return {layer: (layers >> layer) & 1 == 1 for layer in MapLayer}

    return labels


def inside(points, grid):
    return shapely.contains_xy(shapely.Polygon(points), *np.moveaxis(grid.centres(), -1, 0))


def near(points, grid, distance_m):
    return shapely.distance(shapely.LineString(points), shapely.points(grid.centres())) <= distance_m


def agreement(one, other):
    return (one & other).sum() / (one | other).sum()


def test_every_layer_is_where_the_map_has_it(labels):
    """In the first keyframe of a scene the ego frame is the frame that the town is given in (but for a millimetre)."""
    grid, strip = SETTINGS.grid, SETTINGS.line_thickness_m / 2
    found = {layer: masks[0] for layer, masks in labels().items()}
    crossing_edges = town.CROSSING[1:3], [town.CROSSING[3], town.CROSSING[0]]
    road = shapely.Polygon(town.ROAD)
    expected = {
        MapLayer.DRIVABLE_AREA: inside(town.ROAD, grid) & ~inside(town.ISLAND, grid) | inside(town.LEFT_AHEAD, grid),
        MapLayer.ROAD_DIVIDER: near(town.ROAD_DIVIDER, grid, strip),
        MapLayer.LANE_DIVIDER: near(town.LANE_DIVIDER, grid, strip),
        MapLayer.CROSSING_FILLED: inside(town.CROSSING, grid),
        MapLayer.CROSSING_OUTLINE: near(crossing_edges[0], grid, strip) | near(crossing_edges[1], grid, strip),
        MapLayer.BOUNDARY: near(road.exterior.coords, grid, strip),
        MapLayer.STOP_LINE: inside(town.STOP, grid),
        MapLayer.DIVIDER_DASHED: near(town.LANE_DIVIDER[:2], grid, strip),
        MapLayer.DIVIDER_SOLID: near(town.LANE_DIVIDER[1:3], grid, strip),
    }
    for layer in MapLayer:
        inner = (slice(2, -2), slice(2, -2)) if layer == MapLayer.BOUNDARY else ...
        assert agreement(found[layer][inner], expected[layer][inner]) > 0.985, layer.name


def test_a_spike_of_a_lane_leaves_the_boundary_as_it_is(data_root):
    """The repair of such a polygon is an area and a line, of which GEOS knows no boundary."""
    areas = []
    for spike in ([], [(60, 20), (40, 7)]):
        tables = town.Town()
        tables.add("lane", polygon_token=tables.polygon([(0, -5), (40, -5), (40, 7), *spike, (0, 7)]))
        file = town.write_town(data_root)
        file.write_text(
            json.dumps(
                {**town.tiny_town(), **{k: tables.tables[k] for k in ("lane", "polygon", "node")}}
                | {name: [] for name in ("road_segment", "drivable_area", "ped_crossing", "stop_line", "lane_divider")}
                | {"road_divider": [], "line": []}
            )
        )
        areas.append(layer_areas(MapExpansion(data_root, TOWN), 0.75)[MapLayer.BOUNDARY])
    assert areas[0].area > 50
    assert areas[0].symmetric_difference(areas[1]).area < 0.01


def test_ahead_is_larger_x_and_left_is_larger_y(labels):
    left_ahead = labels()[MapLayer.DRIVABLE_AREA][0] & (SETTINGS.grid.centres()[..., 1] > 8)
    centres = SETTINGS.grid.centres()[left_ahead]
    assert len(centres) > 0
    assert (centres > 0).all()


def test_labels_stay_on_the_ground_when_the_vehicle_moves(labels, frames):
    """The crossing lies 4 m nearer in every next keyframe."""
    x = SETTINGS.grid.centres()[..., 0]
    crossing = labels()[MapLayer.CROSSING_FILLED]
    nearest = [x[mask].min() for mask in crossing[:3]]
    assert np.diff(nearest) == pytest.approx([-4.0, -4.0], abs=0.31)


def test_the_drivable_area_is_the_devkits(labels, frames, data_root):
    """The devkit's mask at five times the resolution, at the cells' centres: its own raster paints outlines too."""
    devkit, (num_x, num_y) = NuScenesMap(str(data_root), TOWN), SETTINGS.grid.shape
    drivable = labels()[MapLayer.DRIVABLE_AREA]
    for f in range(frames.num_frames):
        x, y = frames.global_from_ego[f, :2, 3]
        heading_deg = float(np.degrees(yaw_of(frames.global_from_ego[f])))
        mask = devkit.get_map_mask((x, y, 30.0, 60.0), heading_deg, ["drivable_area"], (5 * num_y, 5 * num_x))[0]
        assert agreement(drivable[f], mask.T[2::5, 2::5].astype(bool)) > 0.995


@pytest.mark.parametrize("layer", [MapLayer.ROAD_DIVIDER, MapLayer.LANE_DIVIDER])
def test_lines_are_the_devkits(labels, frames, data_root, layer):
    devkit, centres = NuScenesMap(str(data_root), TOWN), shapely.points(SETTINGS.grid.centres())
    masks = labels()[layer]
    for f in range(frames.num_frames):
        x, y = frames.global_from_ego[f, :2, 3]
        heading_deg = float(np.degrees(yaw_of(frames.global_from_ego[f])))
        ((_, lines),) = devkit.get_map_geom((x, y, 32.0, 62.0), heading_deg, [layer.name.lower()])
        expected = shapely.distance(shapely.union_all(lines), centres) <= SETTINGS.line_thickness_m / 2
        assert agreement(masks[f], expected) > 0.99


def test_a_line_is_as_wide_as_asked_at_every_resolution(labels):
    for resolution_m in (0.15, 0.3, 0.5):
        divider = labels(grid=BevGrid(resolution_m=resolution_m))[MapLayer.ROAD_DIVIDER][0]
        assert divider[:10].sum(axis=1).mean() * resolution_m == pytest.approx(0.75, abs=resolution_m)
    wide = labels(line_thickness_m=3.0)[MapLayer.ROAD_DIVIDER][0]
    assert wide[:100].sum(axis=1).mean() * 0.15 == pytest.approx(3.0, abs=0.1)


def test_boundaries_keep_their_distance_from_the_edge(labels):
    boundary = labels(boundary_inset_m=1.0)[MapLayer.BOUNDARY][0]
    assert boundary.any()
    x = SETTINGS.grid.centres()[boundary][:, 0]
    assert x.min() == pytest.approx(-29.0, abs=0.15)


def test_statistics_say_how_much_is_covered(build, index, data_root):
    town.write_town(data_root)
    covered = build(STAGE, SETTINGS, index=index).manifest.statistics["covered_fraction"]
    assert covered["drivable_area"] == pytest.approx(12 / 30, abs=0.05)
    assert 0 < covered["stop_line"] < covered["crossing_filled"] < covered["drivable_area"]


def test_a_missing_expansion_says_what_to_get_and_where_to_put_it(build, index):
    with pytest.raises(InputError, match=f"no map expansion of {TOWN}") as error:
        build(STAGE, SETTINGS, index=index)
    assert "map expansion (v1.3" in str(error.value)
    assert f"maps/expansion/{TOWN}.json" in str(error.value)
    assert "\n" not in str(error.value)


def broken(change):
    def apply(tables):
        change(tables)
        return json.dumps(tables)

    return apply


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda tables: json.dumps(tables)[:-100], "malformed"),
        (lambda _: "[]", "malformed"),
        (broken(lambda tables: tables.pop("lane")), "malformed"),
        (broken(lambda tables: tables["node"].pop()), "malformed"),
        (broken(lambda tables: tables["polygon"].pop()), "malformed"),
        (broken(lambda tables: tables.update(version="1.0")), "of version 1.0"),
        (broken(lambda tables: [node.update(x=0.0) for node in tables["node"]]), "no keyframe lies on a drivable area"),
    ],
)
def test_an_expansion_that_cannot_be_used(build, index, data_root, write, message):
    town.write_town(data_root).write_text(write(town.tiny_town()))
    with pytest.raises(InputError, match=message) as error:
        build(STAGE, SETTINGS, index=index)
    assert "\n" not in str(error.value)


def test_the_map_joins_the_key(build, index, data_root):
    file = town.write_town(data_root)
    before = build(STAGE, SETTINGS, index=index)
    tables = town.tiny_town()
    tables["stop_line"] = []
    file.write_text(json.dumps(tables))
    after = build(STAGE, SETTINGS, index=index)
    assert after.key != before.key
    assert after.output_digest != before.output_digest
