"""The motion embedding reads each item's own motion, and each of its numbers."""

import numpy as np
import torch

from models.bev.history import EgoMotionEmbedding
from scene.transform import rigid, rotation_from_euler


def motion(x_m=0.0, y_m=0.0, yaw=0.0):
    return torch.from_numpy(rigid(rotation_from_euler(0, 0, yaw), np.array([x_m, y_m, 0.0]))).float()


def inputs_of(motions, has_previous):
    """What the first layer sees."""
    embedding = EgoMotionEmbedding(8)
    seen = []
    embedding.mlp[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    embedding(torch.stack(motions), torch.tensor(has_previous))
    return seen[0]


def test_x_y_and_yaw_are_numbers_of_their_own_and_each_item_has_its_own():
    still, ahead, left, turned = inputs_of([motion(), motion(5.0), motion(y_m=2.0), motion(yaw=0.3)], [True] * 4)
    assert still.tolist() == [0, 0, 0, 0, 1]
    torch.testing.assert_close(ahead, torch.tensor([0.5, 0, 0, 0, 1]))
    torch.testing.assert_close(left, torch.tensor([0, 0.2, 0, 0, 1]))
    torch.testing.assert_close(turned, torch.tensor([0, 0, np.sin(0.3), np.cos(0.3) - 1, 1]).float())


def test_without_a_previous_keyframe_there_is_no_motion():
    assert not inputs_of([motion(5.0, 2.0, 0.3)], [False]).any()
