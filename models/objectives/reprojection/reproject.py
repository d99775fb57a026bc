"""Which ground points lie on the grid, and the BEV prediction there."""

from typing import Any

import numpy as np
import torch.nn.functional as F
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from scene.grid import BevGrid


def inside_grid(points_m: NDArray[np.floating[Any]], grid: BevGrid) -> NDArray[np.bool_]:
    """Whether ground points (..., 2) lie on the grid; NaN does not."""
    (x0, x1), (y0, y1) = grid.x_range_m, grid.y_range_m
    x, y = points_m[..., 0], points_m[..., 1]
    inside: NDArray[np.bool_] = (x >= x0) & (x < x1) & (y >= y0) & (y < y1)
    return inside


def sample_bev(
    bev: Float[Tensor, "B K X Y"], points_m: Float[Tensor, "B P 2"], grid: BevGrid
) -> Float[Tensor, "B P K"]:
    """BEV values at ground points, bilinear between cell centres (`BevGrid.cell_from_ego`), constant outside them.

    `grid_sample` wants the column (here y) before the row (here x), both from -1 at the outer edge of the first cell
    to 1 at that of the last (`align_corners=False`).
    """
    (x0, x1), (y0, y1) = grid.x_range_m, grid.y_range_m
    x = (2 * points_m[..., 0] - (x0 + x1)) / (x1 - x0)
    y = (2 * points_m[..., 1] - (y0 + y1)) / (y1 - y0)
    where = y.new_empty((*y.shape, 2))
    where[..., 0], where[..., 1] = y, x
    sampled = F.grid_sample(bev, where[:, None], mode="bilinear", padding_mode="border", align_corners=False)
    return sampled[:, :, 0].transpose(1, 2)
