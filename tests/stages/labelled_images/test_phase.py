import numpy as np
import pytest
import torch

from stages.labelled_images.balance import class_weights
from stages.labelled_images.phase import schedule
from stages.labelled_images.settings import PhaseSettings


def test_rare_classes_weigh_more_but_not_without_bound():
    weights = class_weights(torch.tensor([1e6, 1e3, 0.0]))
    assert weights[0] < weights[1] < weights[2] < 40 * weights[0]
    assert weights.mean() == pytest.approx(1)


def test_the_schedule_rises_and_ends_near_zero():
    phase = PhaseSettings(steps=100, warmup_steps=10, learning_rate=1.0)
    rates = [schedule(step, phase) for step in range(100)]
    assert rates[0] < rates[5] < max(rates)
    assert int(np.argmax(rates)) in (9, 10)
    assert rates[-1] < 0.001
