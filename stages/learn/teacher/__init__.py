"""Trains the embedded teacher: a small Mask2Former on the synthetic world's teacher towns."""

from models.teachers.settings import EmbeddedTeacherSettings
from stages.labelled_images.settings import PhaseSettings, RecipeSettings
from stages.stage import Stage


class TeacherTrainingSettings(RecipeSettings):
    """The recipe. Phase 1 trains backbone and pixel decoder per pixel, phase 2 the whole as Mask2Former.

    Attributes:
        network: see `EmbeddedTeacherSettings`.
        image_hw_px: what the network sees; twice the camera image, so that masks (stride 4) have half its size.
        per_pixel: phase 1.
        universal: phase 2.
    """

    network: EmbeddedTeacherSettings = EmbeddedTeacherSettings()
    image_hw_px: tuple[int, int] = (192, 384)
    per_pixel: PhaseSettings = PhaseSettings(steps=3500, learning_rate=1.5e-3)
    universal: PhaseSettings = PhaseSettings(steps=2500, learning_rate=4e-4)


STAGE = Stage(
    name="teacher",
    version=1,
    settings=TeacherTrainingSettings,
    inputs=("world", "index"),
    entry="stages.learn.teacher.run:run",
    sources=("stages.learn.teacher", "stages.labelled_images", "models.teachers"),
)
