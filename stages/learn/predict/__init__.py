"""Prediction: what a saved model sees along the drives of a data set, which needs no label, no map and no teacher."""

from typing import Annotated

from scene.settings import NOT_IN_KEY, Settings
from stages.stage import Stage


class PredictSettings(Settings):
    """What is predicted, by which model.

    Attributes:
        saved_model: folder that `bevprior save-model` wrote. Keys have its content, not its place. Grid, classes and
            image size are the model's.
        split: the scenes; null for all.
    """

    saved_model: Annotated[str, NOT_IN_KEY]
    split: str | None = None


STAGE = Stage(
    name="predict",
    version=1,
    settings=PredictSettings,
    inputs=("index", "geometry"),
    entry="stages.learn.predict.run:run",
    reads_data=True,
    fingerprint="stages.learn.predict.fingerprint:fingerprint",
    sources=("stages.learn.predict", "trainer", "models.bev", "models.objectives", "scene"),
    shared=True,
)
