"""The stages there are. A new stage is a folder under `stages/` and a line here."""

import importlib
from collections.abc import Callable

from scene.settings import Settings
from stages.stage import Stage

STAGES: dict[str, str] = {
    "world": "stages.prepare.world",
    "index": "stages.prepare.index",
    "teacher_labels": "stages.prepare.teacher_labels",
    "geometry": "stages.prepare.geometry",
    "bev_labels": "stages.prepare.bev_labels",
    "look": "stages.prepare.look",
    "teacher": "stages.learn.teacher",
    "pretrain": "stages.learn.pretrain",
    "finetune": "stages.learn.finetune",
    "evaluate": "stages.learn.evaluate",
    "report": "stages.learn.report",
}


def stage(name: str) -> Stage:
    """The description of the stage `name`; imports that stage's folder and nothing heavy."""
    found: Stage = importlib.import_module(STAGES[name]).STAGE
    return found


def roles(name: str, settings: Settings) -> tuple[str, ...]:
    """The inputs that the stage `name` reads with these settings.

    A stage that reads more or less depending on its settings says so in a function `inputs_for` beside its `STAGE`.
    Roles that stay optional keep their "?".
    """
    choose: Callable[[Settings], tuple[str, ...]] | None = getattr(
        importlib.import_module(STAGES[name]), "inputs_for", None
    )
    return stage(name).inputs if choose is None else choose(settings)
