"""Trains the embedded teacher: a small Mask2Former on the synthetic world's teacher towns."""

from pydantic import Field

from models.teachers.settings import EmbeddedTeacherSettings
from scene.settings import Settings
from stages.stage import Stage


class PhaseSettings(Settings):
    """One phase of training: AdamW, linear warm-up, then a cosine down to zero.

    Attributes:
        steps: optimisation steps.
        warmup_steps: of them, with a linearly growing learning rate.
        learning_rate: at the peak.
    """

    steps: int = Field(gt=0)
    warmup_steps: int = 100
    learning_rate: float = Field(gt=0)


class TeacherTrainingSettings(Settings):
    """The recipe. Phase 1 trains backbone and pixel decoder per pixel, phase 2 the whole as Mask2Former.

    Attributes:
        network: see `EmbeddedTeacherSettings`.
        image_hw_px: what the network sees; twice the camera image, so that masks (stride 4) have half its size.
        per_pixel: phase 1.
        universal: phase 2.
        batch_size: images per step.
        weight_decay: of matrices and kernels; vectors have none.
        clip_norm: of the gradient.
        max_zoom: random crops show at least 1 / max_zoom of the image's height and width.
        held_out_towns: so many of the teacher towns (the last by name) are kept for the score and never trained on.
        seed: of weights, batches, augmentation and point sampling.
    """

    network: EmbeddedTeacherSettings = EmbeddedTeacherSettings()
    image_hw_px: tuple[int, int] = (192, 384)
    per_pixel: PhaseSettings = PhaseSettings(steps=1600, learning_rate=1.5e-3)
    universal: PhaseSettings = PhaseSettings(steps=1200, learning_rate=4e-4)
    batch_size: int = 8
    weight_decay: float = 0.02
    clip_norm: float = 1.0
    max_zoom: float = 1.6
    held_out_towns: int = 2
    seed: int = 0


STAGE = Stage(
    name="teacher",
    version=1,
    settings=TeacherTrainingSettings,
    inputs=("world", "index"),
    entry="stages.learn.teacher.run:run",
    sources=("stages.learn.teacher", "models.teachers"),
)
