import numpy as np
import pytest
import torch

from tests.flat_world import GRID, IMAGE_HW_PX, SCHEMA
from tests.trainer.tiny import MODEL
from trainer.batches import collate_clip
from trainer.drives import lanes, predict_drives
from trainer.reader import FrameReader
from trainer.segmenter import new_segmenter

CPU = torch.device("cpu")


def make_network(history):
    model = MODEL.model_copy(update={"history": history, "drop_history_frame": False})
    return new_segmenter(model, GRID, SCHEMA, seed=3).eval()


@torch.inference_mode()
def by_clip(network, reader, row):
    return network(collate_clip([reader.clip(row)]))[0].argmax(0).numpy()


def test_whole_scenes_are_dealt_and_the_longest_lane_comes_first():
    rows, scenes = np.arange(9), np.array([0, 0, 1, 1, 1, 1, 2, 3, 3], np.int32)
    assert lanes(rows, scenes, 2) == [[0, 1, 6, 7, 8], [2, 3, 4, 5]]
    assert lanes(rows, scenes, 9) == [[2, 3, 4, 5], [0, 1], [7, 8], [6]]
    assert lanes(rows[:0], scenes[:0], 2) == [[]]


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_a_drive_knows_all_that_a_clip_from_its_start_knows(sources, batch_size):
    """Scenes have three keyframes: a clip with a history of two begins where the scene does."""
    reader, network = FrameReader(sources, IMAGE_HW_PX, GRID, SCHEMA, history=2), make_network(history=2)
    rows = np.arange(len(reader.index.previous))
    found = dict(predict_drives(network, reader, rows, batch_size, CPU))
    assert sorted(found) == rows.tolist()
    for row, class_id in found.items():
        expected = by_clip(network, reader, row)
        assert (class_id != expected).mean() < 0.01  # ties may fall otherwise in a batch of another size


def test_history_makes_a_difference_and_only_along_the_scene(sources):
    reader, network = FrameReader(sources, IMAGE_HW_PX, GRID, SCHEMA, history=2), make_network(history=2)
    rows = np.arange(len(reader.index.previous))
    whole = dict(predict_drives(network, reader, rows, 1, CPU))
    ends = rows[reader.index.previous >= 0]
    late = dict(predict_drives(network, reader, ends, 1, CPU))
    first, second = ends[:2]
    assert (late[first] != whole[first]).any()  # its previous keyframe was not walked: nothing is known of it
    assert (late[second] != whole[second]).any()


def test_a_model_without_history_sees_each_keyframe_alone(sources):
    reader, network = FrameReader(sources, IMAGE_HW_PX, GRID, SCHEMA, history=0), make_network(history=0)
    for row, class_id in predict_drives(network, reader, np.arange(3), 1, CPU):
        np.testing.assert_array_equal(class_id, by_clip(network, reader, row))
