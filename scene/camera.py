"""Pinhole cameras: x right, y down, z forward. Pixel (0, 0) is the *centre* of the top left pixel, as in OpenCV."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scene.transform import Matrix, inverse


def resize_intrinsics(image_from_camera: Matrix, from_wh: ArrayLike, to_wh: ArrayLike) -> Matrix:
    """Intrinsics (..., 3, 3) of the same view resampled from one size to another, each (..., 2) as (width, height) px.

    A pixel covers half a pixel on each side of its centre, so the centre moves: u' = (u + 0.5) s - 0.5.
    """
    scale = np.asarray(to_wh, np.float64) / np.asarray(from_wh, np.float64)
    resize = np.zeros((*scale.shape[:-1], 3, 3))
    resize[..., [0, 1], [0, 1]], resize[..., :2, 2], resize[..., 2, 2] = scale, 0.5 * scale - 0.5, 1.0
    resized: Matrix = resize @ image_from_camera
    return resized


def project(image_from_camera: Matrix, points_camera: Matrix) -> tuple[Matrix, Matrix]:
    """Pixels (..., N, 2) as (u, v) and depths (..., N) in metres of camera-frame points (..., N, 3).

    Pixels of points with depth <= 0 are meaningless: mask by depth.
    """
    homogeneous = points_camera @ np.swapaxes(image_from_camera, -1, -2)
    depth = points_camera[..., 2]
    safe = np.where(np.abs(homogeneous[..., 2:]) < 1e-9, 1e-9, homogeneous[..., 2:])
    return homogeneous[..., :2] / safe, depth


def ground_from_pixel(image_from_camera: Matrix, camera_from_ego: Matrix) -> Matrix:
    """Homographies (..., 3, 3) from pixel (u, v, 1) to (x w, y w, w) on the plane z = 0 of the ego frame.

    w > 0 if and only if the pixel's ray meets the plane in front of the camera; w = 1 / (distance along a ray whose
    camera-frame z is 1), so w falls to 0 at the horizon. Derivation: the ray is o + t d with o the camera centre and
    d = R inv(K) (u, v, 1); t = -o_z / d_z, and x w = o_x w + d_x with w = -d_z / o_z.

    Raises:
        ValueError: if a camera centre lies on or below the plane, where no pixel sees it from above.
    """
    ego_from_camera = inverse(camera_from_ego)
    centre = ego_from_camera[..., :3, 3]
    if np.any(centre[..., 2] <= 0):
        raise ValueError("a camera centre lies on or below the ground plane z = 0 of the ego frame")
    direction = ego_from_camera[..., :3, :3] @ np.linalg.inv(image_from_camera)
    w_row = -direction[..., 2, :] / centre[..., 2, None]
    rows = [direction[..., i, :] + centre[..., i, None] * w_row for i in (0, 1)]
    return np.stack([*rows, w_row], axis=-2)


def pixel_grid(height_px: int, width_px: int) -> NDArray[np.float64]:
    """Homogeneous pixel centres (height, width, 3) as (u, v, 1)."""
    u, v = np.meshgrid(np.arange(width_px, dtype=np.float64), np.arange(height_px, dtype=np.float64))
    return np.stack([u, v, np.ones_like(u)], axis=-1)
