"""Entry of the stage `teacher`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cache.store import Artifact
from models.teachers.saving import save_teacher
from scene.errors import InputError
from scene.frames import FrameIndex
from stages.learn.teacher import TeacherTrainingSettings
from stages.learn.teacher.card import model_card
from stages.learn.teacher.pictures import Pictures, load_pictures
from stages.learn.teacher.scoring import score_teacher
from stages.learn.teacher.training import Training
from stages.stage import StageRun
from synthetic.contents import Semantic
from synthetic.settings import WorldSettings


def run(stage_run: StageRun) -> Mapping[str, Any]:
    """Writes a teacher's folder: weights, configurations, model card, scores and the history of its losses.

    Raises:
        InputError: if the world has too few teacher towns to hold some out, or the index does not hold its scenes.
    """
    settings: TeacherTrainingSettings = stage_run.settings
    build, runtime = stage_run.build, stage_run.runtime
    world = WorldSettings.parse(dict(stage_run.inputs["world"].manifest.spec.settings))
    pictures = _pictures(stage_run.inputs["world"], world, stage_run.inputs["index"])
    trained, held_out = split_by_town(pictures, settings.held_out_towns)

    cuda = runtime.device == "cuda" or (runtime.device == "auto" and torch.cuda.is_available())
    checkpoint = build.path / "checkpoint.pt"
    training = Training(settings, trained, torch.device("cuda" if cuda else "cpu"), checkpoint)
    network = training.run(runtime.checkpoint_seconds, runtime.progress)
    save_teacher(network, build.path, settings.image_hw_px)
    scores = score_teacher(build.path, held_out, settings.image_hw_px)
    counts = {
        "parameters": sum(p.numel() for p in network.parameters()),
        "trained": len(trained.images),
        "held_out": len(held_out.images),
        "towns": settings.held_out_towns,
    }
    _write_texts(build.path, training.history, scores, model_card(settings, world, scores, _shares(held_out), counts))
    checkpoint.unlink(missing_ok=True)
    return {"image_plane_iou": scores, **counts}


def split_by_town(pictures: Pictures, num_held_out: int) -> tuple[Pictures, Pictures]:
    """Pictures to train on, and those of the last `num_held_out` towns by name.

    Raises:
        InputError: if no town would be left on either side.
    """
    towns = tuple(sorted(set(pictures.town.tolist())))
    if not 0 < num_held_out < len(towns):
        raise InputError(
            f"{num_held_out} of {len(towns)} teacher towns cannot be held out",
            where="teacher.held_out_towns",
            fix="build more towns (data.world.teacher.num_towns), hold out fewer, but at least one",
        )
    return pictures.of_towns(towns[:-num_held_out]), pictures.of_towns(towns[-num_held_out:])


def _pictures(world: Artifact, settings: WorldSettings, index: Artifact) -> Pictures:
    return load_pictures(world.path, settings, FrameIndex.load(index.path / "index.npz"))


def _shares(pictures: Pictures) -> dict[str, float]:
    pixels = np.bincount(pictures.semantic.ravel(), minlength=len(Semantic))
    return {c.name.lower(): float(pixels[c] / pixels.sum()) for c in Semantic}


def _write_texts(folder: Path, history: list[dict[str, Any]], scores: Mapping[str, float], card: str) -> None:
    (folder / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in history))
    (folder / "scores.json").write_text(json.dumps(scores, indent=1) + "\n")
    (folder / "README.md").write_text(card)
