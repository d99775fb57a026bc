"""Image backbones of `transformers`, made fit for training on a few clips at a time."""

import functools
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import (
    AutoConfig,
    ConvNextBackbone,
    ConvNextConfig,
    ResNetBackbone,
    ResNetConfig,
    SwinBackbone,
    SwinConfig,
)
from transformers.utils import logging

from models.bev.config import BackboneConfig, BackboneShape
from models.bev.source import WHAT
from models.sources import local_folder
from scene.errors import InputError

_CLASSES: dict[str, Any] = {"resnet": ResNetBackbone, "swin": SwinBackbone, "convnext": ConvNextBackbone}
_CONFIGS: dict[str, Any] = {"resnet": ResNetConfig, "swin": SwinConfig, "convnext": ConvNextConfig}


class ImageBackbone(nn.Module):
    """Multi-scale features of a batch of images.

    Args:
        config: which backbone, and what of it is trained.
        architecture: that of a backbone of the same settings (its property of that name): weights are not read from
            where `config.pretrained` says, but put in place by the caller.

    Attributes:
        channels: channels of each returned map.

    Raises:
        InputError: if the pretrained weights cannot be loaded, are of another kind or incomplete.
    """

    def __init__(self, config: BackboneConfig, architecture: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        out_features = [f"stage{i}" for i in config.out_stages]
        if architecture is not None:
            self.model = _CLASSES[config.kind](_CONFIGS[config.kind].from_dict(dict(architecture)))
        elif config.shape is not None:
            self.model = _CLASSES[config.kind](_architecture(config.kind, config.shape, out_features))
        else:
            self.model = _load_pretrained(config, out_features)
        self.channels: tuple[int, ...] = tuple(self.model.channels)
        self._frozen = _freeze(self.model, config)
        if config.norm == "group":
            _batch_norm_to_group_norm(self.model)
        if config.gradient_checkpointing:
            _checkpoint_stages(self.model)
        # Channels innermost: convolutions are a sixth faster on a CPU, and it is the layout of a GPU's tensor cores.
        self.model.to(memory_format=torch.channels_last)

    def forward(self, images: Float[Tensor, "N 3 h w"]) -> tuple[Float[Tensor, "N _ _ _"], ...]:
        """One map for each of `out_stages`, finest first. (h, w) should be a multiple of the coarsest stride."""
        return tuple(self.model(images.contiguous(memory_format=torch.channels_last)).feature_maps)

    @property
    def architecture(self) -> dict[str, Any]:
        """The configuration that `transformers` keeps of the network, as JSON values, but for where it came from."""
        values: dict[str, Any] = json.loads(self.model.config.to_json_string(use_diff=False))
        return {name: value for name, value in values.items() if name != "_name_or_path"}

    def train(self, mode: bool = True) -> "ImageBackbone":
        """Frozen parts stay in evaluation mode, so that their statistics never move."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self


def _architecture(kind: str, shape: BackboneShape, out_features: list[str]) -> Any:
    depths = list(shape.depths)
    if kind == "swin":
        heads = list(shape.num_heads)
        return SwinConfig(
            embed_dim=shape.stem_channels, depths=depths, num_heads=heads, window_size=shape.window_size,
            drop_path_rate=0.0, out_features=out_features,
        )  # fmt: skip
    sizes = list(shape.hidden_sizes)
    if kind == "convnext":
        # The published 1e-6 is for deep networks and long schedules; a shallow one would barely start. Our choice.
        return ConvNextConfig(
            num_stages=len(depths), hidden_sizes=sizes, depths=depths, layer_scale_init_value=1.0,
            out_features=out_features,
        )  # fmt: skip
    return ResNetConfig(
        embedding_size=shape.stem_channels, hidden_sizes=sizes, depths=depths, layer_type=shape.layer_type,
        out_features=out_features,
    )  # fmt: skip


def _load_pretrained(config: BackboneConfig, out_features: list[str]) -> Any:
    assert config.pretrained is not None, "either shape or pretrained"
    name = local_folder(config.pretrained, WHAT) or config.pretrained
    fix = "give a hub name or a local folder with config.json and model.safetensors"
    if isinstance(name, Path):
        logging.disable_progress_bar()  # worth its line for a download only
    try:
        published = AutoConfig.from_pretrained(name, revision=config.revision, trust_remote_code=False)
        if published.model_type != config.kind:
            raise InputError(
                f"the pretrained backbone is a {published.model_type}, not a {config.kind}",
                where=str(name), fix="set backbone.kind to the model's own kind",
            )  # fmt: skip
        model, info = _CLASSES[config.kind].from_pretrained(
            name, revision=config.revision, use_safetensors=True, trust_remote_code=False,
            out_features=out_features, output_loading_info=True,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"cannot load the pretrained backbone: {reason}", where=str(name), fix=fix) from error
    # The norms on the output maps belong to the backbone wrapper: no published classifier has them.
    missing = [key for key in sorted(info["missing_keys"]) if not key.startswith("hidden_states_norms.")]
    if missing:
        raise InputError(f"the weights lack {len(missing)} tensors, e.g. {missing[0]}", where=str(name), fix=fix)
    return model


def _stages(model: Any) -> list[nn.Module]:
    return list(model.swin.encoder.layers if isinstance(model, SwinBackbone) else model.encoder.stages)


def _freeze(model: Any, config: BackboneConfig) -> list[nn.Module]:
    """Turns gradients off where the settings say so and where none would ever come; returns what stays in eval mode."""
    frozen: list[nn.Module] = []
    stages = _stages(model)
    if config.frozen_stages:
        stem = model.swin.embeddings if config.kind == "swin" else getattr(model, "embedder", None) or model.embeddings
        frozen += [stem, *stages[: config.frozen_stages]]
    if config.norm == "frozen":
        frozen += [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    # Without a gradient for ever, these would make distributed training wait for one.
    unused: list[nn.Module] = stages[max(config.out_stages) :]
    if config.kind == "swin":
        unused.append(model.swin.layernorm)
    for module in [*frozen, *unused]:
        module.requires_grad_(False)
    return frozen


def _batch_norm_to_group_norm(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, nn.GroupNorm(math.gcd(8, child.num_features), child.num_features))
        else:
            _batch_norm_to_group_norm(child)


def _checkpoint_stages(model: Any) -> None:
    # Of the three families only Swin can checkpoint by itself. Wrapping the call keeps the parameters' names.
    for stage in _stages(model):
        stage.forward = functools.partial(_recomputed, stage.forward)


def _recomputed(forward: Any, *args: Any, **kwargs: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*args, **kwargs)
    return checkpoint(forward, *args, use_reentrant=False, **kwargs)
