"""The model card that lies beside the weights."""

from collections.abc import Mapping

from stages.learn.backbone import BackboneTrainingSettings
from synthetic.contents import Semantic
from synthetic.settings import WorldSettings

_TEXT = """---
license: apache-2.0
library_name: transformers
pipeline_tag: image-feature-extraction
---
# The embedded backbone

A small ResNet ({parameters:,} parameters) that was trained to segment camera images of the embedded world. Every arm
of the demo, from scratch or pretrained, starts from it, as models of real drives start from ImageNet's weights; but it
knows more of the task than those: exact pixel labels of such streets taught it, dividers and crossings among them. It
has seen images only: no geometry, no BEV label and no town of the demo. `make backbone` trains it and prints the
scores below; `python -m stages.learn.backbone.publish ARTIFACT` copies weights, configuration and this page here.
Nothing is edited by hand. A BEV model takes it with `backbone: {{kind: resnet, pretrained: embedded, ...}}`, and with
`pretrained_neck: true` the feature pyramid that it was trained with (`neck.safetensors`).

## Quality

Intersection over union of the network it was trained in, on {num_held_out} images of {num_towns} towns that it was not
trained on, at {image_h} x {image_w} px:

{table}

## Recipe

Backbone, feature pyramid ({neck_channels} channels) and one linear classifier for {num_classes} classes
(`synthetic/contents.py`); the last is thrown away. {steps} steps of AdamW, {rate:g} after {warmup} steps of linear
warm-up, then a cosine to zero; weight decay {weight_decay:g}; cross-entropy with weights 1 / log(1.02 + share).
{batch_size} images per step from {num_trained} images: mirrored, cropped by up to {max_zoom:g}, recoloured.
Seed {seed}. The learning rate was chosen on two other towns, with fewer steps in fewer towns.

World (`configs/experiments/backbone.yaml`): seed {world_seed}, {teacher_towns} towns, {teacher_scenes} scenes of
{frames} frames that are {interval:g} s apart. The towns share no street, light or traffic with those that the demo
trains on and is scored on.

Input: RGB at {image_h} x {image_w} px, normalised with ImageNet's mean and standard deviation.
"""


def model_card(settings: BackboneTrainingSettings, world: WorldSettings, table: str, counts: Mapping[str, int]) -> str:
    """The card's text.

    Args:
        settings: the recipe.
        world: the settings of the world that it was trained in.
        table: of the scores (`stages.labelled_images.scoring.score_table`).
        counts: "parameters" of the backbone, "trained" and "held_out" (images), "towns" (held out).
    """
    return _TEXT.format(
        parameters=counts["parameters"],
        num_held_out=counts["held_out"],
        num_trained=counts["trained"],
        num_towns=counts["towns"],
        num_classes=len(Semantic),
        table=table,
        neck_channels=settings.neck_channels,
        steps=settings.per_pixel.steps,
        rate=settings.per_pixel.learning_rate,
        warmup=settings.per_pixel.warmup_steps,
        weight_decay=settings.weight_decay,
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
