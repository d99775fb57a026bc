"""The relational tables of a nuScenes folder: records, tokens, and the chains between them."""

import datetime
from typing import Any

from scene.transform import Matrix, quaternion_from_rotation
from synthetic.contents import CAMERAS
from synthetic.rig import EGO_FROM_LIDAR, LIDAR, build_rig
from synthetic.seeds import token_of
from synthetic.settings import ScenePlan, TownPlan, WorldSettings
from synthetic.traffic import KINDS

Record = dict[str, Any]
Tables = dict[str, list[Record]]

VERSION = "v1.0-synthetic"
SCENE_TABLES = ("scene", "log", "sample", "sample_data", "ego_pose", "sample_annotation", "instance")
ATTRIBUTES = ("vehicle.moving", "vehicle.stopped", "vehicle.parked")
VISIBILITY = (("1", "v0-40"), ("2", "v40-60"), ("3", "v60-80"), ("4", "v80-100"))

MAP_FILES = {
    "singapore-onenorth": "maps/53992ee3023e5494b90c316c183be829.png",
    "singapore-hollandvillage": "maps/37819e65e09e5547b8a3ceaefba56bb2.png",
    "singapore-queenstown": "maps/93406b464a165eaba6d9de76ca09f5da.png",
    "boston-seaport": "maps/36092f0b03a857c6a3403e25b4b7aab3.png",
}
"""The names under which the devkit's `BitMap` looks for the drivable-area masks."""

_EPOCH = datetime.datetime(2025, 3, 1, 8, 0, 0, tzinfo=datetime.UTC)
_SCENE_SPACING_S = 120


def pose_fields(pose: Matrix) -> Record:
    """`rotation` (w, x, y, z) and `translation` of a (4, 4) transform."""
    return {
        "rotation": [float(q) for q in quaternion_from_rotation(pose[:3, :3])],
        "translation": [float(t) for t in pose[:3, 3]],
    }


def scene_start_us(scene: ScenePlan) -> int:
    """Time stamp at which a scene begins: a made-up date, the same for every world."""
    offset_days = {"train": 0, "val": 1, "teacher": 2}[scene.split]
    start = _EPOCH + datetime.timedelta(days=offset_days, seconds=scene.number * _SCENE_SPACING_S)
    return round(start.timestamp() * 1e6)


def log_record(settings: WorldSettings, scene: ScenePlan) -> Record:
    """The drive that a scene was cut from; every scene is its own drive."""
    day = datetime.datetime.fromtimestamp(scene_start_us(scene) / 1e6, datetime.UTC)
    return {
        "token": token_of(settings.seed, "log", scene.name),
        "logfile": f"synthetic-{scene.name}",
        "vehicle": "synthetic",
        "date_captured": day.strftime("%Y-%m-%d"),
        "location": scene.town.location,
    }


def category_token(name: str) -> str:
    """Token of a category, the same in every world."""
    return token_of("category", name)


def attribute_token(name: str) -> str:
    """Token of an attribute."""
    return token_of("attribute", name)


def calibration_token(channel: str) -> str:
    """Token of a sensor's calibration; one rig drives all scenes."""
    return token_of("calibrated_sensor", channel)


def shared_tables(settings: WorldSettings, towns: list[TownPlan], logs: list[Record]) -> Tables:
    """The tables that do not grow with the scenes, and the maps with the logs that they belong to."""
    cameras = build_rig(settings.image_wh_px)
    sensors = [*((c, "camera") for c in CAMERAS), (LIDAR, "lidar")]
    calibrations = [
        {
            "token": calibration_token(camera.channel),
            "sensor_token": token_of("sensor", camera.channel),
            **pose_fields(camera.ego_from_camera),
            "camera_intrinsic": camera.image_from_camera.tolist(),
        }
        for camera in cameras
    ]
    calibrations.append(
        {
            "token": calibration_token(LIDAR),
            "sensor_token": token_of("sensor", LIDAR),
            **pose_fields(EGO_FROM_LIDAR),
            "camera_intrinsic": [],
        }
    )
    return {
        "category": [{"token": category_token(n), "name": n, "description": ""} for n in KINDS],
        "attribute": [{"token": attribute_token(n), "name": n, "description": ""} for n in ATTRIBUTES],
        "visibility": [{"token": t, "level": level, "description": ""} for t, level in VISIBILITY],
        "sensor": [{"token": token_of("sensor", c), "channel": c, "modality": m} for c, m in sensors],
        "calibrated_sensor": calibrations,
        "map": [
            {
                "token": token_of(settings.seed, "map", location),
                "category": "semantic_prior",
                "filename": MAP_FILES[location],
                "log_tokens": [log["token"] for log in logs if log["location"] == location],
            }
            for location in sorted({town.location for town in towns})
        ],
    }


def chain(records: list[Record]) -> None:
    """Fills `prev` and `next` of records in time order."""
    for i, record in enumerate(records):
        record["prev"] = records[i - 1]["token"] if i else ""
        record["next"] = records[i + 1]["token"] if i + 1 < len(records) else ""
