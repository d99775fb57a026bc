from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import (
    ConvNextConfig,
    ConvNextForImageClassification,
    ResNetConfig,
    ResNetForImageClassification,
    SwinConfig,
    SwinForImageClassification,
)

from models.bev.backbone import ImageBackbone
from models.bev.config import BackboneConfig
from models.bev.neck import FeaturePyramid
from scene.errors import InputError

SHAPES: dict[str, dict[str, Any]] = {
    "resnet": {"stem_channels": 8, "hidden_sizes": [8, 12], "depths": [1, 1]},
    "convnext": {"stem_channels": 8, "hidden_sizes": [8, 12], "depths": [1, 1]},
    "swin": {"stem_channels": 8, "depths": [1, 2], "num_heads": [2, 2], "window_size": 4},
}


def random_backbone(kind: str, **changes: Any) -> ImageBackbone:
    torch.manual_seed(0)
    values = {"kind": kind, "shape": SHAPES[kind], "out_stages": [1, 2], "norm": "group"}
    return ImageBackbone(BackboneConfig.parse(values | changes))


@pytest.fixture(params=["resnet", "swin", "convnext"])
def published(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path, nn.Module]:
    """A classifier of each kind, saved as its publisher would."""
    torch.manual_seed(1)
    model: Any
    if request.param == "resnet":
        model = ResNetForImageClassification(ResNetConfig(embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1]))
        for buffer in model.buffers():
            if buffer.dtype == torch.float32:
                buffer.uniform_(0.5, 1.5)
    elif request.param == "swin":
        model = SwinForImageClassification(SwinConfig(embed_dim=8, depths=[1, 2], num_heads=[2, 2], window_size=4))
    else:
        model = ConvNextForImageClassification(ConvNextConfig(hidden_sizes=[8, 12], depths=[1, 1], num_stages=2))
    model.save_pretrained(tmp_path)
    return request.param, tmp_path, model.eval()


@pytest.mark.parametrize("kind", ["resnet", "swin", "convnext"])
def test_stages_have_their_strides_and_channels(kind: str) -> None:
    backbone = random_backbone(kind)
    maps = backbone(torch.randn(2, 3, 32, 64))
    assert [tuple(m.shape) for m in maps] == [
        (2, backbone.channels[0], 8, 16),
        (2, backbone.channels[1], 4, 8),
    ]


@pytest.mark.parametrize("kind", ["resnet", "swin", "convnext"])
def test_checkpointing_changes_neither_gradients_nor_names(kind: str) -> None:
    images = torch.randn(2, 3, 32, 64)
    plain, lean = random_backbone(kind), random_backbone(kind, gradient_checkpointing=True)
    assert plain.state_dict().keys() == lean.state_dict().keys()
    for backbone in (plain, lean):
        sum(m.square().sum() for m in backbone.train()(images)).backward()
    for p, q in zip(plain.parameters(), lean.parameters(), strict=True):
        if p.requires_grad:
            assert p.grad is not None
            torch.testing.assert_close(p.grad, q.grad)


@pytest.mark.parametrize("kind", ["resnet", "swin", "convnext"])
def test_every_trainable_parameter_gets_a_gradient(kind: str) -> None:
    backbone = random_backbone(kind).train()
    sum(m.square().sum() for m in backbone(torch.randn(2, 3, 32, 64))).backward()
    assert [n for n, p in backbone.named_parameters() if p.requires_grad and p.grad is None] == []


def test_pretrained_weights_are_those_of_the_folder(published: tuple[str, Path, nn.Module]) -> None:
    kind, folder, model = published
    config = BackboneConfig(kind=kind, pretrained=str(folder), out_stages=(1, 2))  # type: ignore[arg-type]
    loaded = dict(ImageBackbone(config).model.named_parameters())
    shared = [(n, p) for n, p in model.named_parameters() if n.removeprefix(f"{kind}.") in loaded or n in loaded]
    assert len(shared) >= 10
    for name, parameter in shared:
        assert torch.equal(loaded.get(name, loaded.get(name.removeprefix(f"{kind}."))), parameter)


def test_frozen_norm_and_stages_stay_as_published(tmp_path: Path) -> None:
    torch.manual_seed(1)
    shape = ResNetConfig(embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1])
    ResNetForImageClassification(shape).save_pretrained(tmp_path)
    config = BackboneConfig(pretrained=str(tmp_path), out_stages=(1, 2), norm="frozen", frozen_stages=1)
    backbone = ImageBackbone(config).train()
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    sum(m.square().sum() for m in backbone(3 + torch.randn(2, 3, 32, 64))).backward()
    assert all(torch.equal(before[name], tensor) for name, tensor in backbone.state_dict().items())
    trainable = {name for name, p in backbone.named_parameters() if p.requires_grad}
    assert trainable
    assert all(name.startswith("model.encoder.stages.1.") and "normalization" not in name for name in trainable)


def test_stages_behind_the_last_used_one_expect_no_gradient(tmp_path: Path) -> None:
    ResNetForImageClassification(ResNetConfig(embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1])).save_pretrained(
        tmp_path
    )
    backbone = ImageBackbone(BackboneConfig(pretrained=str(tmp_path), out_stages=(1,)))
    assert not any(p.requires_grad for n, p in backbone.named_parameters() if ".stages.1." in n)


def test_group_norm_leaves_no_batch_statistics() -> None:
    backbone = random_backbone("resnet").train()
    images = torch.randn(3, 3, 32, 64)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in backbone.modules())
    torch.testing.assert_close(backbone(images)[-1][:1], backbone(images[:1])[-1])


def test_wrong_kind_missing_folder_and_incomplete_weights_are_named(tmp_path: Path) -> None:
    ResNetForImageClassification(ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1])).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="is a resnet, not a swin"):
        ImageBackbone(BackboneConfig(kind="swin", pretrained=str(tmp_path), out_stages=(1,)))
    with pytest.raises(InputError, match="there is no such backbone"):
        ImageBackbone(BackboneConfig(pretrained=str(tmp_path / "nowhere"), out_stages=(1,)))
    ResNetConfig(embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1]).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="the weights lack"):
        ImageBackbone(BackboneConfig(pretrained=str(tmp_path), out_stages=(1,)))


@pytest.mark.parametrize("num_levels", [1, 2, 4])
def test_pyramid_gives_the_levels_asked_for_and_mixes_coarse_into_fine(num_levels: int) -> None:
    neck = FeaturePyramid((8, 12), 16, num_levels)
    maps = torch.randn(1, 8, 8, 16), torch.randn(1, 12, 4, 8, requires_grad=True)
    levels = neck(maps)
    assert [tuple(x.shape) for x in levels] == [(1, 16, 8 // 2**i, 16 // 2**i) for i in range(num_levels)]
    levels[0].square().sum().backward()
    assert maps[1].grad is not None
    assert maps[1].grad.abs().sum() > 0
