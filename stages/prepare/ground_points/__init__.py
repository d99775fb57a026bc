"""Stage `ground_points`: what the teacher's labels say of the ground around each keyframe, as points with a class."""

from typing import Annotated

from pydantic import Field, PositiveInt, model_validator

from scene.grid import BevGrid
from scene.labels import LabelSchema
from scene.settings import Settings
from stages.stage import Stage

Positive = Annotated[float, Field(gt=0)]


class GroundPointsSettings(Settings):
    """How label pixels become points of the ground (docs/methods.md section 3 says what each setting is for).

    Attributes:
        grid, label_schema: of the BEV prediction that the points are for.
        split: the scenes whose keyframes get points.
        points_per_keyframe: how many are kept, drawn in proportion to their weight.
        max_row_m: pixels whose row covers more ground than this along the ray are left out.
        area_balance: weight pixels so that every BEV cell counts alike; False counts every pixel alike.
        confidence_power: exponent of the teacher's confidence in the weight; 0 ignores it.
        min_confidence: pixels below it become no points. Lines, dashes and stripes are still drawn from them where they
            have a class (`teacher_labels.min_confidence` takes that away), and give it to surer pixels around.
        line_thickness_m: thickness of lines in the map's labels (docs/methods.md section 4), given to boundaries.
        widen: classes of thin paint by name, with the thickness in metres that the map's labels give them.
        join_dashes: classes of dashed paint by name, with the widest gap in metres between two dashes of a line; 0
            for none. The map's lines have no gaps.
        fill_gaps: classes of striped paint by name, with the widest gap in metres between stripes: the map's labels
            cover stripes and gaps.
    """

    grid: BevGrid = BevGrid()
    label_schema: LabelSchema
    split: str = "train"
    points_per_keyframe: PositiveInt = 16000
    max_row_m: Positive = 3.0
    area_balance: bool = True
    confidence_power: Annotated[float, Field(ge=0)] = 1.0
    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.0
    line_thickness_m: Positive = 0.75
    widen: dict[str, Positive] = Field(default={"divider": 0.75})
    join_dashes: dict[str, Annotated[float, Field(ge=0)]] = Field(default={"divider": 6.0})
    fill_gaps: dict[str, Positive] = Field(default={"crossing": 2.0})

    @model_validator(mode="after")
    def _one_treatment(self) -> "GroundPointsSettings":
        given = set(self.widen) | set(self.join_dashes) | set(self.fill_gaps)
        known = {*self.label_schema.names, "divider", "crossing"}  # the defaults' own may be missing in a schema
        if unknown := sorted(given - known):
            raise ValueError(f"{unknown[0]!r} is no class of the label schema: {', '.join(self.label_schema.names)}")
        edges = {bev_class.name for bev_class in self.label_schema.classes if bev_class.edge_of}
        drawn = {*self.widen, *self.fill_gaps, *edges}
        if idle := sorted(set(self.join_dashes) & set(self.label_schema.names) - drawn):
            raise ValueError(f"dashes of {idle[0]!r} are joined only where it is in widen or fill_gaps, or an edge")
        if both := sorted(set(self.widen) & set(self.fill_gaps)):
            raise ValueError(f"classes are both in widen and in fill_gaps: {both}")
        return self


STAGE = Stage(
    name="ground_points",
    version=2,
    settings=GroundPointsSettings,
    inputs=("index", "geometry", "teacher_labels"),
    entry="stages.prepare.ground_points.run:run",
    sources=(
        "stages.prepare.ground_points",
        "models.objectives.points",
        "models.teachers.confidence",
        "trainer.labels",
        "scene",
    ),
    shared=True,
)
