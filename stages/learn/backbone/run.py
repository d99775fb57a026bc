"""Entry of the stage `backbone`."""

from collections.abc import Mapping
from typing import Any

from scene.errors import InputError
from stages.labelled_images.pictures import pictures_of, split_by_town, world_settings
from stages.labelled_images.results import write_results
from stages.labelled_images.scoring import score, score_table
from stages.learn.backbone import BackboneTrainingSettings
from stages.learn.backbone.card import model_card
from stages.learn.backbone.training import Training
from stages.stage import StageRun
from trainer.process import choose_device, pin_threads

IMAGES_PER_BATCH = 16


def run(stage_run: StageRun) -> Mapping[str, Any]:
    """Writes a folder for `BackboneConfig.pretrained`, with model card, scores and the history of its losses.

    Raises:
        InputError: if the world has too few teacher towns to hold some out, the index does not hold its scenes, or the
            images are not of the recipe's size.
    """
    settings: BackboneTrainingSettings = stage_run.settings
    build, runtime = stage_run.build, stage_run.runtime
    world = stage_run.inputs["world"]
    pictures = pictures_of(world, stage_run.inputs["index"])
    if pictures.semantic.shape[1:] != settings.image_hw_px:
        raise InputError(
            f"the camera images have {pictures.semantic.shape[1:]} px, the recipe wants {settings.image_hw_px}",
            where="backbone.image_hw_px",
            fix="set it to the world's size (data.world.image_wh_px is width, height)",
        )
    trained, held_out = split_by_town(pictures, settings.held_out_towns)

    device = choose_device(runtime.device)
    pin_threads(device)
    checkpoint = build.path / "checkpoint.pt"
    training = Training(settings, trained, device, checkpoint)
    network = training.run(runtime.checkpoint_seconds, runtime.progress)
    scores = score(training.predict, held_out, IMAGES_PER_BATCH)
    network.save_backbone(build.path)
    counts = {
        "parameters": sum(p.numel() for p in network.backbone.parameters()),
        "trained": len(trained.images),
        "held_out": len(held_out.images),
        "towns": settings.held_out_towns,
    }
    card = model_card(settings, world_settings(world), score_table(scores, held_out), counts)
    write_results(build.path, training.history, scores, card)
    checkpoint.unlink(missing_ok=True)
    return {"image_plane_iou": scores, **counts}
