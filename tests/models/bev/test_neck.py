import pytest
import torch

from models.bev.config import BackboneConfig, BackboneShape, BevFormerConfig
from models.bev.neck import NECK_FILE, FeaturePyramid, load_neck, save_neck
from models.bev.source import weights_folder
from scene.errors import InputError


def test_what_is_saved_is_what_is_loaded(tmp_path):
    torch.manual_seed(0)
    one, other = FeaturePyramid((4, 8), 16, 1), FeaturePyramid((4, 8), 16, 1)
    maps = (torch.randn(1, 4, 8, 8), torch.randn(1, 8, 4, 4))
    assert not torch.equal(one(maps)[0], other(maps)[0])
    save_neck(one, tmp_path)
    load_neck(other, tmp_path)
    assert torch.equal(one(maps)[0], other(maps)[0])


def test_a_pyramid_that_is_missing_damaged_or_of_another_shape_is_told(tmp_path):
    neck = FeaturePyramid((4, 8), 16, 1)
    with pytest.raises(InputError, match=r"comes without a pyramid .*neck\.safetensors"):
        load_neck(neck, tmp_path)
    save_neck(FeaturePyramid((4, 8), 32, 1), tmp_path)
    with pytest.raises(InputError, match=r"of another shape: size mismatch for lateral\.0\.0\.weight"):
        load_neck(neck, tmp_path)
    save_neck(FeaturePyramid((4, 8), 16, 2), tmp_path)
    with pytest.raises(InputError, match=r"of another shape: Unexpected key"):
        load_neck(neck, tmp_path)
    (tmp_path / NECK_FILE).write_bytes(b"12345678")
    with pytest.raises(InputError, match="cannot be read"):
        load_neck(neck, tmp_path)


def test_a_pyramid_needs_a_local_backbone():
    random = BackboneConfig(
        shape=BackboneShape(stem_channels=8, hidden_sizes=(8,), depths=(1,)), out_stages=(1,), norm="group"
    )
    with pytest.raises(ValueError, match=r"pretrained_neck needs backbone\.pretrained"):
        BevFormerConfig(image_hw_px=(32, 64), backbone=random, pretrained_neck=True)
    with pytest.raises(InputError, match=r"a pyramid is read from local folders only .*microsoft/resnet-50"):
        weights_folder(BackboneConfig(pretrained="microsoft/resnet-50"))
