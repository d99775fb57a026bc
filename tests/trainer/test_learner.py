from types import SimpleNamespace

import pytest
import torch
from torch import nn

from models.objectives.base import Losses
from tests.flat_world import SCHEMA
from trainer.learner import Learner, SupervisedLoss
from trainer.settings import SupervisedSettings


class Counting(nn.Conv2d):
    calls = 0

    def forward(self, features):
        self.calls += 1
        return super().forward(features)


class Decoding(nn.Module):
    """An objective that decodes every sample, and says so where `tells`."""

    def __init__(self, tells):
        super().__init__()
        self.tells = tells

    def loss(self, _, features, rows=None):
        logits = self.heads["decoder"](features[-1])
        term = (logits.square().mean(dim=(1, 2, 3)) * rows).mean()
        return Losses({"own": term}, {"watched": term.detach() + 1}, logits if self.tells else None)


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


def test_an_objective_that_learns_beside_its_heads_is_refused():
    objective = Decoding(tells=True)
    objective.mask_token = nn.Parameter(torch.zeros(4))
    with pytest.raises(TypeError, match=r"Decoding\.mask_token would be lost on resume"):
        learner(tells=True, objective=objective)
