"""Stage `bev_labels`: the map layers around each keyframe as bit masks on the BEV grid."""

from pydantic import Field

from scene.grid import BevGrid
from scene.settings import Settings
from stages.stage import Stage


class BevLabelsSettings(Settings):
    """How the map becomes labels; the defaults are HDMapNet's recipe.

    Attributes:
        grid: the cells.
        line_thickness_m: width that lines are drawn with (5 px of 0.15 m).
        boundary_inset_m: boundaries are drawn no closer than this to the edge of the grid.
    """

    grid: BevGrid = BevGrid()
    line_thickness_m: float = Field(0.75, gt=0)
    boundary_inset_m: float = Field(0.2, ge=0)


STAGE = Stage(
    name="bev_labels",
    version=2,
    settings=BevLabelsSettings,
    inputs=("index",),
    entry="stages.prepare.bev_labels.run:run",
    reads_data=True,
    fingerprint="stages.prepare.bev_labels.expansion:fingerprint",
    sources=("stages.prepare.bev_labels", "scene"),
    shared=True,
)
