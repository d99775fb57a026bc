"""What the cameras see of each BEV cell: its ground, something in front of it, or nothing."""

import numpy as np
from jaxtyping import Bool, Float, UInt8

from models.objectives.frames import Array
from scene.grid import BevGrid
from scene.ground import pixel_from_ground
from scene.labels import IGNORE, STRUCTURE
from trainer.metrics import OCCLUDED, OUTSIDE, SEEN


def cell_visibility(
    class_id: UInt8[Array, "C H W"],
    image_from_camera: Float[Array, "C 3 3"],
    camera_from_ego: Float[Array, "C 4 4"],
    seen_by_camera: Bool[Array, "C X Y"],
    grid: BevGrid,
) -> UInt8[Array, "X Y"]:
    """`OUTSIDE` where no camera has the cell in view; `SEEN` where one has and the teacher calls the pixel nearest to
    the cell's centre ground; `OCCLUDED` where all that have it see a structure or something movable there.

    `image_from_camera` is at the size of the teacher labels `class_id`.
    """
    height, width = class_id.shape[1:]
    homogeneous = np.concatenate([grid.centres(), np.ones((*grid.shape, 1))], axis=-1)
    shown = np.zeros(grid.shape, np.bool_)
    for labels, intrinsics, pose, in_view in zip(
        class_id, image_from_camera, camera_from_ego, seen_by_camera, strict=True
    ):
        pixels = homogeneous[in_view] @ pixel_from_ground(intrinsics, pose).T
        u, v = np.round(pixels[:, :2] / pixels[:, 2:]).astype(int).T
        labels_there = labels[v.clip(0, height - 1), u.clip(0, width - 1)]
        shown[in_view] |= (labels_there != STRUCTURE) & (labels_there != IGNORE)
    in_any_view = seen_by_camera.any(axis=0)
    return np.where(shown, SEEN, np.where(in_any_view, OCCLUDED, OUTSIDE)).astype(np.uint8)
