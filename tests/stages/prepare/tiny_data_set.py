"""A nuScenes-format data set small enough to break in many ways: 2 scenes of 3 keyframes, 2 cameras, one town."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from cache.build import Build
from cache.keys import KeySpec
from cache.store import Artifact, Store
from scene.settings import Settings
from scene.transform import quaternion_from_rotation, rotation_from_euler
from stages.prepare.index import IndexSettings
from stages.stage import Runtime, Stage, StageRun, resolve

VERSION = "v1.0-tiny"
CAMERAS = {"CAM_FRONT": 0.0, "CAM_BACK": np.pi}
IMAGE_WH = (32, 18)
TOWN = "singapore-onenorth"
START = np.array([600.0, 1600.0])
HEADING = 0.7
STEP_M = 4.0
INDEX_SETTINGS = IndexSettings(version=VERSION, cameras=tuple(CAMERAS), split="all_train")
EMPTY_TABLES = ("attribute", "category", "instance", "sample_annotation", "visibility")


def rotation(roll: float, pitch: float, yaw: float) -> list[float]:
    return quaternion_from_rotation(rotation_from_euler(roll, pitch, yaw)).tolist()


def ego_pose(token: str, distance_m: float, time_us: int) -> dict[str, object]:
    x, y = START + distance_m * np.array([np.cos(HEADING), np.sin(HEADING)])
    return {
        "token": token,
        "timestamp": time_us,
        "rotation": rotation(0.01, -0.02, HEADING + 0.001 * distance_m),
        "translation": [float(x), float(y), 0.0],
    }


def tables() -> dict[str, list[dict[str, object]]]:
    out: dict[str, list[dict[str, object]]] = {name: [] for name in EMPTY_TABLES}
    out["log"] = [{"token": "log", "logfile": "", "vehicle": "", "date_captured": "", "location": TOWN}]
    out["map"] = [{"token": "map", "category": "", "filename": "maps/blank.png", "log_tokens": ["log"]}]
    out["sensor"], out["calibrated_sensor"] = [], []
    for name in (*CAMERAS, "LIDAR_TOP"):
        is_camera = name in CAMERAS
        modality = "camera" if is_camera else "lidar"
        out["sensor"].append({"token": f"sensor-{name}", "channel": name, "modality": modality})
        # x right, y down, z forward: a half-turn of a third about the diagonal, then the camera's heading.
        axes = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]) if is_camera else np.eye(3)
        turned = rotation_from_euler(0.0, 0.02, CAMERAS.get(name, -1.57)) @ axes
        out["calibrated_sensor"].append(
            {
                "token": f"cal-{name}",
                "sensor_token": f"sensor-{name}",
                "translation": [1.7 if name == "CAM_FRONT" else 0.0, 0.0, 1.5],
                "rotation": quaternion_from_rotation(turned).tolist(),
                "camera_intrinsic": [[25.0, 0, 15.8], [0, 25.0, 8.9], [0, 0, 1.0]] if is_camera else [],
            }
        )
    for column in ("scene", "sample", "sample_data", "ego_pose"):
        out[column] = []
    for s, scene in enumerate(("scene-0002", "scene-0001")):
        samples = [f"sample-{s}{i}" for i in range(3)]
        ends = {"nbr_samples": 3, "first_sample_token": samples[0], "last_sample_token": samples[-1]}
        out["scene"].append({"token": f"scene-{s}", "name": scene, "log_token": "log", "description": "", **ends})
        for i, sample in enumerate(samples):
            time_us = 1_500_000_000_000_000 + s * 10**8 + i * 500_000
            links = {"prev": samples[i - 1] if i else "", "next": samples[i + 1] if i < 2 else ""}
            out["sample"].append({"token": sample, "timestamp": time_us, "scene_token": f"scene-{s}", **links})
            for offset_us, name in enumerate((*CAMERAS, "LIDAR_TOP"), start=-2):
                token, is_camera = f"{name}-{s}{i}", name in CAMERAS
                out["ego_pose"].append(ego_pose(f"pose-{token}", i * STEP_M + 0.1 * offset_us, time_us + offset_us))
                out["sample_data"].append(
                    {
                        "token": token,
                        "sample_token": sample,
                        "ego_pose_token": f"pose-{token}",
                        "calibrated_sensor_token": f"cal-{name}",
                        "timestamp": time_us + offset_us * 10_000,
                        "fileformat": "jpg" if is_camera else "pcd",
                        "is_key_frame": True,
                        "width": IMAGE_WH[0] if is_camera else 0,
                        "height": IMAGE_WH[1] if is_camera else 0,
                        "filename": f"samples/{name}/{token}" + (".jpg" if is_camera else ".pcd.bin"),
                        "prev": f"{name}-{s}{i - 1}" if i else "",
                        "next": f"{name}-{s}{i + 1}" if i < 2 else "",
                    }
                )
    return out


def write_data_set(root: Path) -> None:
    """Equal bytes every time."""
    (root / VERSION).mkdir(parents=True, exist_ok=True)
    for name, rows in tables().items():
        (root / VERSION / f"{name}.json").write_text(json.dumps(rows, indent=0))
    for number, row in enumerate(tables()["sample_data"]):
        file = root / str(row["filename"])
        file.parent.mkdir(parents=True, exist_ok=True)
        if row["fileformat"] == "jpg":
            noise = np.random.default_rng(number).integers(0, 255, (*IMAGE_WH[::-1], 3), dtype=np.uint8)
            Image.fromarray(noise).save(file, quality=90)
        else:
            np.zeros((1, 5), np.float32).tofile(file)
    (root / "maps").mkdir(exist_ok=True)
    Image.new("L", (8, 8)).save(root / "maps" / "blank.png")


def run_stage(stage: Stage, settings: Settings, cache: Path, data_root: Path, **inputs: Artifact):
    """The stage's artifact in the cache, and whether it was there already."""
    external = resolve(stage.fingerprint)(settings, data_root) if stage.fingerprint else {}
    digests = {role: artifact.output_digest for role, artifact in inputs.items()}
    spec = KeySpec(stage.name, stage.version, settings.canonical(), digests, external)
    parents = {role: artifact.key for role, artifact in inputs.items()}

    def fill(work: Build):
        return stage.run(StageRun(settings, inputs, work, Runtime(progress=False), data_root))

    return Store(cache).get_or_build(spec, parents, fill)
