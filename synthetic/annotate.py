"""Boxes of the vehicles at a keyframe, with how many LiDAR points hit them and how much of them the cameras see."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from scene.camera import project
from scene.transform import Matrix, apply, inverse

ANNOTATED_M = 80.0
_CORNERS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])


def count_points(points_global: Matrix, global_from_box: Matrix, size_m: tuple[float, float, float]) -> int:
    """How many of (N, 3) points lie in a box grown by 5 cm, ground left out."""
    local = apply(inverse(global_from_box), points_global)
    inside = np.all(np.abs(local) <= np.array(size_m) / 2 + 0.05, axis=1)
    return int(np.sum(inside & (points_global[:, 2] > 0.1)))


def projected_area_px(
    global_from_box: Matrix,
    size_m: tuple[float, float, float],
    image_from_camera: Matrix,
    camera_from_global: Matrix,
    image_wh: tuple[int, int],
) -> float:
    """Area of a box's convex outline inside the image; 0 where a corner is behind the camera."""
    corners = apply(camera_from_global @ global_from_box, _CORNERS * np.array(size_m))
    pixels, depth = project(image_from_camera, corners)
    if np.any(depth < 0.5):
        return 0.0
    hull = cv2.convexHull(pixels.astype(np.float32))
    width, height = image_wh
    frame = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32) - np.float32(0.5)
    area, _ = cv2.intersectConvexConvex(hull, frame)
    return float(area)


def visibility_token(visible_px: float, projected_px: float) -> str:
    """nuScenes visibility level of a vehicle from what all cameras see of it."""
    # A box's outline is larger than the vehicle in it, by about a sixth.
    share = visible_px / max(0.85 * projected_px, 1.0)
    return str(1 + int(np.searchsorted([0.4, 0.6, 0.8], share, side="right")))


def instance_pixels(instances: Sequence[NDArray[np.uint16]], num_instances: int) -> NDArray[np.int64]:
    """(num_instances,) pixels of each instance over several masks."""
    total = np.zeros(num_instances, np.int64)
    for mask in instances:
        total += np.bincount(mask.ravel(), minlength=num_instances)[:num_instances]
    return total
