import json

import numpy as np
import pytest
from nuscenes import NuScenes
from pyquaternion import Quaternion

from scene.errors import InputError
from scene.frames import FrameIndex
from stages.prepare.index import STAGE, IndexSettings
from stages.prepare.index.fingerprint import fingerprint
from tests.stages.prepare.tiny_data_set import INDEX_SETTINGS, VERSION


def load(artifact) -> FrameIndex:
    return FrameIndex.load(artifact.path / "index.npz")


def transform(record):
    matrix = np.eye(4)
    matrix[:3, :3] = Quaternion(record["rotation"]).rotation_matrix
    matrix[:3, 3] = record["translation"]
    return matrix


def test_every_value_is_the_devkits(data_root, index):
    ours, devkit = load(index), NuScenes(VERSION, str(data_root), verbose=False)
    assert ours.camera_names.tolist() == list(INDEX_SETTINGS.cameras)
    assert sorted(ours.frame_token) == sorted(s["token"] for s in devkit.sample)
    for f, token in enumerate(ours.frame_token):
        sample = devkit.get("sample", token)
        scene = devkit.get("scene", sample["scene_token"])
        assert ours.scene_name[ours.frame_scene[f]] == scene["name"]
        assert ours.scene_location[ours.frame_scene[f]] == devkit.get("log", scene["log_token"])["location"]
        assert ours.frame_timestamp_us[f] == sample["timestamp"]
        assert (ours.frame_token[ours.previous[f]] if ours.previous[f] >= 0 else "") == sample["prev"]
        lidar = devkit.get("sample_data", sample["data"]["LIDAR_TOP"])
        assert ours.lidar_file[f] == lidar["filename"]
        assert ours.global_from_ego[f] == pytest.approx(transform(devkit.get("ego_pose", lidar["ego_pose_token"])))
        calibration = devkit.get("calibrated_sensor", lidar["calibrated_sensor_token"])
        assert ours.ego_from_lidar[f] == pytest.approx(transform(calibration))
        for c, channel in enumerate(ours.camera_names):
            reading = devkit.get("sample_data", sample["data"][channel])
            calibration = devkit.get("calibrated_sensor", reading["calibrated_sensor_token"])
            pose = transform(devkit.get("ego_pose", reading["ego_pose_token"]))
            assert ours.camera_file[f, c] == reading["filename"]
            assert ours.camera_bytes[f, c] == (data_root / reading["filename"]).stat().st_size
            assert ours.camera_timestamp_us[f, c] == reading["timestamp"]
            assert ours.image_wh_px[f, c].tolist() == [reading["width"], reading["height"]]
            assert ours.global_from_ego_at_camera[f, c] == pytest.approx(pose)
            assert ours.ego_from_camera[f, c] == pytest.approx(transform(calibration))
            assert ours.image_from_camera[f, c] == pytest.approx(np.array(calibration["camera_intrinsic"]))
    assert ours.camera_valid.all()


def test_frames_are_in_scene_and_time_order(index):
    ours = load(index)
    assert ours.scene_name.tolist() == ["scene-0001", "scene-0002"]
    assert ours.frame_token.tolist() == [f"sample-{s}{i}" for s in (1, 0) for i in range(3)]
    assert ours.previous.tolist() == [-1, 0, 1, -1, 3, 4]


def test_equal_tables_give_equal_bytes_in_any_row_order(build, edit, index):
    for table in ("scene", "sample", "sample_data", "ego_pose"):
        edit(table, lambda rows: rows.reverse())
    again = build(STAGE, INDEX_SETTINGS)
    assert again.key != index.key
    assert again.output_digest == index.output_digest


def test_the_camera_axis_follows_the_settings(build):
    settings = INDEX_SETTINGS.model_copy(update={"cameras": ("CAM_BACK",)})
    ours = load(build(STAGE, settings))
    assert ours.num_cameras == 1
    assert all("CAM_BACK" in file for file in ours.camera_file[:, 0])


def test_only_scenes_of_a_split_are_indexed(build):
    split = {"train": ("scene-0002",)}
    ours = load(build(STAGE, INDEX_SETTINGS.model_copy(update={"split": split})))
    assert ours.scene_name.tolist() == ["scene-0002"]
    assert ours.frames_of_split("train").tolist() == [0, 1, 2]
    assert ours.frames_of_split("val").tolist() == []


def test_the_data_sets_own_split(build, data_root):
    lists = {"train": ["scene-0002"], "val": ["scene-0001"], "teacher": []}
    (data_root / "splits.json").write_text(json.dumps(lists))
    ours = load(build(STAGE, INDEX_SETTINGS.model_copy(update={"split": "dataset"})))
    assert dict(zip(ours.scene_name, ours.scene_split, strict=True)) == {"scene-0001": "val", "scene-0002": "train"}


def test_a_third_split_is_used_where_it_is_asked_for(build, data_root):
    (data_root / "splits.json").write_text(json.dumps({"train": ["scene-0002"], "teacher": ["scene-0001"]}))
    settings = INDEX_SETTINGS.model_copy(update={"split": "dataset"})
    assert load(build(STAGE, settings)).scene_name.tolist() == ["scene-0002"]
    ours = load(build(STAGE, settings.model_copy(update={"used_splits": ("train", "teacher")})))
    assert dict(zip(ours.scene_name, ours.scene_split, strict=True)) == {"scene-0001": "teacher", "scene-0002": "train"}


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"train": ["scene-0001"], "val": ["scene-0001"]}, "in both train and val"),
        ({"train": ["scene-0001"], "val": ["scene-9999"]}, "scene-9999"),
        ({"train": []}, "no scene"),
        ("official", "no official split"),
        ("dataset", "no split of its own"),
    ],
)
def test_a_split_that_cannot_be_used(build, split, message):
    with pytest.raises(InputError, match=message) as error:
        build(STAGE, IndexSettings.parse({**INDEX_SETTINGS.canonical(), "split": split}))
    assert "\n" not in str(error.value)


def test_the_official_lists_are_the_devkits(build, data_root, edit):
    names = iter(["scene-0061", "scene-0103"])  # of mini_train and mini_val
    edit("scene", lambda rows: [row.update(name=next(names)) for row in rows])
    (data_root / "v1.0-tiny").rename(data_root / "v1.0-mini")
    ours = load(build(STAGE, IndexSettings(version="v1.0-mini", cameras=("CAM_FRONT", "CAM_BACK"))))
    assert dict(zip(ours.scene_name, ours.scene_split, strict=True)) == {"scene-0061": "train", "scene-0103": "val"}


def test_missing_sweeps_are_no_problem(build, data_root):
    (data_root / "samples/LIDAR_TOP/LIDAR_TOP-01.pcd.bin").unlink()
    artifact = build(STAGE, INDEX_SETTINGS)
    ours = load(artifact)
    assert ours.lidar_file[ours.frame_token == "sample-01"] == [""]
    assert (ours.lidar_file == "").sum() == artifact.manifest.statistics["frames_without_lidar"] == 1


def test_the_fingerprint_sees_tables_and_files_and_nothing_else(data_root, edit):
    before = fingerprint(INDEX_SETTINGS, data_root)
    (data_root / VERSION / "lidarseg.json").write_text("[]")
    edit("sample_annotation", lambda rows: rows.append({"token": "x"}))
    assert fingerprint(INDEX_SETTINGS, data_root) == before
    edit("ego_pose", lambda rows: rows[0]["translation"].__setitem__(0, 1.0))
    after = fingerprint(INDEX_SETTINGS, data_root)
    assert {name for name in before if before[name] != after[name]} == {"ego_pose.json"}
    (data_root / "samples/CAM_BACK/CAM_BACK-00.jpg").unlink()
    assert fingerprint(INDEX_SETTINGS, data_root)["samples/CAM_BACK"] != after["samples/CAM_BACK"]
    (data_root / "samples/LIDAR_TOP/LIDAR_TOP-01.pcd.bin").unlink()
    assert fingerprint(INDEX_SETTINGS, data_root)["samples/LIDAR_TOP"] != after["samples/LIDAR_TOP"]
