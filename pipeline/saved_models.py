"""Whether the saved models that a plan names fit it: told before anything is labelled or trained."""

from typing import Any

from models.bev.config import BevFormerConfig
from pipeline.layers import Layers, Location
from pipeline.plan import Plan
from scene.errors import InputError
from scene.grid import BevGrid
from scene.labels import LabelSchema
from stages.learn.evaluate import EvaluateSettings
from stages.learn.finetune import FinetuneSettings
from stages.learn.predict import PredictSettings
from stages.learn.pretrain import PretrainSettings
from trainer.saved import SavedModel, read_saved_model

MAY_DIFFER = {
    "image_hw_px", "backbone", "pretrained_neck", "dropout", "initial_offset_cells", "history", "drop_history_frame"
}  # fmt: skip
"""Settings in which a saved trunk may differ from the experiment's."""


def check_saved_models(plan: Plan, layers: Layers) -> None:
    """Checks the models that steps begin with, score as they came, or predict with.

    Args:
        plan: the steps.
        layers: where their settings are written.

    Raises:
        InputError: if there is none, or it has another grid, trunk or cameras; if it is used without training, also for
            another ground or other classes. How wide its backbone is is seen when its weights are read.
    """
    by_name: dict[str, Any] = {step.name: step.settings for step in plan}
    for step in plan:
        settings = step.settings
        if isinstance(settings, PredictSettings):
            place = settings.saved_model
        elif isinstance(settings, PretrainSettings | FinetuneSettings | EvaluateSettings) and settings.initial_model:
            place = settings.initial_model
        else:
            continue
        index, geometry = (by_name[step.inputs[role]] for role in ("index", "geometry"))  # an arm may have its own
        check = _Check(read_saved_model(place), layers)
        check.grid(geometry.grid)
        check.cameras(index.cameras)
        if not isinstance(settings, PredictSettings):
            check.trunk(settings.model)
        if isinstance(settings, PredictSettings | EvaluateSettings):
            check.ground(geometry.ground)
        if isinstance(settings, EvaluateSettings):
            check.classes(settings.label_schema)


class _Check:
    """Raises InputError for what differs between a saved model and the experiment."""

    def __init__(self, saved: SavedModel, layers: Layers) -> None:
        self.saved, self._layers = saved, layers

    def grid(self, grid: BevGrid) -> None:
        if self.saved.grid != grid:
            what = f"the saved model predicts on a grid of {self.saved.grid.canonical()}"
            raise InputError(what, where=self._layers.place_of(("grid",)), fix="give the experiment the same grid")

    def ground(self, ground: str) -> None:
        self._same(("geometry", "ground"), self.saved.trained_on.ground, ground)

    def cameras(self, cameras: tuple[str, ...]) -> None:
        if self.saved.model.max_cameras:  # else they are interchangeable
            self._same(("index", "cameras"), ", ".join(self.saved.trained_on.cameras), ", ".join(cameras))

    def classes(self, schema: LabelSchema) -> None:
        if self.saved.schema.names != schema.names:
            what = f"the saved model predicts other classes: {', '.join(self.saved.schema.names)}"
            fix = "train it first: give the arm a label_fraction or pretrained"
            raise InputError(what, where=self._layers.place_of(("schema",)), fix=fix)

    def trunk(self, model: BevFormerConfig) -> None:
        theirs, ours = self.saved.model.model_dump(mode="json"), model.model_dump(mode="json")
        for name in sorted(ours.keys() - MAY_DIFFER):
            self._same(("model", name), theirs[name], ours[name])
        for name in ("kind", "out_stages"):
            self._same(("model", "backbone", name), theirs["backbone"][name], ours["backbone"][name])

    def _same(self, location: Location, theirs: object, ours: object) -> None:
        if theirs != ours:
            what = f"the saved model was trained with {'.'.join(map(str, location))} = {theirs}, here it is {ours}"
            raise InputError(what, where=self._layers.place_of(location), fix="give the experiment the saved model's")
