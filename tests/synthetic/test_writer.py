"""A tiny world on disk: the unmodified devkit loads it, its tables link up, and its truth is true."""

import hashlib
import itertools
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import shapely
from nuscenes.map_expansion.map_api import NuScenesMap
from nuscenes.nuscenes import NuScenes
from nuscenes.utils.data_classes import LidarPointCloud
from PIL import Image
from pyquaternion import Quaternion

from scene.camera import ground_from_pixel, pixel_grid
from scene.transform import apply, inverse, rigid
from synthetic.contents import CAMERAS, Semantic
from synthetic.settings import SplitSettings, WorldSettings, plan_scenes, plan_towns
from synthetic.tables import VERSION
from synthetic.town import Town
from synthetic.writer import finish_world, write_map, write_scene

ONE = SplitSettings(num_towns=1, num_scenes=1)
SETTINGS = WorldSettings(
    seed=3, train=ONE, val=ONE, teacher=ONE, frames_per_scene=2, image_wh_px=(128, 64), ground_resolution_m=0.2
)


def digests(root: Path) -> dict[str, str]:
    files = sorted(p for p in root.rglob("*") if p.is_file())
    return {p.relative_to(root).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root: Path = tmp_path_factory.mktemp("world")
    for plan in plan_scenes(SETTINGS):
        write_scene(SETTINGS, plan, root)
    finish_world(SETTINGS, root)
    return root


@pytest.fixture(scope="module")
def nusc(world: Path) -> NuScenes:
    return NuScenes(VERSION, str(world), verbose=False)


def test_the_same_seed_gives_the_same_bytes_whatever_else_is_written(world: Path, tmp_path: Path) -> None:
    more = SETTINGS.model_copy(update={"train": SplitSettings(num_towns=1, num_scenes=3)})
    val = next(plan for plan in plan_scenes(more) if plan.split == "val")
    write_scene(more, val, tmp_path)
    again = digests(tmp_path)
    assert len(again) == 2 * 7 + 2
    before = digests(world)
    assert {name: before[name] for name in again} == again


def test_another_seed_gives_another_world(world: Path, tmp_path: Path) -> None:
    other = SETTINGS.model_copy(update={"seed": 4})
    write_map(other, "boston-seaport", tmp_path)
    expansion = "maps/expansion/boston-seaport.json"
    assert json.loads((tmp_path / expansion).read_text()) != json.loads((world / expansion).read_text())


def test_every_table_links(nusc: NuScenes, world: Path) -> None:
    assert len(nusc.scene) == 3
    assert len(nusc.sample) == 6
    for scene in nusc.scene:
        tokens, token = [], scene["first_sample_token"]
        while token:
            sample = nusc.get("sample", token)
            tokens.append(token)
            assert set(sample["data"]) == {*CAMERAS, "LIDAR_TOP"}
            token = sample["next"]
        assert len(tokens) == scene["nbr_samples"]
        assert tokens[-1] == scene["last_sample_token"]
        assert nusc.get("log", scene["log_token"])["map_token"]
    for record in nusc.sample_data:
        assert (world / record["filename"]).exists()
        pose = nusc.get("ego_pose", record["ego_pose_token"])
        assert pose["timestamp"] == record["timestamp"]
        assert np.linalg.norm(pose["rotation"]) == pytest.approx(1)
        assert pose["translation"][2] == 0
        if record["next"]:
            assert nusc.get("sample_data", record["next"])["prev"] == record["token"]
    for instance in nusc.instance:
        boxes, token = 0, instance["first_annotation_token"]
        while token:
            boxes, token = boxes + 1, nusc.get("sample_annotation", token)["next"]
        assert boxes == instance["nbr_annotations"]
        assert nusc.get("category", instance["category_token"])["name"].startswith("vehicle.")
    for annotation in nusc.sample_annotation:
        assert nusc.get("visibility", annotation["visibility_token"])
        assert all(nusc.get("attribute", t)["name"].startswith("vehicle.") for t in annotation["attribute_tokens"])


def test_splits_are_driven_in_different_towns(nusc: NuScenes, world: Path) -> None:
    splits = json.loads((world / "splits.json").read_text())
    assert sorted(itertools.chain(*splits.values())) == sorted(scene["name"] for scene in nusc.scene)
    location = {s["name"]: nusc.get("log", s["log_token"])["location"] for s in nusc.scene}
    used = [{location[name] for name in splits[split]} for split in ("train", "val", "teacher")]
    assert all(a.isdisjoint(b) for a, b in itertools.combinations(used, 2))
    default = plan_towns(WorldSettings())
    for a, b in itertools.combinations(default, 2):
        assert a.location != b.location or np.linalg.norm(np.subtract(a.centre_m, b.centre_m)) > 400
        assert a.split == b.split or a.location != b.location


def test_each_camera_has_its_own_time_and_pose(nusc: NuScenes) -> None:
    for sample in nusc.sample:
        records = [nusc.get("sample_data", sample["data"][channel]) for channel in CAMERAS]
        delays_ms = [(record["timestamp"] - sample["timestamp"]) / 1e3 for record in records]
        assert len(set(delays_ms)) == 6
        assert min(delays_ms) > -50
        assert max(delays_ms) < 5
        places = [tuple(nusc.get("ego_pose", r["ego_pose_token"])["translation"]) for r in records]
        assert len(set(places)) == 6


def test_the_recorded_pose_misses_the_jitter_and_nothing_else(nusc: NuScenes, world: Path) -> None:
    heights, angles_deg = [], []
    for scene in nusc.scene:
        truth = np.load(world / "truth" / f"{scene['name']}.npz")
        token = scene["first_sample_token"]
        for frame in range(SETTINGS.frames_per_scene):
            sample = nusc.get("sample", token)
            for c, channel in enumerate(CAMERAS):
                recorded = _pose(
                    nusc.get("ego_pose", nusc.get("sample_data", sample["data"][channel])["ego_pose_token"])
                )
                error = inverse(recorded) @ truth["global_from_ego"][frame, c]
                heights.append(error[2, 3])
                angles_deg.append(np.degrees(np.arccos((np.trace(error[:3, :3]) - 1) / 2)))
                assert np.abs(error[:2, 3]).max() < 1e-3
            token = sample["next"]
    assert 0.002 < np.std(heights) < 0.05
    assert 0.02 < np.mean(angles_deg) < 0.8


def _pose(record: dict[str, list[float]]) -> np.ndarray:
    return rigid(Quaternion(record["rotation"]).rotation_matrix, np.array(record["translation"]))


def test_truth_seen_through_the_true_pose_agrees_with_the_raster_and_the_map(nusc: NuScenes, world: Path) -> None:
    scene = nusc.scene[0]
    plan = next(p for p in plan_scenes(SETTINGS) if p.name == scene["name"])
    ground = Town(SETTINGS.seed, plan.town.name, plan.town.centre_m, SETTINGS.ground_resolution_m).ground
    devkit_map = NuScenesMap(str(world), plan.town.location)
    drivable = shapely.union_all([devkit_map.extract_polygon(t) for t in devkit_map.drivable_area[0]["polygon_tokens"]])
    truth = np.load(world / "truth" / f"{scene['name']}.npz")
    sample = nusc.get("sample", scene["first_sample_token"])
    agree, on_road = [], []
    for c, channel in enumerate(CAMERAS):
        record = nusc.get("sample_data", sample["data"][channel])
        calibration = nusc.get("calibrated_sensor", record["calibrated_sensor_token"])
        camera_from_global = inverse(truth["global_from_ego"][0, c] @ _pose(calibration))
        homography = ground_from_pixel(np.array(calibration["camera_intrinsic"]), camera_from_global)
        semantic = truth["semantic"][0, c]
        x, y, w = np.moveaxis(pixel_grid(*semantic.shape) @ homography.T, -1, 0)
        wanted = np.isin(semantic, (Semantic.TERRAIN, Semantic.SIDEWALK)) | (
            (semantic >= Semantic.ROAD) & (semantic != Semantic.VEHICLE)
        )
        wanted &= w > 1 / 40
        points = np.stack([x[wanted] / w[wanted], y[wanted] / w[wanted]], axis=-1)
        cells = ((points - ground.origin_m) / ground.resolution_m).astype(int)
        inside = np.all((cells >= 0) & (cells < ground.semantic.shape), axis=1)
        agree.append(semantic[wanted][inside] == ground.semantic[cells[inside, 0], cells[inside, 1]])
        road = semantic[wanted] >= Semantic.ROAD
        on_road.append(shapely.contains_xy(drivable, points[road, 0], points[road, 1]))
    assert np.concatenate(agree).mean() > 0.99
    assert np.concatenate(on_road).mean() > 0.98


def test_images_are_what_the_tables_say(nusc: NuScenes, world: Path) -> None:
    for record in nusc.sample_data:
        if record["fileformat"] == "jpg":
            with Image.open(world / record["filename"]) as image:
                assert image.size == (record["width"], record["height"]) == SETTINGS.image_wh_px
                assert np.asarray(image).std() > 8


def test_lidar_points_lie_on_the_ground_and_in_the_boxes(nusc: NuScenes) -> None:
    counted = 0
    for sample in nusc.sample:
        token = sample["data"]["LIDAR_TOP"]
        path, boxes, _ = nusc.get_sample_data(token)
        points = LidarPointCloud.from_file(path).points[:3].T
        assert len(points) > 3000
        record = nusc.get("sample_data", token)
        ego_from_lidar = _pose(nusc.get("calibrated_sensor", record["calibrated_sensor_token"]))
        heights = apply(ego_from_lidar, points[np.linalg.norm(points, axis=1) < 12].astype(float))[:, 2]
        assert np.mean(np.abs(heights) < 0.2) > 0.3
        assert heights.min() > -0.5
        for box in boxes:
            claimed = nusc.get("sample_annotation", box.token)["num_lidar_pts"]
            local = (points - box.center) @ box.orientation.rotation_matrix
            found = np.sum(np.all(np.abs(local) < box.wlh[[1, 0, 2]] / 2 + 0.15, axis=1))
            assert claimed <= found
            counted += claimed
    assert counted > 20


def test_the_drivable_mask_covers_the_road(nusc: NuScenes) -> None:
    for scene in nusc.scene:
        mask = nusc.get("map", nusc.get("log", scene["log_token"])["map_token"])["mask"]
        sample = nusc.get("sample", scene["first_sample_token"])
        pose = nusc.get("ego_pose", nusc.get("sample_data", sample["data"]["LIDAR_TOP"])["ego_pose_token"])
        x, y, _ = pose["translation"]
        assert mask.is_on_mask(x, y)[0]
        assert not mask.is_on_mask(2.0, 2.0)[0]


def test_masks_name_every_visible_vehicle(world: Path, nusc: NuScenes) -> None:
    vehicle_pixels = 0
    for scene in nusc.scene:
        truth = np.load(world / "truth" / f"{scene['name']}.npz")
        assert truth["semantic"].shape == truth["instance"].shape == (2, 6, 64, 128)
        solid = np.isin(truth["semantic"], (Semantic.BUILDING, Semantic.VEGETATION, Semantic.POLE, Semantic.VEHICLE))
        np.testing.assert_array_equal(truth["instance"] > 0, solid)
        vehicle_pixels += np.count_nonzero(truth["semantic"] == Semantic.VEHICLE)
    assert vehicle_pixels > 100


def test_jpegs_keep_full_chroma(world: Path) -> None:
    file = next((world / "samples" / "CAM_FRONT").iterdir())
    with Image.open(file) as image:
        assert all(layer[1:3] == (1, 1) for layer in image.layer)  # type: ignore[attr-defined]
    assert cv2.imread(str(file)).shape == (64, 128, 3)
