import numpy as np
import pytest
import torch
from torch import nn

from models.objectives.reprojection.config import ReprojectionConfig, TemporalConfig
from models.objectives.reprojection.objective import ReprojectionObjective
from tests import flat_world
from trainer.augment import mirrored, mirrored_cameras
from trainer.batches import collate

GRID, SCHEMA = flat_world.GRID, flat_world.SCHEMA
PLAIN = ReprojectionConfig(
    class_balance=0.0,
    points_per_frame=4000,
    temporal=TemporalConfig(weight=0.0),
)
BEFORE, NOW = flat_world.pose(0, 0, 0.0), flat_world.pose(2.0, 0.5, 0.2)


def objective_for(config):
    objective = ReprojectionObjective(config, SCHEMA, GRID)
    objective.heads["decoder"] = nn.Identity()
    return objective


def batch_of(objective, clip):
    return collate([clip], [objective.prepare(clip, np.random.default_rng(0))], [0])


def logits_of(classes):
    return 12 * torch.nn.functional.one_hot(torch.from_numpy(classes.copy()).long(), 3).permute(2, 0, 1)[None].float()


def losses_for(config, classes, clip=None):
    objective = objective_for(config)
    clip = clip or flat_world.clip(BEFORE, NOW)
    return objective.loss(batch_of(objective, clip), (logits_of(flat_world.bev_class(BEFORE)), logits_of(classes)))


def test_perfect_prediction_has_almost_no_loss_and_any_other_map_has():
    truth = flat_world.bev_class(NOW)
    perfect = float(losses_for(PLAIN, truth).total)
    assert perfect < 0.15
    for wrong in (np.roll(truth, 4, axis=0), np.roll(truth, 4, axis=1), truth[::-1], truth[:, ::-1]):
        assert float(losses_for(PLAIN, wrong).total) > 8 * perfect


def test_x_and_y_are_not_exchanged():
    objective = objective_for(PLAIN)
    batch = batch_of(objective, flat_world.clip(BEFORE, NOW))
    centres = GRID.centres()
    forward = logits_of((centres[..., 0] > 0).astype(np.uint8))
    batch.targets["class_id"].copy_((batch.targets["points_m"][..., 0] > 0).long())
    assert float(objective.loss(batch, (forward, forward)).total) < 0.15
    sideways = logits_of((centres[..., 1] > 0).astype(np.uint8))
    assert float(objective.loss(batch, (sideways, sideways)).total) > 2


def test_mirrored_sample_agrees_with_the_mirrored_map_only():
    clip = mirrored(flat_world.clip(BEFORE, NOW), mirrored_cameras(flat_world.CAMERAS))
    truth = flat_world.bev_class(NOW)
    np.testing.assert_array_equal(clip.bev_class, truth[:, ::-1])
    assert float(losses_for(PLAIN, truth[:, ::-1], clip).total) < 0.15
    assert float(losses_for(PLAIN, truth, clip).total) > 1


def test_gradient_reaches_seen_cells_only():
    objective = objective_for(PLAIN)
    batch = batch_of(objective, flat_world.clip(BEFORE, NOW))
    logits = torch.zeros(1, 3, *GRID.shape, requires_grad=True)
    objective.loss(batch, (logits.detach(), logits)).total.backward()
    touched = logits.grad[0].abs().sum(dim=0) > 0
    cells = GRID.cell_from_ego(batch.targets["points_m"][0].double().numpy())
    near_a_point = torch.zeros(GRID.shape, dtype=torch.bool)
    for dx in (0, 1):
        for dy in (0, 1):
            x, y = np.clip(np.floor(cells).astype(int) + np.array([dx, dy]), 0, np.array(GRID.shape) - 1).T
            near_a_point[x, y] = True
    assert touched.any()
    assert not (touched & ~near_a_point).any()
    assert not touched[24, 16], "the ground under the car is in no camera"


def test_each_term_can_be_switched_off():
    truth = flat_world.bev_class(NOW)
    every = PLAIN.model_copy(update={"dice_weight": 0.5, "temporal": TemporalConfig(weight=0.3)})
    assert set(losses_for(every, truth).parts) == {"reprojection", "dice", "temporal"}
    none = PLAIN.model_copy(update={"cross_entropy_weight": 0.0})
    assert losses_for(none, truth).parts == {}
    assert float(losses_for(none, truth).total) == 0


def test_temporal_term_is_small_for_a_static_world():
    config = PLAIN.model_copy(update={"temporal": TemporalConfig(weight=1.0)})
    truth = flat_world.bev_class(NOW)
    assert float(losses_for(config, truth).parts["temporal"]) < 0.01
    assert float(losses_for(config, np.roll(truth, 3, axis=1)).parts["temporal"]) > 0.3


def test_rows_left_out_add_nothing():
    objective = objective_for(PLAIN)
    clip = flat_world.clip(BEFORE, NOW)
    targets = objective.prepare(clip, np.random.default_rng(0))
    both = collate([clip, clip], [targets, targets], [0, 0])
    logits = torch.randn(2, 3, *GRID.shape)
    whole = objective.loss(both, (logits, logits), torch.tensor([True, True])).total
    first = objective.loss(both, (logits, logits), torch.tensor([True, False])).total
    second = objective.loss(both, (logits, logits), torch.tensor([False, True])).total
    assert float(first + second) == pytest.approx(float(whole), rel=1e-5)


def test_each_term_is_a_mean_over_all_samples_also_where_some_are_left_out():
    objective = objective_for(PLAIN.model_copy(update={"dice_weight": 0.5, "temporal": TemporalConfig(weight=0.3)}))
    clip = flat_world.clip(BEFORE, NOW)
    targets = objective.prepare(clip, np.random.default_rng(0))
    both = collate([clip, clip], [targets, targets], [0, 0])
    logits = torch.randn(1, 3, *GRID.shape).mul(4).expand(2, -1, -1, -1)
    whole = objective.loss(both, (logits, logits), torch.tensor([True, True])).parts
    half = objective.loss(both, (logits, logits), torch.tensor([True, False])).parts
    assert set(whole) == {"reprojection", "dice", "temporal"}
    for name, part in whole.items():
        assert float(half[name]) == pytest.approx(0.5 * float(part), rel=1e-5), name


def test_class_weights_favour_rare_classes_and_average_to_one():
    objective = objective_for(PLAIN.model_copy(update={"class_balance": 0.5}))
    sample = {"class_id": np.repeat([0, 1], [900, 100]), "weight": np.ones(1000)}
    objective.calibrate([sample])
    weight = objective.class_weight
    assert float(weight[1] / weight[0]) == pytest.approx(3, rel=1e-5)
    assert float(0.9 * weight[0] + 0.1 * weight[1]) == pytest.approx(1, rel=1e-5)
    assert weight[2] == 1
