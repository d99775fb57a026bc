import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from models.bev.backbone import ImageBackbone
from models.bev.config import BackboneConfig
from scene.errors import InputError
from tests import flat_world
from tests.contracts.stage import check_changed_setting, check_kill_and_resume, check_rerun_does_nothing
from tests.stages.labelled_images.toy_world import prepared
from tests.stages.learn.backbone.toy import recipe
from tests.trainer import tiny
from trainer.network import new_trunk


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("toy") / "any" / "cache")


def test_rerun_does_nothing(tmp_path, inputs):
    check_rerun_does_nothing(lambda root: recipe(root, inputs), tmp_path)


def test_changed_setting_new_key(tmp_path, inputs):
    check_changed_setting(lambda root, **changes: recipe(root, inputs, **changes), tmp_path, seed=1)


def test_kill_and_resume(tmp_path):
    prepared(tmp_path / "kills" / "any")  # ahead, so that no run's instants are those of making its inputs
    check_kill_and_resume(recipe, tmp_path, num_kills=3)


def test_a_bev_models_backbone_starts_from_the_artifact(tmp_path, inputs):
    artifact, _ = recipe(tmp_path, inputs)
    config = BackboneConfig(pretrained=str(artifact.path), out_stages=(1, 2), norm="frozen")
    backbone = ImageBackbone(config).train()
    trained = load_file(artifact.path / "model.safetensors")
    loaded = backbone.model.state_dict()
    assert loaded.keys() == trained.keys()
    assert all(torch.equal(loaded[name], trained[name]) for name in trained)
    moved = trained["embedder.embedder.normalization.running_mean"]
    assert moved.abs().max() > 0, "batch norm has seen images"
    backbone(torch.randn(2, 3, 32, 64))
    assert torch.equal(loaded["embedder.embedder.normalization.running_mean"], moved)


def test_a_bev_models_pyramid_starts_from_the_artifact(tmp_path, inputs):
    artifact, _ = recipe(tmp_path, inputs)
    trained = load_file(artifact.path / "neck.safetensors")
    backbone = BackboneConfig(pretrained=str(artifact.path), out_stages=(1, 2), norm="frozen")
    config = tiny.MODEL.model_copy(update={"backbone": backbone, "neck_channels": 8, "pretrained_neck": True})
    for seed in (0, 1):
        loaded = new_trunk(config, flat_world.GRID, seed).neck.state_dict()
        assert loaded.keys() == trained.keys()
        assert all(torch.equal(loaded[name], trained[name]) for name in trained)


def test_the_card_and_the_statistics_tell_the_scores(tmp_path, inputs):
    artifact, _ = recipe(tmp_path, inputs)
    scores = json.loads((artifact.path / "scores.json").read_text())
    assert scores == artifact.manifest.statistics["image_plane_iou"]
    assert np.mean([iou for name, iou in scores.items() if name != "mean"]) == pytest.approx(scores["mean"], abs=1e-4)
    assert f"| **mean** | **{scores['mean']:.3f}** | |" in (artifact.path / "README.md").read_text()
    assert {file.name for file in artifact.path.iterdir()} == {
        "README.md",
        "config.json",
        "history.jsonl",
        "manifest.copy.json",
        "manifest.json",
        "model.safetensors",
        "neck.safetensors",
        "scores.json",
    }


def test_images_of_another_size_are_refused(tmp_path, inputs):
    with pytest.raises(InputError, match=r"have \(32, 64\) px, the recipe wants \(96, 192\)"):
        recipe(tmp_path, inputs, image_hw_px=[96, 192])
