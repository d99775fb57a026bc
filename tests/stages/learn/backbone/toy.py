"""The recipe cut down to seconds."""

from pathlib import Path
from typing import Any

from cache.manifest import Artifact
from cache.store import Store
from stages.learn.backbone import STAGE, BackboneTrainingSettings
from tests.stages.labelled_images.toy_world import build, prepared

SETTINGS: dict[str, Any] = {
    "image_hw_px": [32, 64],
    "shape": {"stem_channels": 8, "hidden_sizes": [8, 12], "depths": [1, 1]},
    "out_stages": [1, 2],
    "neck_channels": 8,
    "per_pixel": {"steps": 4, "warmup_steps": 1, "learning_rate": 0.001},
    "batch_size": 2,
    "held_out_towns": 1,
}


def recipe(root: Path, inputs: dict[str, Artifact] | None = None, **changes: Any) -> tuple[Artifact, bool]:
    """Builds the stage's artifact in the cache at `root`."""
    settings = BackboneTrainingSettings.parse({**SETTINGS, **changes})
    return build(Store(root), STAGE, settings, inputs or prepared(root), None)
