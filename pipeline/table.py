"""The stages there are, each after those it reads. A new stage is a folder under `stages/` and a line here."""

import importlib

from stages.stage import Stage

STAGES: dict[str, str] = {
    "world": "stages.prepare.world",
    "index": "stages.prepare.index",
    "teacher_labels": "stages.prepare.teacher_labels",
    "ground": "stages.prepare.ground",
    "geometry": "stages.prepare.geometry",
    "ground_points": "stages.prepare.ground_points",
    "bev_labels": "stages.prepare.bev_labels",
    "look": "stages.prepare.look",
    "teacher": "stages.learn.teacher",
    "backbone": "stages.learn.backbone",
    "pretrain": "stages.learn.pretrain",
    "finetune": "stages.learn.finetune",
    "evaluate": "stages.learn.evaluate",
    "report": "stages.learn.report",
    "predict": "stages.learn.predict",
}


def stage(name: str) -> Stage:
    """The description of the stage `name`; imports that stage's folder and nothing heavy."""
    found: Stage = importlib.import_module(STAGES[name]).STAGE
    return found
