import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from models import objectives
from models.objectives import build_objective
from models.objectives.base import Losses, Objective
from models.objectives.choice import ObjectiveChoice, ObjectiveConfig
from models.objectives.reprojection.config import ReprojectionConfig
from pipeline.config import load_experiment
from pipeline.steps import plan_experiment
from scene.errors import InputError
from scene.settings import Settings, ValidationError
from tests import flat_world
from trainer.batches import collate


class BrightnessConfig(ObjectiveConfig):
    entry = "tests.models.objectives.test_table:BrightnessObjective"
    needs = ()
    predicts_bev = False
    name: str = "brightness"
    weight: float = 2.0


class BrightnessObjective(Objective):
    """A toy: the mean of the BEV features should be the mean brightness of the images."""

    def __init__(self, config, schema, grid):
        super().__init__(config, schema, grid)
        self.config = config

    def build_heads(self, trunk):  # noqa: ARG002
        return nn.ModuleDict({"brightness": nn.Linear(4, 1)})

    def prepare(self, clip, random):  # noqa: ARG002
        return {"brightness": np.float32(clip.current.images.mean() / 255)}

    def loss(self, batch, features, rows=None):  # noqa: ARG002
        guess = self.heads["brightness"](features[-1].mean(dim=(2, 3)))[:, 0]
        part = self.config.weight * (guess - batch.targets["brightness"]).square().mean()
        return Losses({"brightness": part})


class Holder(Settings):
    objective: ObjectiveChoice = ReprojectionConfig()


@pytest.fixture
def with_brightness(monkeypatch):
    monkeypatch.setitem(objectives.OBJECTIVES, "brightness", f"{__name__}:BrightnessConfig")
    monkeypatch.setitem(sys.modules, "tests.models.objectives.test_table", sys.modules[__name__])
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])


def test_another_objective_joins_by_one_line(with_brightness):
    settings = Holder.parse({"objective": {"name": "brightness", "weight": 3.0}})
    assert settings.canonical() == {"objective": {"name": "brightness", "weight": 3.0}}
    assert settings.objective.needs == ()
    objective = build_objective(settings.objective, flat_world.SCHEMA, flat_world.GRID)
    objective.heads = objective.build_heads(nn.Identity())
    clip = flat_world.clip(np.eye(4), np.eye(4))
    batch = collate([clip], [objective.prepare(clip, np.random.default_rng(0))], [0])
    losses = objective.loss(batch, (torch.zeros(1, 4, 3, 3, requires_grad=True),))
    losses.total.backward()
    assert objective.heads["brightness"].bias.grad.abs() > 0


def test_an_objective_s_version_joins_the_keys_of_its_own_trainings(with_brightness, monkeypatch):
    chosen = {"objective": {"name": "brightness"}}
    before = Holder.parse(chosen).canonical()
    monkeypatch.setattr(BrightnessConfig, "version", 2)
    settings = Holder.parse(chosen)
    assert settings.canonical() == {"objective": {**before["objective"], "version": 2}}
    assert Holder.parse(settings.model_dump(mode="json")) == settings, "what a job is told has no version"
    assert "version" not in Holder().canonical()["objective"]


def test_what_predicts_no_bev_is_not_scored_before_fine_tuning(with_brightness):
    chosen = "pretrain.objective={name: brightness}"
    with pytest.raises(InputError, match=r"'brightness' predicts no BEV classes.*\(arm pretrained-0"):
        plan_experiment(*load_experiment("smoke", (chosen,)))
    arm = "arms=[{name: a, title: a, label_fraction: 0.5, pretrained: true}]"
    plan = plan_experiment(*load_experiment("smoke", (chosen, arm, "report.showcase=a")))
    trained = {step.name: step.settings for step in plan}
    assert trained["pretrain:0"].objective == trained["finetune:a:0"].kept_objective == BrightnessConfig()
    assert "ground_points" not in plan.stage_names


def test_settings_of_the_named_objective_are_checked():
    parsed = Holder.parse({"objective": {"temporal": {"weight": 0.0}}})
    assert isinstance(parsed.objective, ReprojectionConfig)
    assert parsed.canonical()["objective"]["points_per_frame"] == ReprojectionConfig().points_per_frame
    with pytest.raises(ValidationError, match=r"temporal\.wieght.*valid keys"):
        Holder.parse({"objective": {"temporal": {"wieght": 0.0}}})
    with pytest.raises(ValidationError, match="no objective 'nerf'; known: reprojection"):
        Holder.parse({"objective": {"name": "nerf"}})


def test_asking_what_an_objective_needs_loads_no_torch():
    code = (
        "import sys; from stages.learn.pretrain import STAGE; from models.objectives import config_class;"
        "assert config_class('reprojection').needs == ('ground_points',); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
