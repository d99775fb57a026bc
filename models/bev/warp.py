"""Moves BEV maps from one keyframe's ego frame into the next one's."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from scene.grid import BevGrid


def warp_bev(
    features: Float[Tensor, "B D X Y"], ego_from_previous: Float[Tensor, "B 4 4"], grid: BevGrid
) -> tuple[Float[Tensor, "B D X Y"], Bool[Tensor, "B X Y"]]:
    """The previous keyframe's map as it would lie in the current ego frame.

    Each cell centre (x, y, 0) of the current frame is moved into the previous one by the inverse motion, and the map
    is read there bilinearly: rotation and translation together, about the ego origin wherever the grid puts it, in
    metres on this very grid. Roll and pitch are left to the matrix; the height that they add is dropped.

    Returns:
        The map, differentiable in `features`, zero outside; and where the previous grid covered the cell.
    """
    dtype = torch.promote_types(ego_from_previous.dtype, torch.float32)
    motion = ego_from_previous.to(dtype)
    centres = torch.from_numpy(grid.centres()).to(motion)
    # Products are written out: inside autocast a matmul would round metres to bfloat16.
    relative = F.pad(centres, (0, 1)) - motion[:, None, None, :3, 3]
    previous = (relative[..., None] * motion[:, None, None, :3, :2]).sum(-2)
    lower = motion.new_tensor([grid.x_range_m[0], grid.y_range_m[0]])
    extent = grid.resolution_m * motion.new_tensor(grid.shape)
    position = 2 * (previous - lower) / extent - 1
    inside = (position.abs() <= 1).all(-1)
    sampled_dtype = torch.promote_types(features.dtype, torch.float32)
    warped = F.grid_sample(
        features.to(sampled_dtype), position.flip(-1).to(sampled_dtype), padding_mode="border", align_corners=False
    )
    return (warped * inside[:, None]).to(features.dtype), inside
