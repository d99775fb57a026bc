import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from models.bev.config import BackboneConfig, BevFormerConfig
from scene.grid import BevGrid
from scene.settings import ValidationError

CONFIGS = Path(__file__).parents[3] / "configs" / "models"
SHAPE = {"stem_channels": 8, "hidden_sizes": [8, 12], "depths": [1, 1]}


@pytest.mark.parametrize(
    ("name", "image_hw_px", "num_layers", "history", "queries"),
    [
        ("demo", (96, 192), 1, 1, None),
        ("tiny", (450, 800), 3, 3, (50, 25)),
        ("small", (720, 1280), 3, 3, (100, 50)),
        ("base", (900, 1600), 6, 4, (200, 100)),
    ],
)
def test_shipped_configs_are_what_their_comments_say(
    name: str, image_hw_px: Any, num_layers: int, history: int, queries: Any
) -> None:
    config = BevFormerConfig.parse(yaml.safe_load((CONFIGS / f"{name}.yaml").read_text()))
    assert (config.image_hw_px, config.num_layers, config.history) == (image_hw_px, num_layers, history)
    grid = BevGrid(resolution_m=0.5) if name == "demo" else BevGrid()
    assert grid.coarser(config.query_factor).shape == (queries or (60, 30))
    assert BevFormerConfig.parse(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "exactly one"),
        ({"pretrained": "a/b", "shape": SHAPE}, "exactly one"),
        ({"shape": SHAPE, "out_stages": [1, 2], "norm": "frozen"}, "no BatchNorm statistics"),
        ({"pretrained": "a/b", "norm": "group"}, "throw the pretrained"),
        ({"pretrained": "a/b", "out_stages": [2, 1]}, "not increasing"),
        ({"pretrained": "a/b", "out_stages": [0, 1]}, "not increasing"),
        ({"shape": SHAPE, "out_stages": [1], "norm": "group"}, "last stage"),
        ({"pretrained": "a/b", "norm": "batch", "gradient_checkpointing": True}, "would count its batch twice"),
        ({"kind": "swin", "shape": SHAPE, "out_stages": [1, 2]}, "num_heads"),
        ({"pretrained": "a/b", "depth": 3}, "Extra inputs"),
    ],
)
def test_backbones_that_cannot_be_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        BackboneConfig.parse(values)


def test_how_much_memory_a_backbone_takes_is_no_part_of_a_key() -> None:
    lean, plain = (BackboneConfig(pretrained="a/b", gradient_checkpointing=lean) for lean in (True, False))
    assert lean.canonical() == plain.canonical()


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"embed_dim": 30}, "multiple"), ({"spatial_points": 6}, "height_anchors_m"), ({"dropout": 1.5}, "less than 1")],
)
def test_trunks_that_cannot_be_are_refused(make_config: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        make_config(**changes)


def test_settings_import_no_torch() -> None:
    code = "import sys, models.bev.config; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=CONFIGS.parents[1]).returncode == 0
