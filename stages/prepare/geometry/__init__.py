"""Stage `geometry`: where each camera is and what it sees of the ground, per keyframe."""

from typing import Literal

from pydantic import Field

from scene.grid import BevGrid
from scene.settings import Settings
from stages.stage import Stage


class GeometrySettings(Settings):
    """For which image size and grid the geometry is computed.

    Attributes:
        label_hw_px: (height, width) of the label images that the intrinsics are for; any resampling of the whole
            camera image, also one that changes its aspect ratio.
        grid: whose cells are looked up in the cameras.
        max_range_m: cells whose centre is further than this from the camera on the ground count as unseen.
        ground: the surface that pixels and cells lie on: "ego_plane" is z = 0 of the keyframe's ego frame;
            "lidar_plane" is what the stage `ground` found, and then "ego" means that frame set upright on that plane.
    """

    label_hw_px: tuple[int, int] = (448, 800)
    grid: BevGrid = BevGrid()
    max_range_m: float = Field(60.0, gt=0)
    ground: Literal["ego_plane", "lidar_plane"] = "ego_plane"


STAGE = Stage(
    name="geometry",
    version=1,
    settings=GeometrySettings,
    inputs=("index", "ground?"),
    entry="stages.prepare.geometry.run:run",
    sources=("stages.prepare.geometry", "scene"),
    shared=True,
)
