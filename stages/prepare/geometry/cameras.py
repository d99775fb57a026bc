"""Camera matrices and ego-motion of an index, all frames at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scene.camera import ground_from_pixel, resize_intrinsics
from scene.errors import InputError
from scene.frames import FrameIndex
from scene.transform import Matrix, inverse


@dataclass(frozen=True, eq=False)
class CameraGeometry:
    """What `geometry.zarr` holds, less the seen cells; shapes and meaning as in docs/architecture.md."""

    image_from_camera: Matrix
    camera_from_ego: Matrix
    ground_from_pixel: Matrix
    ego_from_global: Matrix
    ego_from_previous: Matrix
    has_previous: NDArray[np.uint8]


def camera_geometry(
    index: FrameIndex, label_hw_px: tuple[int, int], ground_from_ego: Matrix | None = None
) -> CameraGeometry:
    """The geometry of every frame of an index, for label images of (height, width) px.

    Args:
        index: the frames.
        label_hw_px: (height, width) px.
        ground_from_ego: (F, 4, 4); where given, "ego" in the result is that upright frame on the ground.

    Raises:
        InputError: naming the first camera that is not above the ground of its ego frame.
    """
    global_from_ego = index.global_from_ego
    if ground_from_ego is not None:
        global_from_ego = global_from_ego @ inverse(ground_from_ego)
    ego_from_global = inverse(global_from_ego)
    camera_from_global = inverse(index.global_from_ego_at_camera @ index.ego_from_camera)
    camera_from_ego = camera_from_global @ global_from_ego[:, None]
    _check_heights(index, camera_from_ego)
    image_from_camera = resize_intrinsics(index.image_from_camera, index.image_wh_px, label_hw_px[::-1])
    has_previous = index.previous >= 0
    ego_from_previous = ego_from_global @ global_from_ego[np.maximum(index.previous, 0)]
    ego_from_previous[~has_previous] = np.eye(4)
    return CameraGeometry(
        image_from_camera,
        camera_from_ego,
        ground_from_pixel(image_from_camera, camera_from_ego),
        ego_from_global,
        ego_from_previous,
        has_previous.astype(np.uint8),
    )


def _check_heights(index: FrameIndex, camera_from_ego: Matrix) -> None:
    height_m = inverse(camera_from_ego)[..., 2, 3]
    low = np.argwhere(height_m <= 0)
    if len(low):
        frame, camera = (int(i) for i in low[0])
        raise InputError(
            f"{len(low)} cameras lie on or below the ground, the first is {index.camera_names[camera]} "
            f"at {height_m[frame, camera]:.2f} m",
            where=f"sample {index.frame_token[frame]}",
            fix="check the calibrated_sensor table: z = 0 of the ego frame is the ground",
        )
