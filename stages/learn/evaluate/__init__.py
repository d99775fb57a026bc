"""Evaluation: a trained model, or an untrained one, against the BEV labels of a split."""

from typing import Annotated, Any

from pydantic import Field, PositiveInt

from models.bev.config import BevFormerConfig
from scene.grid import BevGrid
from scene.labels import LabelSchema
from scene.settings import NOT_IN_KEY, Settings
from stages.stage import Stage


class EvaluateSettings(Settings):
    """What is scored.

    Attributes:
        model: the trunk that the weights belong to.
        grid, label_schema: of labels and predictions.
        split: the scenes.
        every: score every n-th frame of the split, counted in the order of the dataset index; all are predicted,
            because each hands its BEV features on to the next.
        seed: of the random weights, where neither a trained model nor a saved one comes in.
        initial_model: folder that `bevprior save-model` wrote: the model that is scored where no trained one comes in.
            Keys have its content, not its place.
        batch_size: scenes that are predicted side by side; decides how fast, and no more than a last bit of a logit.
        by_visibility: also score seen, occluded and unseen cells apart, by the teacher's labels. With False, here and
            in the report's `pseudo_labels`, an experiment that pretrains nothing needs no teacher. Keys say it by
            whether there are teacher labels among the inputs.
    """

    model: BevFormerConfig
    grid: BevGrid
    label_schema: LabelSchema
    split: str = "val"
    every: PositiveInt = 1
    seed: int = 0
    initial_model: Annotated[str | None, NOT_IN_KEY] = None
    batch_size: Annotated[int, Field(ge=1), NOT_IN_KEY] = 4
    by_visibility: Annotated[bool, NOT_IN_KEY] = True

    @property
    def unread(self) -> tuple[str, ...]:
        """Inputs of the stage that these settings do without."""
        return () if self.by_visibility else ("teacher_labels",)

    def for_key(self, values: dict[str, Any]) -> dict[str, Any]:
        """Without the seed, where a saved model is scored: it has no say."""
        kept = super().for_key(values)
        return kept if self.initial_model is None else {name: kept[name] for name in kept if name != "seed"}


STAGE = Stage(
    name="evaluate",
    version=3,
    settings=EvaluateSettings,
    inputs=("index", "geometry", "teacher_labels", "bev_labels", "model?"),
    entry="stages.learn.evaluate.run:run",
    reads_data=True,
    fingerprint="stages.fingerprint:of_model",
    sources=("stages.learn.evaluate", "trainer", "models.bev", "models.objectives", "scene"),
)
