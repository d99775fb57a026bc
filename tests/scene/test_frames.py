from dataclasses import fields

import numpy as np
import pytest

from scene.errors import InputError
from scene.frames import FrameIndex, frame_shards


def small_index() -> FrameIndex:
    """Three frames of two scenes, one camera."""
    eye = np.eye(4)
    return FrameIndex(
        camera_names=np.array(["CAM_FRONT"]),
        scene_token=np.array(["s0", "s1"]),
        scene_name=np.array(["one", "two"]),
        scene_location=np.array(["here", "there"]),
        scene_split=np.array(["train", "val"]),
        frame_token=np.array(["a", "b", "c"]),
        frame_scene=np.array([0, 0, 1], np.int32),
        frame_timestamp_us=np.array([0, 5, 0]),
        previous=np.array([-1, 0, -1], np.int32),
        global_from_ego=np.stack([eye] * 3),
        lidar_file=np.array(["", "", ""]),
        ego_from_lidar=np.stack([eye] * 3),
        camera_file=np.array([["a.jpg"], ["b.jpg"], ["c.jpg"]]),
        camera_bytes=np.array([[1], [2], [3]]),
        camera_timestamp_us=np.array([[0], [5], [0]]),
        camera_valid=np.ones((3, 1), np.bool_),
        global_from_ego_at_camera=np.stack([eye] * 3)[:, None],
        ego_from_camera=np.stack([eye] * 3)[:, None],
        image_from_camera=np.stack([np.eye(3)] * 3)[:, None],
        image_wh_px=np.full((3, 1, 2), 8, np.int32),
    )


def test_shards_hold_every_frame_once_and_the_last_may_be_short():
    assert frame_shards(130, 64) == {
        "frames-000000": slice(0, 64),
        "frames-000064": slice(64, 128),
        "frames-000128": slice(128, 130),
    }


def test_frames_and_scenes_of_a_split():
    index = small_index()
    assert (index.num_frames, index.num_cameras) == (3, 1)
    assert index.frames_of_split("train").tolist() == [0, 1]
    assert index.frames_of_split("val").tolist() == [2]
    assert index.frames_of_split("test").tolist() == []
    assert index.scenes_of_split("val").tolist() == [1]


def test_a_saved_index_is_the_same_index_in_the_same_bytes(tmp_path):
    index = small_index()
    for name in ("one.npz", "two.npz"):
        index.save(tmp_path / name)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    loaded = FrameIndex.load(tmp_path / "one.npz")
    for field in fields(FrameIndex):
        one, other = getattr(index, field.name), getattr(loaded, field.name)
        assert np.array_equal(one, other), field.name
        assert one.dtype == other.dtype


def test_pickled_objects_are_never_loaded(tmp_path):
    file = tmp_path / "index.npz"
    arrays = {f.name: getattr(small_index(), f.name) for f in fields(FrameIndex)}
    np.savez(file, **{**arrays, "frame_token": np.array([{"a": 1}], dtype=object)})
    with pytest.raises(ValueError, match="allow_pickle"):
        FrameIndex.load(file)


def test_an_input_error_is_one_line_of_three_parts_and_then_its_details():
    assert str(InputError("it is broken", where="here", fix="mend it")) == "it is broken (here): mend it"
    assert str(InputError("it is broken")) == "it is broken"
    assert str(InputError("two things", fix="mend them", details=["a", "b"])) == "two things: mend them\n  a\n  b"
