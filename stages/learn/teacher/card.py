"""The model card that lies beside the weights."""

from collections.abc import Mapping

from stages.learn.teacher import TeacherTrainingSettings
from synthetic.contents import Semantic
from synthetic.settings import WorldSettings

_TEXT = """---
license: apache-2.0
library_name: transformers
pipeline_tag: image-segmentation
---
# The embedded teacher

A small Mask2Former ({parameters:,} parameters) that labels camera images of the embedded world in {num_classes} classes
(`synthetic/contents.py`). It stands in for a real teacher in the demo and in the tests, and it knows nothing of real
streets. `make teacher` writes weights, configuration and this page; `python -m stages.learn.teacher.publish ARTIFACT`
copies them here. Nothing is edited by hand. `python -m stages.prepare.teacher_labels.check LABELS INDEX WORLD` scores
the labels that it made of any embedded world.

## Quality

Intersection over union on {num_held_out} images of {num_towns} towns that it was not trained on,
at {label_h} x {label_w} px, by the code that makes pseudo-labels:

{table}

## Recipe

1. Backbone and pixel decoder with one linear classifier per class: {per_pixel_steps} steps, AdamW {per_pixel_rate:g};
   weighted cross-entropy, binary cross-entropy and Dice.
2. The query decoder starts with query k showing class k by the mask of classifier row k, so nothing is unlearnt. Then
   the whole network is trained with Mask2Former's own loss and matching: {universal_steps} steps,
   AdamW {universal_rate:g}.

{batch_size} images per step from {num_trained} images: mirrored, cropped by up to {max_zoom:g}, recoloured.
In each phase a linear warm-up, then a cosine to zero. Seed {seed}.

World (`configs/experiments/teacher.yaml`): seed {world_seed}, {teacher_towns} towns, {teacher_scenes} scenes of
{frames} frames that are {interval:g} s apart. The towns share no street, light or traffic with those that the demo
trains on and is scored on.

Input: RGB at {image_h} x {image_w} px (camera images enlarged twofold), normalised as in `preprocessor_config.json`.
"""


def model_card(
    settings: TeacherTrainingSettings,
    world: WorldSettings,
    table: str,
    counts: Mapping[str, int],
) -> str:
    """The card's text.

    Args:
        settings: the recipe.
        world: the settings of the world that it was trained in.
        table: of the scores (`stages.labelled_images.scoring.score_table`).
        counts: "parameters", "trained" and "held_out" (images), "towns" (held out).
    """
    return _TEXT.format(
        parameters=counts["parameters"],
        num_classes=len(Semantic),
        num_held_out=counts["held_out"],
        num_trained=counts["trained"],
        num_towns=counts["towns"],
        label_h=world.image_wh_px[1],
        label_w=world.image_wh_px[0],
        table=table,
        per_pixel_steps=settings.per_pixel.steps,
        per_pixel_rate=settings.per_pixel.learning_rate,
        universal_steps=settings.universal.steps,
        universal_rate=settings.universal.learning_rate,
        batch_size=settings.batch_size,
        max_zoom=settings.max_zoom,
        seed=settings.seed,
        world_seed=world.seed,
        teacher_towns=world.teacher.num_towns,
        teacher_scenes=world.teacher.num_scenes,
        frames=world.frames_per_scene,
        interval=world.frame_interval_s,
        image_h=settings.image_hw_px[0],
        image_w=settings.image_hw_px[1],
    )
