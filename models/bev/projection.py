"""Where the cells of a BEV grid appear in the cameras."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from models.bev.inputs import CameraFrames
from scene.grid import BevGrid

MIN_DEPTH_M = 0.1
"""Points nearer to a camera's plane than this are not in view. Our choice."""
_FAR_OUTSIDE = -10.0


@dataclass(frozen=True, eq=False)
class CameraHits:
    """The cells that each camera sees, gathered so that a camera costs what it sees, not the whole grid.

    L is the largest number of cells that any camera of the batch sees.

    Attributes:
        cell: which cell, x-major; a camera with fewer than L fills up with cells it does not see.
        is_hit: False for that filling.
        locations: of the cell's height anchors Z as fractions of the (padded) image, (along width, along height).
        num_cameras: how many cameras see each cell.
    """

    cell: Int[Tensor, "B C L"]
    is_hit: Bool[Tensor, "B C L"]
    locations: Float[Tensor, "B C L Z 2"]
    num_cameras: Int[Tensor, "B Q"]


def anchor_points(grid: BevGrid, heights_m: tuple[float, ...]) -> Float[Tensor, "Q Z 3"]:
    """Ego-frame points in metres above every cell centre, cells x-major, float32."""
    centres = torch.from_numpy(grid.centres()).float().flatten(0, 1)
    heights = torch.tensor(heights_m)
    xy = centres[:, None].expand(-1, len(heights), 2)
    return torch.cat([xy, heights[None, :, None].expand(len(centres), -1, 1)], dim=-1)


def project_anchors(
    points_m: Float[Tensor, "Q Z 3"], frames: CameraFrames
) -> tuple[Float[Tensor, "B C Q Z 2"], Bool[Tensor, "B C Q Z"]]:
    """Pixels (u, v) of `frames.images`, and whether each is in front of a valid camera and inside its image.

    Products are written out: inside autocast a matmul would round metres to bfloat16. Points are the innermost axes:
    that is six times as fast as coordinates.
    """
    matrix = frames.image_from_ego.to(torch.promote_types(frames.image_from_ego.dtype, torch.float32))
    x, y, z = points_m.to(matrix).unbind(-1)
    by_x, by_y, by_z, shift = matrix[:, :, :3, :, None, None].unbind(3)
    u_d, v_d, depth = (by_x * x + by_y * y + by_z * z + shift).unbind(2)
    in_front = depth > MIN_DEPTH_M
    pixels = torch.stack([u_d, v_d], dim=-1) / torch.where(in_front, depth, torch.ones_like(depth))[..., None]
    height_px, width_px = frames.images.shape[-2:]
    corner = pixels.new_tensor([width_px - 0.5, height_px - 0.5])
    inside = ((pixels >= -0.5) & (pixels <= corner)).all(-1)
    return pixels, in_front & inside & frames.valid[:, :, None, None]


def find_hits(points_m: Float[Tensor, "Q Z 3"], frames: CameraFrames, padded_hw_px: tuple[int, int]) -> CameraHits:
    """Projects the anchors; a camera sees a cell when at least one of its anchors is in view."""
    pixels, in_view = project_anchors(points_m, frames)
    sees = in_view.any(-1)
    # Stable: the order of cells, and with it every sum over them, is the same on each run.
    num_hits = int(sees.sum(-1).max())
    cell = sees.to(torch.uint8).argsort(dim=-1, descending=True, stable=True)[..., : max(num_hits, 1)]
    size = pixels.new_tensor([padded_hw_px[1], padded_hw_px[0]])
    # Anchors out of view may not contribute: outside of the image every sample reads zero.
    locations = torch.where(in_view[..., None], (pixels + 0.5) / size, _FAR_OUTSIDE)
    index = cell[..., None, None].expand(-1, -1, -1, *locations.shape[-2:])
    return CameraHits(
        cell=cell,
        is_hit=sees.gather(2, cell),
        locations=locations.gather(2, index).to(torch.promote_types(frames.images.dtype, torch.float32)),
        num_cameras=sees.sum(1),
    )
