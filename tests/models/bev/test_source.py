"""Where a pretrained backbone lies is no part of a cache key; what it is, is."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from transformers import ResNetBackbone, ResNetConfig

from models.bev.config import BackboneConfig, BevFormerConfig
from models.bev.source import digest
from scene.errors import InputError
from scene.grid import BevGrid
from scene.labels import LabelSchema
from stages.learn.evaluate import STAGE as EVALUATE
from stages.learn.evaluate import EvaluateSettings
from stages.learn.finetune import STAGE as FINETUNE
from stages.learn.finetune import FinetuneSettings
from stages.learn.pretrain import STAGE as PRETRAIN
from stages.learn.pretrain import PretrainSettings
from stages.stage import resolve
from tests.flat_world import SCHEMA

LEARNING = [(PRETRAIN, PretrainSettings), (FINETUNE, FinetuneSettings), (EVALUATE, EvaluateSettings)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1], out_features=["stage1"])
    ResNetBackbone(config).save_pretrained(tmp_path / "here")
    return tmp_path / "here"


def settings_of(model: Any, place: str, revision: str | None = None) -> Any:
    backbone = BackboneConfig(pretrained=place, revision=revision, out_stages=(1,))
    schema: LabelSchema = SCHEMA
    return model(model=BevFormerConfig(image_hw_px=(32, 64), backbone=backbone), grid=BevGrid(), label_schema=schema)


@pytest.mark.parametrize(("stage", "model"), LEARNING)
def test_the_key_follows_the_content_and_not_the_place(stage: Any, model: Any, folder: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(folder, tmp_path / "there")
    fingerprint = resolve(stage.fingerprint)
    here, there = settings_of(model, str(folder)), settings_of(model, str(copied))
    assert here != there
    assert here.canonical() == there.canonical()
    before = fingerprint(here, tmp_path)
    assert fingerprint(there, tmp_path) == before
    weights = copied / "model.safetensors"
    weights.write_bytes(weights.read_bytes() + b"x")
    assert fingerprint(there, tmp_path) != before
    assert here.model_dump(mode="json")["model"]["backbone"]["pretrained"] == str(folder), "a training must find it"


def test_a_hub_backbone_is_known_by_name_and_revision_without_a_download() -> None:
    model = settings_of(PretrainSettings, "someone/some-model", "v1").model
    assert digest(model.backbone) == "hub:someone/some-model@v1"
    assert digest(settings_of(PretrainSettings, "someone/some-model").model.backbone) == "hub:someone/some-model@main"


def test_random_weights_are_in_the_key_by_their_shape() -> None:
    shape = {"stem_channels": 8, "hidden_sizes": [8], "depths": [1]}
    config = BackboneConfig.parse({"shape": shape, "out_stages": [1], "norm": "group"})
    assert digest(config) is None
    assert config.canonical()["shape"]["stem_channels"] == 8


def test_a_missing_folder_and_a_pickle_are_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="there is no such backbone"):
        digest(BackboneConfig(pretrained="./nowhere", out_stages=(1,)))
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="not whole"):
        digest(BackboneConfig(pretrained=str(folder), out_stages=(1,)))
