"""Pretraining: a BEV model learns from teacher labels and geometry alone, without any BEV label."""

from typing import Annotated, Any

from models.bev.config import BevFormerConfig
from models.objectives.choice import ObjectiveChoice
from models.objectives.reprojection.config import ReprojectionConfig
from scene.grid import BevGrid
from scene.labels import LabelSchema
from scene.settings import JOINED_LATER, NOT_IN_KEY, Settings
from stages.stage import Stage
from trainer.settings import AugmentSettings, OptimiserSettings, ValidationSettings


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
        validation: scores on BEV labels meanwhile, to watch; none by default, nor of an objective that predicts no BEV
            classes.
        seed: of weights, samples and augmentation.
    """

    model: BevFormerConfig
    grid: BevGrid
    label_schema: LabelSchema
    objective: ObjectiveChoice = ReprojectionConfig()
    optimiser: OptimiserSettings = OptimiserSettings(learning_rate=4e-3, backbone_factor=1.0)
    augment: AugmentSettings = AugmentSettings()
    initial_model: Annotated[str | None, NOT_IN_KEY] = None
    validation: Annotated[ValidationSettings | None, JOINED_LATER] = None
    split: str = "train"
    seed: int = 0

    @property
    def watched(self) -> ValidationSettings | None:
        """How it is scored meanwhile, where the objective predicts what can be scored."""
        return self.validation if self.objective.predicts_bev else None

    @property
    def also_reads(self) -> tuple[str, ...]:
        """Inputs beside those that every pretraining has: BEV labels, where it is watched."""
        return () if self.watched is None else ("bev_labels",)

    @property
    def num_samples(self) -> int:
        """How many samples the training sees."""
        return self.optimiser.num_samples

    @property
    def batch_parts(self) -> tuple[int, ...]:
        """Samples of a batch from each pool; there is one."""
        return (self.optimiser.batch_size,)

    def for_key(self, values: dict[str, Any]) -> dict[str, Any]:
        """Without a validation that there is none of."""
        unused = {"validation"} if self.watched is None else set()
        return {name: value for name, value in super().for_key(values).items() if name not in unused}


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
