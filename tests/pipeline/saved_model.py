"""As little of a saved model as planning looks at: its description, and a file where its weights would be."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pipeline.config import load_experiment
from stages.prepare.index import NUSCENES_CAMERAS
from trainer.saved import FORMAT

SAW = {"cameras": list(NUSCENES_CAMERAS), "ground": "lidar_plane"}
"""What the demo's models are trained on."""


def describe_model(folder: Path, said: Mapping[str, Any] = MappingProxyType({}), **model: Any) -> str:
    """Writes one that fits the demo, but for other things said and changes of its trunk's settings; the folder."""
    experiment, _ = load_experiment("demo")
    assert experiment.model is not None
    assert experiment.label_schema is not None
    description = {
        "format": FORMAT,
        "architecture": {},
        "trained_on": SAW,
        "model": {**experiment.model.model_dump(mode="json"), **model},
        "grid": experiment.grid.canonical(),
        "schema": experiment.label_schema.canonical(),
        **said,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_text("weights")
    (folder / "model.json").write_text(json.dumps(description))
    return str(folder)
