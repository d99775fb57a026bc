"""Which BEV cells a camera's image covers."""

import numpy as np
from numpy.typing import NDArray

from scene.grid import BevGrid
from scene.ground import pixel_from_ground
from scene.transform import Matrix, inverse


def seen_cells(
    image_from_camera: Matrix, camera_from_ego: Matrix, image_hw_px: tuple[int, int], grid: BevGrid, max_range_m: float
) -> NDArray[np.bool_]:
    """Whether each cell's centre, on the ground, is in front of a camera and inside its image: (..., X, Y).

    "Inside" means inside some pixel's square: -0.5 <= u < width - 0.5. What stands in between is not considered
    (occlusion is a matter of the labels). Each condition is a half-plane of the ground: with (u d, v d, d) linear in
    (x, y, 1), u >= a reads u d - a d >= 0, so no division is needed and a sum of two vectors gives the whole grid.
    """
    u, v, depth = np.moveaxis(pixel_from_ground(image_from_camera, camera_from_ego), -2, 0)
    height, width = image_hw_px
    inside = [u + 0.5 * depth, v + 0.5 * depth]
    strictly_inside = [depth, (width - 0.5) * depth - u, (height - 0.5) * depth - v]
    centres = grid.centres()
    x, y = centres[:, 0, 0], centres[0, :, 1]
    camera_xy_m = inverse(camera_from_ego)[..., :2, 3]
    dx_sq, dy_sq = (x - camera_xy_m[..., :1]) ** 2, (y - camera_xy_m[..., 1:]) ** 2
    seen: NDArray[np.bool_] = dx_sq[..., :, None] + dy_sq[..., None, :] <= max_range_m**2
    for compare, planes in ((np.greater_equal, inside), (np.greater, strictly_inside)):
        for a in planes:
            along_x, along_y = a[..., 0, None] * x + a[..., 2, None], a[..., 1, None] * y
            seen &= compare(along_x[..., :, None], -along_y[..., None, :])
    return seen


def pack_cells(cells: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Masks (..., X, Y) as bits (..., ceil(X * Y / 8)), first cell in the highest bit (`np.packbits`)."""
    return np.packbits(cells.reshape(*cells.shape[:-2], -1), axis=-1)
