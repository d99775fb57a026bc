"""Trains the embedded image backbone, from which every arm of the demo starts, as real ones do from ImageNet's."""

from models.bev.config import BackboneShape
from stages.labelled_images.settings import PhaseSettings, RecipeSettings
from stages.stage import Stage


class BackboneTrainingSettings(RecipeSettings):
    """The recipe: a small ResNet learns to segment the teacher towns' camera images, pixel by pixel.

    Attributes:
        shape: of the ResNet.
        out_stages: whose maps the classifier reads, and later the BEV model.
        neck_channels: of the feature pyramid between backbone and classifier, which the BEV model starts from too.
        per_pixel: how long and how fast.
    """

    image_hw_px: tuple[int, int] = (96, 192)
    shape: BackboneShape = BackboneShape(stem_channels=16, hidden_sizes=(24, 48, 64), depths=(1, 1, 1))
    out_stages: tuple[int, ...] = (1, 2, 3)
    neck_channels: int = 32
    per_pixel: PhaseSettings = PhaseSettings(steps=40000, learning_rate=5e-3)


STAGE = Stage(
    name="backbone",
    version=2,
    settings=BackboneTrainingSettings,
    inputs=("world", "index"),
    entry="stages.learn.backbone.run:run",
    sources=("stages.learn.backbone", "stages.labelled_images", "models.bev"),
)
