"""Entry of the stage `teacher`."""

from collections.abc import Mapping
from typing import Any

from models.teachers.saving import save_teacher
from stages.labelled_images.pictures import pictures_of, split_by_town, world_settings
from stages.labelled_images.results import write_results
from stages.labelled_images.scoring import score_table
from stages.learn.teacher import TeacherTrainingSettings
from stages.learn.teacher.card import model_card
from stages.learn.teacher.scoring import score_teacher
from stages.learn.teacher.training import Training
from stages.stage import StageRun
from trainer.process import choose_device, pin_threads


def run(stage_run: StageRun) -> Mapping[str, Any]:
    """Writes a teacher's folder: weights, configurations, model card, scores and the history of its losses.

    Raises:
        InputError: if the world has too few teacher towns to hold some out, or the index does not hold its scenes.
    """
    settings: TeacherTrainingSettings = stage_run.settings
    build, runtime = stage_run.build, stage_run.runtime
    world = stage_run.inputs["world"]
    trained, held_out = split_by_town(pictures_of(world, stage_run.inputs["index"]), settings.held_out_towns)

    device = choose_device(runtime.device)
    pin_threads(device)
    checkpoint = build.path / "checkpoint.pt"
    training = Training(settings, trained, device, checkpoint)
    network = training.run(runtime.checkpoint_seconds, runtime.progress)
    save_teacher(network, build.path, settings.image_hw_px)
    scores = score_teacher(build.path, held_out, settings.image_hw_px)
    counts = {
        "parameters": sum(p.numel() for p in network.parameters()),
        "trained": len(trained.images),
        "held_out": len(held_out.images),
        "towns": settings.held_out_towns,
    }
    card = model_card(settings, world_settings(world), score_table(scores, held_out), counts)
    write_results(build.path, training.history, scores, card)
    checkpoint.unlink(missing_ok=True)
    return {"image_plane_iou": scores, **counts}
