"""The recipe cut down to seconds."""

from pathlib import Path
from typing import Any

from cache.manifest import Artifact
from cache.store import Store
from stages.learn.teacher import STAGE, TeacherTrainingSettings
from tests.models.teachers.tiny import SIZE
from tests.stages.labelled_images.toy_world import build, prepared

SETTINGS: dict[str, Any] = {
    "network": {**SIZE.canonical(), "num_queries": 12},
    "image_hw_px": [64, 128],
    "per_pixel": {"steps": 3, "warmup_steps": 1, "learning_rate": 0.001},
    "universal": {"steps": 3, "warmup_steps": 1, "learning_rate": 0.001},
    "batch_size": 2,
    "held_out_towns": 1,
}


def recipe(root: Path, inputs: dict[str, Artifact] | None = None, **changes: Any) -> tuple[Artifact, bool]:
    """Builds the stage's artifact in the cache at `root`."""
    settings = TeacherTrainingSettings.parse({**SETTINGS, **changes})
    return build(Store(root), STAGE, settings, inputs or prepared(root), None)
