"""Pretraining: a BEV model learns from teacher labels and geometry alone, without any BEV label."""

from typing import Annotated

from models.bev.config import BevFormerConfig
from models.objectives.choice import ObjectiveChoice
from models.objectives.reprojection.config import ReprojectionConfig
from scene.grid import BevGrid
from scene.labels import LabelSchema
from scene.settings import NOT_IN_KEY, Settings
from stages.stage import Stage
from trainer.settings import AugmentSettings, OptimiserSettings


class PretrainSettings(Settings):
    """What is pretrained, and how.

    Attributes:
        model: the trunk.
        grid, label_schema: of the BEV prediction.
        objective: what it learns from; any of `models.objectives.OBJECTIVES`.
        optimiser, augment: see there.
        initial_model: folder that `bevprior save-model` wrote, whose weights it begins with; None: random ones. Keys
            have its content, not its place.
        split: the scenes that it sees.
        seed: of weights, samples and augmentation.
    """

    model: BevFormerConfig
    grid: BevGrid
    label_schema: LabelSchema
    objective: ObjectiveChoice = ReprojectionConfig()
    optimiser: OptimiserSettings = OptimiserSettings(learning_rate=4e-3, backbone_factor=1.0)
    augment: AugmentSettings = AugmentSettings()
    initial_model: Annotated[str | None, NOT_IN_KEY] = None
    split: str = "train"
    seed: int = 0

    @property
    def num_samples(self) -> int:
        """How many samples the training sees."""
        return self.optimiser.num_samples

    @property
    def batch_parts(self) -> tuple[int, ...]:
        """Samples of a batch from each pool; there is one."""
        return (self.optimiser.batch_size,)


STAGE = Stage(
    name="pretrain",
    version=6,
    settings=PretrainSettings,
    inputs=("index", "geometry"),
    entry="stages.learn.pretrain.run:run",
    reads_data=True,
    fingerprint="stages.fingerprint:of_model",
    sources=("stages.learn.pretrain", "stages.training", "trainer", "models.bev", "models.objectives", "scene"),
)
"""Beside these inputs it reads those that `settings.objective.needs` names."""
