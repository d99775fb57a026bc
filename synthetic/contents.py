"""What stands in the world at one instant: the interface between the towns and the renderer."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

CAMERAS = ("CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_RIGHT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_FRONT_LEFT")


class Semantic(IntEnum):
    """Exact classes of the image plane; also the classes of the embedded teacher."""

    SKY = 0
    BUILDING = 1
    VEGETATION = 2
    POLE = 3
    TERRAIN = 4
    SIDEWALK = 5
    ROAD = 6
    DIVIDER = 7
    CROSSING = 8
    STOP_LINE = 9
    ARROW = 10
    VEHICLE = 11


@dataclass(frozen=True, eq=False)
class Ground:
    """The ground of a town (the plane z = 0 of the global frame), seen from above.

    Attributes:
        semantic: (num_x, num_y) uint8 `Semantic` (TERRAIN, SIDEWALK, ROAD or a marking), indexed [x, y].
            Painted markings only: gaps of a dashed line are ROAD.
        origin_m: global x, y of the lower corner of cell (0, 0).
        resolution_m: size of a cell.
        seed: of the paint's wear and the surface's tone, both drawn by the renderer.
    """

    semantic: NDArray[np.uint8]
    origin_m: tuple[float, float]
    resolution_m: float
    seed: int


@dataclass(frozen=True, eq=False)
class Solid:
    """A box that stands on the ground: building, tree crown, pole, vehicle.

    Attributes:
        semantic: BUILDING, VEGETATION, POLE or VEHICLE.
        instance: id in 1..65535, constant over a scene.
        global_from_solid: (4, 4) pose of the box's centre, x along its length.
        size_m: length, width, height.
        seed: of its colour and texture.
    """

    semantic: Semantic
    instance: int
    global_from_solid: NDArray[np.float64]
    size_m: tuple[float, float, float]
    seed: int


@dataclass(frozen=True)
class Light:
    """The light and the camera's condition in one scene.

    Attributes:
        sun_direction: unit vector towards the sun, global frame.
        sun, ambient: strengths, about 1 and 0.5 at noon.
        tint: RGB gains.
        haze_m: distance at which haze hides half of the contrast.
        noise: standard deviation of the sensor noise, of 255.
        wetness: 0 dry to 1 wet (darker ground, weaker paint contrast).
    """

    sun_direction: tuple[float, float, float]
    sun: float
    ambient: float
    tint: tuple[float, float, float]
    haze_m: float
    noise: float
    wetness: float


@dataclass(frozen=True, eq=False)
class CameraTruth:
    """One rendered camera frame: rgb (h, w, 3) uint8, semantic (h, w) uint8, instance (h, w) uint16 (0 = none)."""

    rgb: NDArray[np.uint8]
    semantic: NDArray[np.uint8]
    instance: NDArray[np.uint16]
