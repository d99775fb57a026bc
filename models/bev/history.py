"""The past of a clip: the motion since the previous keyframe."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

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
