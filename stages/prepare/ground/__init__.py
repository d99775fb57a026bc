"""Stage `ground`: the plane of the road around each keyframe, from its LiDAR sweep. No label is read."""

from pydantic import Field

from scene.settings import Settings
from stages.stage import Stage


class GroundSettings(Settings):
    """How the plane is fitted; every value is our choice.

    Attributes:
        radius_m: points further than this from the ego origin are left out: further away the road may bend.
        max_offset_m: points further than this above or below z = 0 of the ego frame are no candidates, plus
            `max_tilt_deg` times their distance.
        max_tilt_deg: largest angle between the plane and z = 0; a fit beyond it is refused.
        scale_m: residual at which a point counts for nothing in the last rounds (Tukey's biweight). Kerbs are higher.
        min_points: with fewer candidates nothing is fitted.
    """

    radius_m: float = Field(30.0, gt=5)
    max_offset_m: float = Field(0.4, gt=0)
    max_tilt_deg: float = Field(3.0, gt=0, lt=30)
    scale_m: float = Field(0.08, gt=0)
    min_points: int = Field(200, ge=3)


STAGE = Stage(
    name="ground",
    version=2,
    settings=GroundSettings,
    inputs=("index",),
    entry="stages.prepare.ground.run:run",
    reads_data=True,
    fingerprint="stages.prepare.ground.fingerprint:fingerprint",
    sources=("stages.prepare.ground", "scene"),
)
