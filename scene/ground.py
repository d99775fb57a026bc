"""The ground plane z = 0 of the ego frame, as one camera sees it: what a pixel covers, what a point becomes."""

import numpy as np
from numpy.typing import NDArray

from scene.camera import pixel_grid
from scene.transform import Matrix


def ground_points(ground_from_pixel: Matrix, height_px: int, width_px: int) -> tuple[Matrix, NDArray[np.bool_]]:
    """Where the ray of each pixel's centre meets the ground.

    Args:
        ground_from_pixel: homographies (..., 3, 3) of `scene.camera.ground_from_pixel`.
        height_px, width_px: size of the image that the homographies belong to.

    Returns:
        Ego points (..., height, width, 2) as (x, y) in metres, and the mask (..., height, width) of the pixels below
        the horizon; the points of all others are NaN.
    """
    homogeneous = pixel_grid(height_px, width_px) @ np.swapaxes(ground_from_pixel, -1, -2)[..., None, :, :]
    below = homogeneous[..., 2] > 0
    w = np.where(below, homogeneous[..., 2], np.nan)
    return homogeneous[..., :2] / w[..., None], below


def ground_area_m2(ground_from_pixel: Matrix, height_px: int, width_px: int) -> Matrix:
    """Square metres of ground (..., height, width) that each pixel covers; infinite on and above the horizon.

    With H the homography and (X, Y, w) = H (u, v, 1), the map (u, v) -> (X / w, Y / w) has the Jacobian determinant
    det(H) / w^3: a determinant of a projective map depends on the pixel through w alone. As w falls like 1 / distance,
    the area grows with distance^3, which is the weight that lets every square metre count alike
    (derived; checked against finite differences in the tests).
    """
    w = (pixel_grid(height_px, width_px) @ ground_from_pixel[..., 2, :, None][..., None, :, :])[..., 0]
    determinant = np.abs(np.linalg.det(ground_from_pixel))[..., None, None]
    area: Matrix = np.where(w > 0, determinant / np.maximum(w, 1e-12) ** 3, np.inf)
    return area


def pixel_from_ground(image_from_camera: Matrix, camera_from_ego: Matrix) -> Matrix:
    """Homographies (..., 3, 3) from ego ground points (x, y, 1) to (u d, v d, d), d the depth in metres.

    The inverse of `scene.camera.ground_from_pixel` up to scale; unlike that one it is defined for every camera.
    """
    plane: Matrix = image_from_camera @ camera_from_ego[..., :3, [0, 1, 3]]
    return plane


def ground_from_plane(plane: Matrix) -> Matrix:
    """The transform (4, 4) into the frame whose z = 0 is the plane z = a x + b y + c, given as (a, b, c).

    The smallest rotation that does it, so x and y change in second order of the tilt only; the origin stays above or
    below itself.
    """
    a, b, c = (float(value) for value in plane)
    normal = np.array([-a, -b, 1.0]) / np.sqrt(a * a + b * b + 1.0)
    x, y, z = normal
    axis = np.array([[0.0, 0.0, -x], [0.0, 0.0, -y], [x, y, 0.0]])  # the cross product of the normal with the z axis
    result: Matrix = np.eye(4)
    result[:3, :3] += axis + axis @ axis / (1.0 + z)
    result[2, 3] = -c * z
    return result
