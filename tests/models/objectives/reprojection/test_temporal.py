import numpy as np
import torch

from models.objectives.reprojection.config import TemporalConfig
from models.objectives.reprojection.temporal import temporal_loss, trusted_cells
from tests import flat_world

GRID = flat_world.GRID
EVERYWHERE = TemporalConfig(edge_cells=0, min_confidence=0.0)


def logits_of(global_from_ego):
    classes = torch.from_numpy(flat_world.bev_class(global_from_ego)).long()
    return 12 * torch.nn.functional.one_hot(classes, 3).permute(2, 0, 1)[None].float()


def loss_for(motion_sign, config):
    before, now = flat_world.pose(0, 0, 0.0), flat_world.pose(3.0, 1.0, 0.3)
    ego_from_previous = np.linalg.inv(now) @ before
    if motion_sign < 0:
        ego_from_previous = np.linalg.inv(ego_from_previous)
    usable = torch.ones(1, *GRID.shape, dtype=torch.bool)
    motion = torch.from_numpy(ego_from_previous)[None].float()
    return temporal_loss(logits_of(now), logits_of(before), motion, usable, GRID, config)


def test_static_world_agrees_under_turn_and_shift_and_not_with_the_motion_reversed():
    config = TemporalConfig(edge_cells=1, min_confidence=0.9)
    right, wrong = float(loss_for(+1, config)), float(loss_for(-1, config))
    assert right < 0.01
    assert wrong > 1.0


def test_class_edges_are_left_out_only_where_asked():
    assert float(loss_for(+1, EVERYWHERE)) > 10 * float(loss_for(+1, TemporalConfig(edge_cells=1, min_confidence=0.9)))


def test_only_the_current_prediction_learns():
    previous = torch.randn(2, 3, *GRID.shape, requires_grad=True)
    current = torch.randn(2, 3, *GRID.shape, requires_grad=True)
    usable = torch.ones(2, *GRID.shape, dtype=torch.bool)
    usable[1] = False
    loss = temporal_loss(current, previous, torch.eye(4).expand(2, 4, 4), usable, GRID, EVERYWHERE)
    loss.sum().backward()
    assert previous.grad is None
    assert current.grad[0].abs().sum() > 0
    assert loss[1] == 0
    assert current.grad[1].abs().sum() == 0


def test_trust_needs_confidence_and_distance_from_other_classes():
    probability = torch.full((1, 2, 8, 8), 0.0)
    probability[:, 0], probability[:, 1] = 0.9, 0.1
    probability[:, :, 0, 0] = 0.5
    probability[:, 0, 5, 5], probability[:, 1, 5, 5] = 0.1, 0.9
    trusted = trusted_cells(probability, TemporalConfig(edge_cells=1, min_confidence=0.6))[0]
    assert not trusted[0, 0]
    assert not trusted[4:7, 4:7].any()
    assert trusted[3, 3]
    assert trusted_cells(probability, TemporalConfig(edge_cells=0, min_confidence=0.6))[0].sum() == 63


def test_what_was_seen_is_asked_where_the_place_was_then_and_not_where_it_is_now():
    before, now = flat_world.pose(0, 0, 0.0), flat_world.pose(5.0, 0.0, 0.0)
    motion = torch.from_numpy(np.linalg.inv(now) @ before)[None].float()
    previous, current = logits_of(before), torch.randn(1, 3, *GRID.shape, requires_grad=True)
    x, y = (int(i) for i in GRID.cell_from_ego(np.array([3.0, 0.25])).round())
    seen = torch.zeros(1, *GRID.shape, dtype=torch.bool)
    seen[0, x, y] = True
    temporal_loss(current, previous, motion, seen, GRID, EVERYWHERE).sum().backward()
    counted = current.grad[0].abs().sum(0).nonzero().tolist()
    assert counted == [[x - round(5.0 / GRID.resolution_m), y]], "five metres further back in the ego frame of now"
