"""Fine-tuning: a BEV model learns from the BEV labels of some scenes, from random, pretrained or saved weights."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from models.bev.config import BevFormerConfig
from models.objectives.choice import ObjectiveChoice, ObjectiveConfig
from models.objectives.reprojection.config import ReprojectionConfig
from scene.errors import InputError
from scene.grid import BevGrid
from scene.labels import LabelSchema
from scene.settings import JOINED_LATER, NOT_IN_KEY, Settings
from stages.stage import Stage
from trainer.settings import AugmentSettings, OptimiserSettings, SupervisedSettings, ValidationSettings


class FinetuneSettings(Settings):
    """What is fine-tuned, and how.

    Attributes:
        model: the trunk.
        grid, label_schema: of the BEV prediction.
        init: weights at the start: random, those of the input `pretrain`, or those of `initial_model`.
        initial_model: folder that `bevprior save-model` wrote, for `init` "saved". Keys have its content, not its
            place.
        label_fraction: of the split's scenes whose BEV labels are used, at least one scene; smaller ones are nested
            in larger ones.
        subset_seed: which scenes; not the seed of the training, so that repeated trainings see the same labels.
        keep_objective_weight: in pretrained arms, half of each batch are frames of any scene of the split, on which
            the pretraining objective goes on with this weight, so that what it taught is not forgotten; 0: labels
            only, in the whole batch.
        kept_objective: the pretraining objective that goes on, for `keep_objective_weight`.
        supervised: the loss against BEV labels.
        from_random, from_pretrained: how to optimise; saved weights are gone on with as pretrained ones.
        augment: see there.
        split: the scenes.
        validation: scores on BEV labels meanwhile, to watch; none by default.
        seed: of weights, samples and augmentation.
    """

    model: BevFormerConfig
    grid: BevGrid
    label_schema: LabelSchema
    init: Literal["random", "pretrained", "saved"] = "random"
    initial_model: Annotated[str | None, NOT_IN_KEY] = None
    label_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    subset_seed: int = 0
    keep_objective_weight: Annotated[float, Field(ge=0)] = 1.0
    kept_objective: ObjectiveChoice = ReprojectionConfig()
    supervised: SupervisedSettings = SupervisedSettings()
    from_random: OptimiserSettings = OptimiserSettings(learning_rate=2e-3, backbone_factor=1.0)
    from_pretrained: OptimiserSettings = OptimiserSettings(steps=150, learning_rate=1e-3, backbone_factor=1.0)
    augment: AugmentSettings = AugmentSettings()
    validation: Annotated[ValidationSettings | None, JOINED_LATER] = None
    split: str = "train"
    seed: int = 0

    @model_validator(mode="after")
    def _saved_weights_lie_somewhere(self) -> "FinetuneSettings":
        if (self.init == "saved") != (self.initial_model is not None):
            raise ValueError('`initial_model` is what init "saved" begins with, and nothing else does')
        return self

    @property
    def optimiser(self) -> OptimiserSettings:
        """The one that `init` asks for."""
        return self.from_random if self.init == "random" else self.from_pretrained

    @property
    def watched(self) -> ValidationSettings | None:
        """How it is scored meanwhile."""
        return self.validation

    @property
    def num_samples(self) -> int:
        """How many samples the training sees."""
        return self.optimiser.num_samples

    @property
    def objective(self) -> ObjectiveConfig | None:
        """The pretraining objective that takes part in this arm, and whose needs the plan has to meet."""
        return self.kept_objective if self.init == "pretrained" and self.keep_objective_weight > 0 else None

    @property
    def batch_parts(self) -> tuple[int, ...]:
        """Samples of a batch that are labelled, and those that are the objective's, where one is kept.

        Raises:
            InputError: if the batch has no half.
        """
        size = self.optimiser.batch_size
        if self.objective is None:
            return (size,)
        if size % 2:
            raise InputError(
                f"a batch of {size} cannot be half labelled",
                where="finetune.from_pretrained.batch_size",
                fix="make it even, or set keep_objective_weight to 0",
            )
        return size // 2, size // 2

    def for_key(self, values: dict[str, Any]) -> dict[str, Any]:
        """Without what plays no part in this arm, so that changing it does not train the arm anew."""
        unused = {"from_pretrained" if self.init == "random" else "from_random"}
        if self.objective is None:
            unused |= {"kept_objective", "keep_objective_weight"}
        return {name: value for name, value in super().for_key(values).items() if name not in unused}


STAGE = Stage(
    name="finetune",
    version=7,
    settings=FinetuneSettings,
    inputs=("index", "geometry", "bev_labels", "pretrain?"),
    entry="stages.learn.finetune.run:run",
    reads_data=True,
    fingerprint="stages.fingerprint:of_model",
    sources=("stages.learn.finetune", "stages.training", "trainer", "models.bev", "models.objectives", "scene"),
)
"""Beside these inputs it reads those that `settings.objective.needs` names, where an objective is kept."""
