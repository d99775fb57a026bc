from dataclasses import replace

import numpy as np
import pytest

from cache.arrays import ArraySpec, create_arrays
from scene.errors import InputError
from scene.transform import inverse
from tests import flat_world
from tests.flat_world import GRID, IMAGE_HW_PX, SCHEMA
from trainer.labels import LabelReader, Sources
from trainer.reader import FrameReader


def test_frame_is_what_was_written(reader):
    frame, labels = reader.frame(4), reader.labels.image_labels(4)
    expected = flat_world.frame(reader.index.global_from_ego[4])
    expected_labels = flat_world.image_labels(reader.index.global_from_ego[4])
    np.testing.assert_array_equal(frame.images, expected.images)
    np.testing.assert_array_equal(labels.class_id, expected_labels.class_id)
    np.testing.assert_allclose(labels.ground_from_pixel, expected_labels.ground_from_pixel, atol=1e-12)
    np.testing.assert_allclose(frame.image_from_ego, expected.image_from_ego, atol=1e-9)
    assert (labels.confidence == 1).all()
    np.testing.assert_array_equal(reader.labels.bev_class(4), flat_world.bev_class(reader.index.global_from_ego[4]))


def test_images_of_another_size_keep_looking_at_the_same_points(sources):
    height, width = IMAGE_HW_PX
    half = FrameReader(sources, (height // 2, width // 2), GRID, SCHEMA, history=0).frame(0)
    whole = FrameReader(sources, IMAGE_HW_PX, GRID, SCHEMA, history=0).frame(0)
    assert half.images.shape[1:3] == (height // 2, width // 2)
    point = np.array([6.0, 1.0, 0.0, 1.0])
    (u, v, d), (u2, v2, d2) = whole.image_from_ego[0] @ point, half.image_from_ego[0] @ point
    assert d == pytest.approx(d2)
    assert (u2 / d2 + 0.5) * 2 == pytest.approx(u / d + 0.5)
    assert (v2 / d2 + 0.5) * 2 == pytest.approx(v / d + 0.5)


def test_clip_has_the_frame_before_and_the_motion_since(sources):
    reader = FrameReader(sources, IMAGE_HW_PX, GRID, SCHEMA, history=2)
    clip = reader.clip(5)
    assert clip.has_previous == (True, True)
    poses = reader.index.global_from_ego
    np.testing.assert_allclose(clip.ego_from_previous[1], inverse(poses[5]) @ poses[4], atol=1e-9)
    np.testing.assert_allclose(clip.ego_from_previous[0], inverse(poses[4]) @ poses[3], atol=1e-9)
    np.testing.assert_array_equal(clip.frames[0].images, reader.frame(3).images)
    assert clip.bev_class is None
    assert clip.views == ()


def test_labels_of_other_keyframes_lie_where_they_are_on_the_ground_now(reader):
    assert [reader.scene_around(row) for row in (3, 4, 5)] == [(0, 2), (1, 1), (2, 0)]
    own, later = reader.clip(4, views=(0, 1)).views
    assert (own.frame, later.frame) == (4, 5)
    np.testing.assert_array_equal(own.ground_from_view, np.eye(3))
    np.testing.assert_array_equal(later.read().class_id, reader.labels.image_labels(5).class_id)
    place = later.ground_from_view @ [3.0, -2.0, 1.0]
    poses = reader.index.global_from_ego
    np.testing.assert_allclose(
        flat_world.to_global(place[:2], poses[4]), flat_world.to_global(np.array([3.0, -2.0]), poses[5]), atol=1e-9
    )


def test_first_frame_of_a_scene_has_no_past(sources):
    reader = FrameReader(sources, IMAGE_HW_PX, GRID, SCHEMA, history=2)
    assert reader.clip(3).has_previous == (False, False)
    second = reader.clip(4)
    assert second.has_previous == (False, True)
    np.testing.assert_array_equal(second.ego_from_previous[0], np.eye(4))
    np.testing.assert_array_equal(second.frames[0].images, second.frames[1].images)


def test_a_keyframe_that_is_left_out_is_not_read_and_the_motions_around_it_become_one(sources):
    reader = FrameReader(sources, IMAGE_HW_PX, GRID, SCHEMA, history=3)
    poses = reader.index.global_from_ego
    whole, shorter, oldest = reader.clip(5), reader.clip(5, left_out=1), reader.clip(5, left_out=0)
    assert [len(clip.frames) for clip in (whole, shorter, oldest)] == [4, 3, 3]
    assert whole.has_previous == (False, True, True)
    assert shorter.has_previous == (False, True), "the joined motion begins before the scene"
    assert oldest.has_previous == (True, True)
    for left, clip in ((1, shorter), (0, oldest)):
        kept = [f for i, f in enumerate(whole.frames) if i != left]
        for a, b in zip(clip.frames, kept, strict=True):
            np.testing.assert_array_equal(a.images, b.images)
    np.testing.assert_allclose(oldest.ego_from_previous[0], inverse(poses[4]) @ poses[3], atol=1e-9)
    joined = FrameReader(sources, IMAGE_HW_PX, GRID, SCHEMA, history=2).clip(5, left_out=1)
    np.testing.assert_allclose(joined.ego_from_previous[0], inverse(poses[5]) @ poses[3], atol=1e-9)
    assert joined.has_previous == (True,)


def test_an_objective_reads_artifacts_that_only_it_knows(sources, tmp_path):
    specs = [
        ArraySpec("depth", (12, 5), "f4", (1, 5), None, ("frame", "ray"), 0),
        ArraySpec("weight", (12,), "f4", (12,), None, ("frame",), 0),
    ]
    group = create_arrays(tmp_path / "rays.zarr", specs)
    for row in range(12):
        group["depth"][row] = row + np.arange(5)
    group["weight"][:] = np.arange(12)
    folders = {"index": sources.index, "geometry": sources.geometry, "lidar_rays": tmp_path}
    reader = FrameReader(Sources.of(folders, sources.data_root), IMAGE_HW_PX, GRID, SCHEMA, history=0)
    own, later = reader.clip(4, views=(0, 1)).views
    np.testing.assert_array_equal(later.arrays("lidar_rays")["depth"], 5 + np.arange(5))
    assert own.arrays("lidar_rays")["weight"] == 4
    poses = reader.index.global_from_ego
    place = later.ego_from_view @ [3.0, -2.0, 1.5, 1.0]
    np.testing.assert_allclose(poses[4] @ place, poses[5] @ [3.0, -2.0, 1.5, 1.0], atol=1e-9)
    with pytest.raises(ValueError, match=r"without ground_points: name it in the objective's `needs`"):
        own.arrays("ground_points")
    create_arrays(tmp_path / "more.zarr", specs[1:])
    with pytest.raises(InputError, match="2 Zarr groups and not one"):
        FrameReader(Sources.of(folders, sources.data_root), IMAGE_HW_PX, GRID, SCHEMA, 0).labels.arrays(0, "lidar_rays")


def test_bev_labels_that_were_never_written_are_missed(sources, reader, tmp_path):
    spec = ArraySpec("layers", (12, *GRID.shape), "u2", (1, *GRID.shape), None, ("frame", "x", "y"), 0xFFFF)
    create_arrays(tmp_path / "bev.zarr", [spec])
    empty = LabelReader(replace(sources, bev_labels=tmp_path), reader.index, GRID, SCHEMA)
    with pytest.raises(InputError, match="BEV label of frame 3 was never written"):
        empty.bev_class(3)


def test_missing_camera_is_black_and_ignored(sources, reader):
    valid = reader.index.camera_valid.copy()
    valid[2, 1] = False
    reader.index = replace(reader.index, camera_valid=valid)
    labels = LabelReader(sources, reader.index, GRID, SCHEMA).image_labels(2)
    assert not reader.frame(2).images[1].any()
    assert (labels.class_id[1] == 254).all()
    assert (labels.class_id[0] != 254).all()


def test_unreadable_image_is_named(sources, tmp_path):
    reader = FrameReader(replace(sources, data_root=tmp_path), IMAGE_HW_PX, GRID, SCHEMA, history=0)
    with pytest.raises(InputError, match=r"missing or damaged image .*CAM_FRONT/0\.png"):
        reader.frame(0)


def test_another_grid_is_refused(sources):
    with pytest.raises(InputError, match="not of the grid of 24 x 16 cells"):
        FrameReader(sources, IMAGE_HW_PX, GRID.coarser(2), SCHEMA, history=0)


def test_bev_labels_of_another_grid_are_refused(sources):
    index = FrameReader(sources, IMAGE_HW_PX, GRID, SCHEMA, history=0).index
    with pytest.raises(InputError, match=r"BEV labels are not of the grid of 24 x 16 cells .*bev_labels"):
        LabelReader(sources, index, GRID.coarser(2), SCHEMA)


def test_labels_of_another_size_than_the_geometry_s_are_refused(sources, tmp_path):
    spec = ArraySpec("class_id", (12, 6, 24, 48), "u1", (1, 6, 24, 48), None, ("frame", "camera", "row", "column"), 255)
    create_arrays(tmp_path / "labels.zarr", [spec])
    with pytest.raises(InputError, match=r"teacher labels have \(24, 48\) px, geometry is for labels of \(48, 96\)"):
        FrameReader(replace(sources, teacher_labels=tmp_path), IMAGE_HW_PX, GRID, SCHEMA, 1)


def test_ground_points_come_as_they_were_drawn_and_those_of_another_split_are_missed(reader):
    points = reader.labels.ground_points(4)
    expected = flat_world.points(flat_world.image_labels(reader.index.global_from_ego[4]))
    np.testing.assert_array_equal(points.points_m, expected.points_m)
    np.testing.assert_array_equal(points.class_id, expected.class_id)
    assert points.weight == pytest.approx(expected.weight)
    (evaluated, *_) = reader.index.frames_of_split("val")
    with pytest.raises(InputError, match=rf"no ground points of frame {evaluated} .*the split that is trained on"):
        reader.labels.ground_points(int(evaluated))
