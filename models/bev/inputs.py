"""What a BEV model sees."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from transformers.utils.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

_SCALE = (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)  # as the published backbones want images


def normalised(images: UInt8[Tensor, "N 3 h w"] | Float[Tensor, "N 3 h w"]) -> Float[Tensor, "N 3 h w"]:
    """RGB images as the network wants them, on their own device; those that are no uint8 are so already.

    On the device, because a data loader would need longer for it than for reading, and would send four times as much.
    """
    if images.is_floating_point():
        return images
    mean, std = (torch.tensor(v, device=images.device)[:, None, None] * 255 for v in _SCALE)
    return (images.float() - mean) / std


@dataclass(frozen=True, eq=False)
class CameraFrames:
    """One keyframe of each of B clips, C cameras.

    Attributes:
        images: RGB at the model's image size: uint8, or float that `normalised` has been applied to.
        image_from_ego: maps homogeneous ego points (x, y, z, 1) to (u d, v d, d), d the depth in metres, (u, v) a
            pixel of `images`. It already holds the camera's own time and pose.
        valid: False where a camera is missing; its image is then never read.
    """

    images: UInt8[Tensor, "B C 3 h w"] | Float[Tensor, "B C 3 h w"]
    image_from_ego: Float[Tensor, "B C 3 4"]
    valid: Bool[Tensor, "B C"]

    def map(self, function: Callable[[Tensor], Tensor]) -> "CameraFrames":
        """With every tensor replaced by the function's value of it."""
        return replace(self, **{f.name: function(getattr(self, f.name)) for f in fields(self)})


@dataclass(frozen=True, eq=False)
class Clip:
    """B clips of T past keyframes and the current one.

    Attributes:
        frames: T + 1 keyframes, oldest first, the current one last.
        ego_from_previous: T transforms; [t] maps the ego frame of frames[t] into that of frames[t + 1].
        has_previous: T masks; [t] is False where frames[t] is not of the same scene as frames[t + 1].
    """

    frames: tuple[CameraFrames, ...]
    ego_from_previous: tuple[Float[Tensor, "B 4 4"], ...]
    has_previous: tuple[Bool[Tensor, " B"], ...]

    @property
    def current(self) -> CameraFrames:
        """The newest keyframe."""
        return self.frames[-1]

    def map(self, function: Callable[[Tensor], Tensor]) -> "Clip":
        """With every tensor replaced by the function's value of it."""
        return Clip(
            frames=tuple(frame.map(function) for frame in self.frames),
            ego_from_previous=tuple(map(function, self.ego_from_previous)),
            has_previous=tuple(map(function, self.has_previous)),
        )
