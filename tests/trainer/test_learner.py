from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from models.objectives.base import Losses, Objective
from models.objectives.reprojection.config import ReprojectionConfig
from scene.labels import IGNORE
from tests.flat_world import GRID, SCHEMA
from trainer.learner import Learner, SupervisedLoss
from trainer.settings import SupervisedSettings


class Counting(nn.Conv2d):
    calls = 0

    def forward(self, features):
        self.calls += 1
        return super().forward(features)


class Decoding(Objective):
    """An objective that decodes every sample, and says so where `tells`."""

    def __init__(self, tells):
        super().__init__(ReprojectionConfig(), SCHEMA, GRID)
        self.tells = tells

    def build_heads(self, trunk):  # noqa: ARG002
        return nn.ModuleDict()  # it shares the learner's decoder

    def prepare(self, clip, random):  # noqa: ARG002
        return {}

    def loss(self, _, features, rows=None):
        logits = self.heads["decoder"](features[-1])
        term = (logits.square().mean(dim=(1, 2, 3)) * rows).mean()
        return Losses({"own": term}, {"watched": term.detach() + 1}, logits if self.tells else None)


class Masking(Decoding):
    """An objective of its own forward pass: the trunk sees nothing of the samples that it is about."""

    def forward(self, trunk, batch, rows=None):
        (masked,) = trunk(batch.clip * ~rows[:, None, None, None])
        losses = self.loss(batch, (masked,), rows)
        return replace(losses, features=masked)


def learner(tells, objective=None):
    torch.manual_seed(0)
    num_classes = len(SCHEMA.classes)
    supervised = SupervisedLoss(SupervisedSettings(), [torch.arange(num_classes).byte().numpy()], num_classes)
    trunk = nn.Conv2d(3, 4, 1)
    trunk.forward = lambda clip: (nn.Conv2d.forward(trunk, clip),)
    return Learner(
        trunk, nn.ModuleDict({"decoder": Counting(4, num_classes, 1)}), supervised, objective or Decoding(tells)
    )


def batch():
    torch.manual_seed(1)
    return SimpleNamespace(
        clip=torch.randn(2, 3, 4, 6), bev_class=torch.zeros(2, 4, 6).byte(), labelled=torch.tensor([True, False])
    )


def test_what_the_objective_decoded_is_not_decoded_again():
    told, untold = learner(tells=True), learner(tells=False)
    losses = [told(batch()), untold(batch())]
    assert (told.heads["decoder"].calls, untold.heads["decoder"].calls) == (1, 2)
    assert losses[0].parts == losses[1].parts
    assert torch.equal(losses[0].total, losses[1].total)
    for one in losses:
        one.total.backward()
    torch.testing.assert_close(told.trunk.weight.grad, untold.trunk.weight.grad)


def test_what_is_only_watched_is_not_minimised():
    losses = learner(tells=True)(batch())
    assert set(losses.figures) == {"watched"}
    torch.testing.assert_close(losses.total, sum(losses.parts.values()))


def test_an_objective_with_a_forward_pass_of_its_own_decides_what_the_trunk_sees_and_supervision_goes_on_from_it():
    plain, masking = learner(tells=False), learner(tells=False, objective=Masking(tells=False))
    expected, found = plain(batch()), masking(batch())
    for name in ("supervised", "dice"):
        assert torch.equal(found.parts[name], expected.parts[name]), "the labelled sample was not masked"
    assert not torch.equal(found.parts["own"], expected.parts["own"])
    found.total.backward()
    assert masking.trunk.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("persistent", [True, False])
def test_an_objective_s_buffers_are_not_persistent(persistent):
    objective = Decoding(tells=True)
    objective.register_buffer("centre", torch.zeros(4), persistent=persistent)
    if persistent:
        with pytest.raises(TypeError, match=r"Decoding\.centre would be lost on resume"):
            learner(tells=True, objective=objective)
    else:
        learner(tells=True, objective=objective)


def test_an_objective_that_learns_beside_its_heads_is_refused():
    objective = Decoding(tells=True)
    objective.mask_token = nn.Parameter(torch.zeros(4))
    with pytest.raises(TypeError, match=r"Decoding\.mask_token would be lost on resume"):
        learner(tells=True, objective=objective)


def test_cells_without_a_label_have_no_say():
    loss = SupervisedLoss(SupervisedSettings(), [torch.arange(3).byte().numpy()], 3)
    logits = torch.randn(2, 3, 4, 6, requires_grad=True)
    label = torch.randint(3, (2, 4, 6)).byte()
    label[0, :2] = IGNORE
    sum(loss(logits, label, torch.tensor([True, True])).values()).backward()
    assert not logits.grad[0, :, :2].any()
    assert logits.grad[0, :, 2:].abs().min() > 0
