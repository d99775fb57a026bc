"""Random changes of where a sample's cameras stand: of the ego frame, and of each camera's picture.

Both are BEVDet's (Huang et al., 2021): the first makes few maps many, the second few cameras many.
"""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from models.objectives.frames import ClipArrays, FrameArrays
from scene.grid import BevGrid
from scene.labels import IGNORE
from scene.transform import rigid, rotation_from_euler
from trainer.augment import in_ego_frame
from trainer.settings import AugmentSettings


def rotated_at_random(
    clip: ClipArrays, grid: BevGrid, augment: AugmentSettings, random: np.random.Generator
) -> ClipArrays:
    """The clip in an ego frame that is rotated about its vertical axis by a random angle."""
    if augment.bev_rotation_deg <= 0:
        return clip
    return rotated(clip, grid, np.deg2rad(random.uniform(-1, 1) * augment.bev_rotation_deg))


def rotated(clip: ClipArrays, grid: BevGrid, angle_rad: float) -> ClipArrays:
    """The clip in an ego frame in which everything lies `angle_rad` further to the left.

    Cells that the grid did not cover before have no label (IGNORE) and are not seen. What is read through a view stays
    as it was recorded; `ego_from_view` rotates its place.
    """
    ego_from_recorded = rigid(rotation_from_euler(0, 0, angle_rad), np.zeros(3))
    cells, inside = grid.cells_of(grid.centres() @ ego_from_recorded[:2, :2])

    def moved(layer: NDArray[np.generic], outside: int) -> NDArray[np.generic]:
        return np.where(inside, layer[cells[..., 0], cells[..., 1]], np.asarray(outside, layer.dtype))

    clip = in_ego_frame(clip, ego_from_recorded)
    return replace(
        clip,
        frames=tuple(replace(frame, seen=moved(frame.seen, False)) for frame in clip.frames),
        bev_class=None if clip.bev_class is None else moved(clip.bev_class, IGNORE),
    )


def resized_at_random(
    clip: ClipArrays, grid: BevGrid, augment: AugmentSettings, random: np.random.Generator
) -> ClipArrays:
    """The clip as cameras of other focal lengths, a little rolled, would have seen it; the same in all its frames."""
    if augment.image_scale <= 0 and augment.image_rotation_deg <= 0:
        return clip
    num_cameras, height, width, _ = clip.current.images.shape
    most = np.log1p(augment.image_scale)
    scale = np.exp(random.uniform(-most, most, num_cameras))
    angle_deg = random.uniform(-1, 1, num_cameras) * augment.image_rotation_deg
    place = random.uniform(-1, 1, (num_cameras, 2))
    return resized(clip, grid, image_changes((height, width), scale, angle_deg, place))


def image_changes(
    image_hw_px: tuple[int, int], scale: NDArray[np.float64], angle_deg: NDArray[np.float64], place: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Matrices (C, 3, 3) of homogeneous pixels that scale and rotate about the image's centre, and then shift it.

    Args:
        image_hw_px: of the image, before and after.
        scale, angle_deg: (C,).
        place: (C, 2) from -1 to 1: which part of an enlarged image stays, or where a reduced one lies; 0 is the middle.
    """
    centre = (np.array(image_hw_px[::-1]) - 1) / 2
    changes = np.broadcast_to(np.eye(3), (len(scale), 3, 3)).copy()
    changes[:, :2] = [cv2.getRotationMatrix2D(tuple(centre), a, s) for a, s in zip(angle_deg, scale, strict=True)]
    changes[:, :2, 2] += place * np.abs(scale - 1)[:, None] * centre
    return changes


def resized(clip: ClipArrays, grid: BevGrid, changes: NDArray[np.float64]) -> ClipArrays:
    """The clip with every camera's images warped by a matrix (3, 3) of pixels, black where there was no image.

    A cell is seen if it was, and its centre on the ground still lies in one of the images.
    """
    _, height, width, _ = clip.current.images.shape
    ground = np.insert(grid.centres().reshape(-1, 2), 2, 1.0, axis=1)

    def resized_frame(frame: FrameArrays) -> FrameArrays:
        warped = [
            cv2.warpAffine(np.ascontiguousarray(image), change[:2], (width, height))
            for image, change in zip(frame.images, changes, strict=True)
        ]
        matrix = changes @ frame.image_from_ego
        u, v, depth = np.moveaxis(ground @ np.swapaxes(matrix[..., [0, 1, 3]], -1, -2), -1, 0)
        shown = (depth > 0) & (u >= -0.5 * depth) & (u < (width - 0.5) * depth)
        shown &= (v >= -0.5 * depth) & (v < (height - 0.5) * depth) & frame.valid[:, None]
        return replace(
            frame,
            images=np.stack(warped),
            image_from_ego=matrix,
            seen=frame.seen & shown.any(axis=0).reshape(grid.shape),
        )

    return replace(clip, frames=tuple(resized_frame(frame) for frame in clip.frames))
