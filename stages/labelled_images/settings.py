"""Settings that every recipe on labelled images has. Imports no torch: stage descriptions import this."""

from pydantic import Field

from scene.settings import Settings


class PhaseSettings(Settings):
    """One phase of training: AdamW, linear warm-up, then a cosine down to zero.

    Attributes:
        steps: optimisation steps.
        warmup_steps: of them, with a linearly growing learning rate.
        learning_rate: at the peak.
    """

    steps: int = Field(gt=0)
    warmup_steps: int = 100
    learning_rate: float = Field(gt=0)


class RecipeSettings(Settings):
    """What a step sees and how it changes the weights.

    Attributes:
        image_hw_px: what the network sees.
        batch_size: images per step.
        weight_decay: of matrices and kernels; vectors have none.
        clip_norm: of the gradient.
        max_zoom: random crops show at least 1 / max_zoom of the image's height and width.
        held_out_towns: so many of the teacher towns (the last by name) are kept for the score and never trained on.
        seed: of weights, batches, augmentation and point sampling.
    """

    image_hw_px: tuple[int, int]
    batch_size: int = 8
    weight_decay: float = 0.02
    clip_norm: float = 1.0
    max_zoom: float = 1.6
    held_out_towns: int = 2
    seed: int = 0
