"""Pretraining objectives by name. Nothing here imports torch: the plan asks what an objective needs without loading it.

A new objective is a folder `models/objectives/<name>/` and one line in `OBJECTIVES`.
"""

import importlib
from typing import TYPE_CHECKING, Any

from models.objectives.choice import ObjectiveConfig

if TYPE_CHECKING:
    from models.objectives.base import Objective
    from scene.grid import BevGrid
    from scene.labels import LabelSchema

OBJECTIVES: dict[str, str] = {
    "reprojection": "models.objectives.reprojection.config:ReprojectionConfig",
}
"""The settings class of each objective as "module:Class"; the settings class names the objective's own class."""


def _load(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def config_class(name: str) -> type[ObjectiveConfig]:
    """The settings class of the objective `name`.

    Raises:
        ValueError: if no objective has this name.
    """
    if name not in OBJECTIVES:
        raise ValueError(f"no objective {name!r}; known: {', '.join(sorted(OBJECTIVES))}")
    found: type[ObjectiveConfig] = _load(OBJECTIVES[name])
    return found


def build_objective(config: ObjectiveConfig, schema: "LabelSchema", grid: "BevGrid") -> "Objective":
    """The objective that `config` describes, without its heads; imports torch."""
    objective: Objective = _load(config.entry)(config, schema, grid)
    return objective
