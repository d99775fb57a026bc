"""The embedded world: synthetic drives in the nuScenes format, with exact truth beside them."""

from stages.stage import Stage
from synthetic.settings import SplitSettings, WorldSettings

__all__ = ["STAGE", "SplitSettings", "WorldSettings"]

STAGE = Stage(
    name="world",
    version=3,
    settings=WorldSettings,
    inputs=(),
    entry="stages.prepare.world.run:run",
    sources=("synthetic", "stages.prepare.world"),
    shared=True,
    fills_machine=True,
)
