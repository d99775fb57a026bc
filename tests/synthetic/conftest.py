"""A small street whose every edge is known, for the tests of the renderer and the LiDAR."""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from scene.transform import inverse, rigid, rotation_from_euler
from synthetic.contents import Ground, Light, Semantic, Solid
from synthetic.surface import Surface

WH_PX = (192, 96)


@dataclass(frozen=True, eq=False)
class Street:
    """A road along x, 14 m wide around y = 30, with lines, a crossing and pavements; 120 x 60 m from (100, 200) on."""

    surface: Surface

    def box(
        self,
        semantic: Semantic,
        instance: int,
        centre_m: tuple[float, float],
        size_m: tuple[float, float, float],
        yaw: float = 0.0,
        seed: int = 7,
    ) -> Solid:
        """A solid on the ground at street coordinates."""
        x, y = centre_m
        pose = rigid(rotation_from_euler(0, 0, yaw), np.array([100 + x, 200 + y, size_m[2] / 2]))
        return Solid(semantic, instance, pose, size_m, seed)

    def camera(
        self, centre_m: tuple[float, float], yaw: float = 0.0, wh_px: tuple[int, int] = WH_PX, height_m: float = 1.5
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """image_from_camera and camera_from_global; level but for a little pitch and roll."""
        width, height = wh_px
        focal = 0.79 * width
        image_from_camera = np.array([[focal, 0, width / 2 - 0.5], [0, focal, height / 2 - 0.5], [0, 0, 1]])
        optical = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
        rotation = rotation_from_euler(0.01, 0.015, yaw) @ optical
        return image_from_camera, inverse(rigid(rotation, np.array([100 + centre_m[0], 200 + centre_m[1], height_m])))


def paint_street(seed: int) -> Ground:
    cells = np.full((1200, 600), Semantic.TERRAIN, np.uint8)
    cells[:, 200:400] = Semantic.SIDEWALK
    cells[:, 230:370] = Semantic.ROAD
    cells[:, 299:301] = Semantic.DIVIDER
    for start in range(0, 1200, 90):
        cells[start : start + 30, 264:266] = cells[start : start + 30, 334:336] = Semantic.DIVIDER
    for start in range(232, 368, 10):
        cells[500:530, start : start + 5] = Semantic.CROSSING
    cells[490:494, 231:298] = Semantic.STOP_LINE
    return Ground(cells, (100.0, 200.0), 0.1, seed)


@pytest.fixture(scope="session")
def street() -> Street:
    return Street(Surface.of(paint_street(3)))


@pytest.fixture(scope="session")
def noon() -> Light:
    return Light((0.36, 0.48, 0.8), 1.0, 0.5, (1.0, 1.0, 1.0), 400.0, 2.0, 0.0)
