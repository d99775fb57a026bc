"""Settings of the reprojection objective. Values are our choice (docs/methods.md section 3 says what each is for)."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from models.objectives.choice import ObjectiveConfig
from scene.settings import Settings

Fraction = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0)]


class TemporalConfig(Settings):
    """The agreement of consecutive frames.

    Attributes:
        weight: of the term; 0 switches it off.
        min_confidence: cells where the previous frame's largest probability is lower say nothing.
        edge_cells: cells at most this far (Chebyshev distance, in cells) from another class in the previous frame say
            nothing, because warping blurs them and agreement there would smooth thin classes away; 0 keeps them all.
    """

    weight: NonNegative = 0.3
    min_confidence: Fraction = 0.5
    edge_cells: Annotated[int, Field(ge=0)] = 1


class NeighbourConfig(Settings):
    """Other keyframes of the scene whose labels show the same ground from nearer by, or past what hides it now.

    Attributes:
        count: how many are drawn anew for each sample; 0 leaves the sample's own alone.
        reach: how many keyframes before and after they may be.
    """

    count: Annotated[int, Field(ge=0)] = 0
    reach: Annotated[int, Field(ge=1)] = 8


class ReprojectionConfig(ObjectiveConfig):
    """Cross-entropy of the BEV prediction against the teacher's classes, where each label pixel's ray meets the ground.

    Attributes:
        points_per_frame: ground points drawn per sample, in proportion to their weight.
        class_balance: exponent of the class weight, frequency ** -class_balance.
        cross_entropy_weight, dice_weight: of the two terms; 0 switches a term off.
        neighbours: see `NeighbourConfig`.
        temporal: see `TemporalConfig`.
    """

    entry: ClassVar[str] = "models.objectives.reprojection.objective:ReprojectionObjective"
    needs: ClassVar[tuple[str, ...]] = ("ground_points",)

    name: Literal["reprojection"] = "reprojection"
    points_per_frame: Annotated[int, Field(ge=1)] = 8000
    class_balance: NonNegative = 0.5
    cross_entropy_weight: NonNegative = 1.0
    dice_weight: NonNegative = 0.0
    neighbours: NeighbourConfig = NeighbourConfig()
    temporal: TemporalConfig = TemporalConfig()
