"""Stage `teacher_labels`: what a teacher network sees in every camera image, in our classes."""

from pydantic import Field, field_validator, model_validator

from models.teachers.settings import SamSettings, TeacherSource
from scene.labels import LabelSchema, TeacherMap
from scene.settings import Settings
from stages.stage import Stage


class Teacher(TeacherSource):
    """A Mask2Former and how it is used; `configs/teachers/` has one file for each.

    Attributes:
        map: which of its classes become which of ours.
        image_hw_px: (height, width) that images are resized to for it.
    """

    map: TeacherMap
    image_hw_px: tuple[int, int]


class TeacherLabelsSettings(Settings):
    """How label images are made.

    Attributes:
        teacher: see `Teacher`.
        label_schema: our classes.
        label_hw_px: (height, width) of the label images; any resampling of the whole camera image.
        min_confidence: pixels whose class is less probable to the teacher are ignored.
        ego_bonnet: by camera, the share of the image's height, from below, that shows the ego vehicle: ignored.
        frames_per_shard: keyframes in one file of the store, which is also the unit of work of one worker.
        sam: writes class-agnostic masks as well, where given.
    """

    teacher: Teacher
    label_schema: LabelSchema
    label_hw_px: tuple[int, int] = (448, 800)
    min_confidence: float = Field(0.0, ge=0, lt=1)
    ego_bonnet: dict[str, float] = Field(default_factory=dict)
    frames_per_shard: int = Field(8, gt=0)
    sam: SamSettings | None = None

    @field_validator("ego_bonnet")
    @classmethod
    def _shares(cls, shares: dict[str, float]) -> dict[str, float]:
        if wrong := {camera: share for camera, share in shares.items() if not 0 <= share < 1}:
            raise ValueError(f"no share of an image's height: {wrong}")
        return shares

    @model_validator(mode="after")
    def _map_fits(self) -> "TeacherLabelsSettings":
        self.teacher.map.lookup(self.label_schema)
        return self


STAGE = Stage(
    name="teacher_labels",
    version=2,
    settings=TeacherLabelsSettings,
    inputs=("index",),
    entry="stages.prepare.teacher_labels.run:run",
    reads_data=True,
    fingerprint="stages.prepare.teacher_labels.fingerprint:fingerprint",
    sources=("stages.prepare.teacher_labels", "models.teachers", "scene"),
    shared=True,
    fills_machine=True,
)
