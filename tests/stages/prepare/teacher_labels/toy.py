"""A data set of a few noisy pictures, a tiny teacher, and the stage run on them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cache.keys import KeySpec
from cache.store import Artifact, Store
from scene.frames import FrameIndex
from stages.prepare.teacher_labels import STAGE, TeacherLabelsSettings
from stages.prepare.teacher_labels.fingerprint import fingerprint
from stages.stage import Runtime, StageRun
from tests.models.teachers.tiny import NAMES, tiny_mask2former

CAMERAS = ("CAM_FRONT", "CAM_BACK")
NUM_FRAMES = 5
IMAGE_HW = (48, 96)
LABEL_HW = (30, 62)
INVALID = (3, 1)
"""Frame and camera whose image is missing."""

SCHEMA = {
    "name": "toy",
    "classes": [{"name": "background"}, {"name": "road", "layers": ["drivable_area"]}, {"name": "divider"}],
}
SETTINGS: dict[str, Any] = {
    "teacher": {
        "source": "set by the recipe",
        "map": {
            "teacher": "tiny",
            "num_classes": len(NAMES),
            "ids": {"background": [0], "road": [1, 2], "divider": [3], "ignore": [4]},
            "dilate_px": 1,
        },
        "image_hw_px": [64, 128],
    },
    "label_schema": SCHEMA,
    "label_hw_px": list(LABEL_HW),
    "frames_per_shard": 2,
}


def write_dataset(root: Path) -> FrameIndex:
    """Images of smooth noise (a network sees structure in it) and the index of them; poses mean nothing."""
    frames, cameras = NUM_FRAMES, len(CAMERAS)
    files = np.array([[f"samples/{camera}/{f}.png" for camera in CAMERAS] for f in range(frames)])
    valid = np.ones((frames, cameras), np.bool_)
    valid[INVALID] = False
    rng = np.random.default_rng(5)
    for file in files.ravel():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (6, 12, 3)).astype(np.uint8))
        coarse.resize((IMAGE_HW[1], IMAGE_HW[0]), Image.Resampling.BICUBIC).save(root / file)
    eye = np.eye(4)
    return FrameIndex(
        camera_names=np.array(CAMERAS),
        scene_token=np.array(["scene-token"]),
        scene_name=np.array(["scene-1"]),
        scene_location=np.array(["somewhere"]),
        scene_split=np.array(["train"]),
        frame_token=np.array([f"token-{f}" for f in range(frames)]),
        frame_scene=np.zeros(frames, np.int32),
        frame_timestamp_us=np.arange(frames, dtype=np.int64),
        previous=np.arange(-1, frames - 1, dtype=np.int32),
        global_from_ego=np.tile(eye, (frames, 1, 1)),
        lidar_file=np.array([""] * frames),
        ego_from_lidar=np.tile(eye, (frames, 1, 1)),
        camera_file=np.where(valid, files, ""),
        camera_bytes=np.ones((frames, cameras), np.int64),
        camera_timestamp_us=np.zeros((frames, cameras), np.int64),
        camera_valid=valid,
        global_from_ego_at_camera=np.tile(eye, (frames, cameras, 1, 1)),
        ego_from_camera=np.tile(eye, (frames, cameras, 1, 1)),
        image_from_camera=np.tile(np.eye(3), (frames, cameras, 1, 1)),
        image_wh_px=np.tile(np.array([IMAGE_HW[1], IMAGE_HW[0]], np.int32), (frames, cameras, 1)),
    )


def prepared(root: Path) -> tuple[Path, Path]:
    """Folders of the data set and of the teacher beside the cache at `root`, made at the first call."""
    beside = root.parent / f"{root.name}-inputs"
    data, teacher = beside / "data", beside / "teacher"
    if not teacher.exists():
        write_dataset(data).save(data / "index.npz")
        tiny_mask2former(teacher)
    return data, teacher


def stage_settings(teacher: Path, **changes: Any) -> TeacherLabelsSettings:
    """The toy's settings with some changed."""
    whole = {**SETTINGS, **changes}
    return TeacherLabelsSettings.parse({**whole, "teacher": {**whole["teacher"], "source": str(teacher)}})


def recipe(
    root: Path, runtime: Mapping[str, Any] | None = None, inputs: tuple[Path, Path] | None = None, **changes: Any
) -> tuple[Artifact, bool]:
    """Builds the stage's artifact in the cache at `root`."""
    data, teacher = inputs or prepared(root)
    settings = stage_settings(teacher, **changes)
    store = Store(root)

    def index_files(build: Any) -> None:
        (build.path / "index.npz").write_bytes((data / "index.npz").read_bytes())

    index, _ = store.get_or_build(KeySpec("index", 1, {}, {}, {}), {}, index_files)
    spec = KeySpec(
        "teacher_labels",
        STAGE.version,
        settings.canonical(),
        {"index": index.output_digest},
        fingerprint(settings, data),
    )
    how = Runtime(**{"num_workers": 1, "device": "cpu", "progress": False, **(runtime or {})})
    return store.get_or_build(
        spec,
        {"index": index.key},
        lambda build: STAGE.run(StageRun(settings, {"index": index}, build, how, data)),
    )
