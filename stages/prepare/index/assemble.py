"""From keyframes to the index's arrays, and the checks that need whole scenes."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from scene.frames import FrameIndex
from scene.sweep import LIDAR
from scene.transform import Matrix, rigid, rotation_from_quaternion
from stages.prepare.index.problems import Problems
from stages.prepare.index.read import DataSet, Keyframe
from stages.prepare.index.tables import Row

Scene = tuple[Row, list[Keyframe]]


def scenes_in_order(data: DataSet) -> list[Scene]:
    """Scenes by name, each with its keyframes by time."""
    frames: dict[str, list[Keyframe]] = {token: [] for token in data.scenes}
    for keyframe in data.keyframes.values():
        frames[keyframe.row["scene_token"]].append(keyframe)
    for keyframes in frames.values():
        keyframes.sort(key=lambda k: (k.row["timestamp"], k.token))
    return sorted(((row, frames[token]) for token, row in data.scenes.items()), key=lambda scene: scene[0]["name"])


def check_scenes(data: DataSet, scenes: Sequence[Scene], problems: Problems) -> None:
    """Reports scenes whose keyframes are not one whole chain, and references that lead nowhere."""
    for scene, keyframes in scenes:
        tokens = [k.token for k in keyframes]
        if scene["log_token"] not in data.logs:
            target = ("log", scene["log_token"])
            problems.dangling("scene", scene["token"], "log_token", target, tokens)
        if "sample" not in problems.unreadable_tables:
            _check_ends(scene, keyframes, problems)
            _check_chain(keyframes, problems)
        for keyframe in keyframes:
            _check_references(keyframe, data, problems)


def _check_ends(scene: Row, keyframes: Sequence[Keyframe], problems: Problems) -> None:
    token = scene["token"]
    if scene["nbr_samples"] != len(keyframes):
        problems.report("scene", token, f"has {len(keyframes)} samples, but nbr_samples says {scene['nbr_samples']}")
    if keyframes:
        for column, keyframe in (("first_sample_token", keyframes[0]), ("last_sample_token", keyframes[-1])):
            if scene[column] != keyframe.token:
                problems.report("scene", token, f"{column} {scene[column]!r} is not its {column.split('_')[0]} sample")


def _check_chain(keyframes: Sequence[Keyframe], problems: Problems) -> None:
    """In a sound scene, prev and next are the neighbours in time, and the ends have none."""
    order = ["", *(k.token for k in keyframes), ""]
    for keyframe, before, after in zip(keyframes, order, order[2:], strict=False):
        for column, neighbour in (("prev", before), ("next", after)):
            link = keyframe.row[column]
            if link != neighbour and not problems.has("sample", link):
                expected = repr(neighbour) if neighbour else "nothing"
                reason = f"{column} is {link!r}, but in time {expected} is next to it"
                problems.report("sample", keyframe.token, reason, (keyframe.token,))
    for one, other in pairwise(keyframes):
        if one.row["timestamp"] == other.row["timestamp"]:
            problems.report("sample", other.token, f"has the same time as {one.token!r}", (other.token,))


def _check_references(keyframe: Keyframe, data: DataSet, problems: Problems) -> None:
    frames = (keyframe.token,)
    for reading in keyframe.readings.values():
        for column, rows in (("ego_pose", data.poses), ("calibrated_sensor", data.calibrations)):
            target = reading[f"{column}_token"]
            if target not in rows or problems.has(column, target):
                problems.dangling("sample_data", reading["token"], f"{column}_token", (column, target), frames)


def build_index(
    data: DataSet,
    scenes: Sequence[Scene],
    splits: Mapping[str, str],
    cameras: Sequence[str],
    skipped: set[str],
    file_bytes: Mapping[str, int],
) -> FrameIndex:
    """The index of all keyframes that are not skipped.

    Args:
        splits: split by scene name.
        cameras: channels in the order of the camera axis.
        skipped: sample tokens to leave out; the chain is cut there: the next keyframe has no `previous`.
        file_bytes: sizes of the images and sweeps that are on disk, by name.
    """
    kept = [(s, [k for k in keyframes if k.token not in skipped]) for s, keyframes in scenes]
    kept = [(s, keyframes) for s, keyframes in kept if keyframes]
    frames = [k for _, keyframes in kept for k in keyframes]
    row_of = {k.token: row for row, k in enumerate(frames)}
    lidar = [k.readings[LIDAR] for k in frames]
    images = [[k.readings[c] for c in cameras] for k in frames]
    names = [[reading["filename"] for reading in row] for row in images]
    scene_rows = [s for s, _ in kept]
    return FrameIndex(
        camera_names=np.array(cameras, dtype=np.str_),
        scene_token=np.array([s["token"] for s in scene_rows], dtype=np.str_),
        scene_name=np.array([s["name"] for s in scene_rows], dtype=np.str_),
        scene_location=np.array([data.logs[s["log_token"]]["location"] for s in scene_rows], dtype=np.str_),
        scene_split=np.array([splits[s["name"]] for s in scene_rows], dtype=np.str_),
        frame_token=np.array([k.token for k in frames], dtype=np.str_),
        frame_scene=np.repeat(np.arange(len(kept), dtype=np.int32), [len(keyframes) for _, keyframes in kept]),
        frame_timestamp_us=np.array([k.row["timestamp"] for k in frames], dtype=np.int64),
        previous=np.array([row_of.get(k.row["prev"], -1) for k in frames], dtype=np.int32),
        global_from_ego=_poses(data.poses, [r["ego_pose_token"] for r in lidar]),
        lidar_file=np.array([r["filename"] if r["filename"] in file_bytes else "" for r in lidar], dtype=np.str_),
        ego_from_lidar=_poses(data.calibrations, [r["calibrated_sensor_token"] for r in lidar]),
        camera_file=np.array(names, dtype=np.str_),
        camera_bytes=np.array([[file_bytes[name] for name in row] for row in names], dtype=np.int64),
        camera_timestamp_us=np.array([[r["timestamp"] for r in row] for row in images], dtype=np.int64),
        camera_valid=np.ones((len(frames), len(cameras)), dtype=np.bool_),
        global_from_ego_at_camera=_grid(_poses(data.poses, _column(images, "ego_pose_token")), len(cameras)),
        ego_from_camera=_grid(_poses(data.calibrations, _column(images, "calibrated_sensor_token")), len(cameras)),
        image_from_camera=_grid(
            _intrinsics(data.calibrations, _column(images, "calibrated_sensor_token")), len(cameras)
        ),
        image_wh_px=np.array([[(r["width"], r["height"]) for r in row] for row in images], dtype=np.int32),
    )


def _column(readings: Sequence[Sequence[Row]], name: str) -> list[str]:
    return [reading[name] for row in readings for reading in row]


def _poses(rows: Mapping[str, Row], tokens: Sequence[str]) -> Matrix:
    """Transforms (N, 4, 4) to the parent frame; quaternions are normalised as the devkit does."""
    quaternions = np.array([rows[t]["rotation"] for t in tokens], dtype=np.float64)
    translations = np.array([rows[t]["translation"] for t in tokens], dtype=np.float64)
    return rigid(
        rotation_from_quaternion(quaternions / np.linalg.norm(quaternions, axis=-1, keepdims=True)), translations
    )


def _intrinsics(rows: Mapping[str, Row], tokens: Sequence[str]) -> Matrix:
    return np.array([rows[t]["camera_intrinsic"] for t in tokens], dtype=np.float64)


def _grid(flat: Matrix, num_cameras: int) -> NDArray[np.float64]:
    """(F * C, ...) as (F, C, ...)."""
    return flat.reshape(-1, num_cameras, *flat.shape[1:])
