"""The sensors: six cameras and a roof LiDAR, arranged and timed like those of nuScenes (values of ours, rounded)."""

from dataclasses import dataclass

import numpy as np

from scene.camera import resize_intrinsics
from scene.transform import Matrix, rigid, rotation_from_euler
from synthetic.contents import CAMERAS

NATIVE_WH_PX = (1600, 900)

_PLACES: dict[str, tuple[tuple[float, float, float], float, float, float]] = {
    "CAM_FRONT": ((1.70, 0.02, 1.51), 0.0, 1266.0, -35.5),
    "CAM_FRONT_RIGHT": ((1.55, -0.49, 1.50), -55.5, 1261.0, -27.6),
    "CAM_BACK_RIGHT": ((1.01, -0.48, 1.56), -110.5, 1260.0, -20.1),
    "CAM_BACK": ((0.03, 0.00, 1.58), 180.0, 809.0, -10.4),
    "CAM_BACK_LEFT": ((1.04, 0.48, 1.59), 108.5, 1257.0, -0.5),
    "CAM_FRONT_LEFT": ((1.52, 0.49, 1.51), 55.0, 1273.0, -43.1),
}
"""Position in the ego frame (m), heading (degrees, left positive), focal length at 1600 x 900 (px), and the time at
which the LiDAR's beam passes the camera's view and triggers it, relative to the sweep's time stamp (ms)."""

TRIGGER_JITTER_MS = 1.5

LIDAR = "LIDAR_TOP"
EGO_FROM_LIDAR: Matrix = rigid(rotation_from_euler(0, 0, np.radians(-90.0)), np.array([0.94, 0.0, 1.84]))
"""As in nuScenes the LiDAR's y axis points forward."""

_EGO_FROM_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


@dataclass(frozen=True, eq=False)
class Camera:
    """A camera of the rig.

    Attributes:
        image_from_camera: (3, 3) intrinsics at the written image size.
        ego_from_camera: (4, 4).
        trigger_ms: mean firing time relative to the LiDAR's time stamp.
    """

    channel: str
    image_from_camera: Matrix
    ego_from_camera: Matrix
    trigger_ms: float


def build_rig(image_wh_px: tuple[int, int]) -> tuple[Camera, ...]:
    """The six cameras in the order of `CAMERAS`, for images of this size.

    The horizontal field of view is that of the 1600 x 900 camera. Where the image is wider in shape than 16:9, rows
    are cut from the top (sky); where it is narrower, rows of sky are added there.
    """
    width, height = image_wh_px
    scaled_height = round(NATIVE_WH_PX[1] * width / NATIVE_WH_PX[0])
    cameras = []
    for channel in CAMERAS:
        position, heading_deg, focal_px, trigger_ms = _PLACES[channel]
        native = np.array([[focal_px, 0, 808.0], [0, focal_px, 490.0], [0, 0, 1.0]])
        intrinsics = resize_intrinsics(native, NATIVE_WH_PX, (width, scaled_height))
        intrinsics[1, 2] -= scaled_height - height
        heading = rotation_from_euler(0, 0, np.radians(heading_deg))
        cameras.append(Camera(channel, intrinsics, rigid(heading @ _EGO_FROM_OPTICAL, np.array(position)), trigger_ms))
    return tuple(cameras)
