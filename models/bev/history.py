"""The past of a clip: the motion since the previous keyframe, and leaving a keyframe out."""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from models.bev.inputs import Clip

_MOTION_SCALE_M = 10.0
"""About one keyframe's way in fast city traffic. Our choice."""


class EgoMotionEmbedding(nn.Module):
    """Planar ego-motion since the previous keyframe as an embedding for the queries.

    Input of the MLP: translation x and y (over 10 m), sine and cosine - 1 of the yaw, and 1; all zero where there is
    no previous keyframe. It stands in for the CAN bus vector of upstream, see `BevFormerConfig.ego_motion`.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(5, dim // 2), nn.ReLU(), nn.Linear(dim // 2, dim), nn.ReLU(), nn.LayerNorm(dim)
        )

    def forward(
        self, ego_from_previous: Float[Tensor, "B 4 4"], has_previous: Bool[Tensor, " B"]
    ) -> Float[Tensor, "B D"]:
        """An embedding for each batch item."""
        x, y = ego_from_previous[:, 0, 3] / _MOTION_SCALE_M, ego_from_previous[:, 1, 3] / _MOTION_SCALE_M
        yaw = torch.atan2(ego_from_previous[:, 1, 0], ego_from_previous[:, 0, 0])
        motion = torch.stack([x, y, yaw.sin(), yaw.cos() - 1, torch.ones_like(yaw)], dim=-1)
        motion = torch.where(has_previous[:, None], motion, 0.0)
        embedding: Tensor = self.mlp(motion.to(next(self.mlp.parameters()).dtype))
        return embedding


def without_frame(clip: Clip, index: int) -> Clip:
    """The clip without one past keyframe; the motions before and after it become one.

    Raises:
        IndexError: if `index` is not that of a past keyframe.
    """
    num_past = len(clip.frames) - 1
    if not 0 <= index < num_past:
        raise IndexError(f"frame {index} is none of the {num_past} past frames of the clip")
    motions, joined = list(clip.ego_from_previous), list(clip.has_previous)
    if index > 0:
        # Float64: a matmul inside autocast would round metres to bfloat16, and float64 is left alone by it.
        motion = motions[index].double() @ motions[index - 1].double()
        motions[index] = motion.to(motions[index].dtype)
        joined[index] = joined[index] & joined[index - 1]
    frames = (*clip.frames[:index], *clip.frames[index + 1 :])
    first = max(index - 1, 0)
    return replace(
        clip,
        frames=frames,
        ego_from_previous=(*motions[:first], *motions[first + 1 :]),
        has_previous=(*joined[:first], *joined[first + 1 :]),
    )
