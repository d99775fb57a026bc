"""Feature pyramid (Lin et al., FPN, CVPR 2017)."""

import math
from pathlib import Path

import torch.nn.functional as F
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from scene.errors import InputError

NECK_FILE = "neck.safetensors"


class FeaturePyramid(nn.Module):
    """Maps of a backbone to maps of equal channels, with the coarse ones added into the fine ones.

    GroupNorm follows every convolution: it keeps the levels on one scale for the attention that mixes them, and
    needs no batch statistics. Our choice; FPN itself has no norm.
    """

    def __init__(self, in_channels: tuple[int, ...], channels: int, num_levels: int) -> None:
        super().__init__()
        self.num_levels = num_levels
        self.lateral = nn.ModuleList(_conv_norm(c, channels, kernel_size=1) for c in in_channels)
        self.smooth = nn.ModuleList(_conv_norm(channels, channels) for _ in in_channels[:num_levels])
        extra = max(0, num_levels - len(in_channels))
        self.extra = nn.ModuleList(_conv_norm(channels, channels, stride=2) for _ in range(extra))

    def forward(self, maps: tuple[Float[Tensor, "N _ _ _"], ...]) -> list[Float[Tensor, "N _ _ _"]]:
        """`num_levels` maps, finest first."""
        levels = [lateral(x) for lateral, x in zip(self.lateral, maps, strict=True)]
        for i in range(len(levels) - 1, 0, -1):
            levels[i - 1] = levels[i - 1] + F.interpolate(levels[i], size=levels[i - 1].shape[-2:], mode="nearest")
        levels = [smooth(x) for smooth, x in zip(self.smooth, levels, strict=False)]
        for stride_two in self.extra:
            levels.append(stride_two(levels[-1].relu()))
        return levels


def save_neck(neck: FeaturePyramid, folder: Path) -> None:
    """Writes `NECK_FILE`, for `BevFormerConfig.pretrained_neck`."""
    save_file({name: value.contiguous() for name, value in neck.state_dict().items()}, folder / NECK_FILE)


def load_neck(neck: FeaturePyramid, folder: Path) -> None:
    """Puts the weights of `NECK_FILE` in place.

    Raises:
        InputError: if there is no such file, it is damaged, or of a pyramid of another shape.
    """
    file = folder / NECK_FILE
    fix = "set model.pretrained_neck to false, or give a backbone's folder that has its pyramid"
    try:
        neck.load_state_dict(load_file(file))
    except FileNotFoundError:
        raise InputError("the pretrained backbone comes without a pyramid", where=str(file), fix=fix) from None
    except (OSError, SafetensorError) as error:
        raise InputError(f"the pretrained pyramid cannot be read: {error}", where=str(file), fix=fix) from error
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()
        raise InputError(f"the pretrained pyramid is of another shape: {first}", where=str(file), fix=fix) from error


def _conv_norm(in_channels: int, channels: int, kernel_size: int = 3, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(in_channels, channels, kernel_size, stride, padding=kernel_size // 2, bias=False)
    return nn.Sequential(conv, nn.GroupNorm(math.gcd(8, channels), channels))
