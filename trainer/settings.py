"""How a model is optimised, as settings. Imports no torch: the plan and the command line read them too."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from scene.errors import InputError
from scene.settings import JOINED_LATER, Settings

JOB_SLOT = "BEVPRIOR_JOB_SLOT"
"""The environment variable that numbers processes which train at the same time, from 0: each takes a GPU of its own."""


class OptimiserSettings(Settings):
    """AdamW with linear warm-up and a cosine down to zero (BEVFormer: 2e-4, backbone x 0.1, decay 0.01, clip 35).

    Attributes:
        steps: optimisation steps.
        batch_size: clips per step, over all processes together.
        gradient_accumulation: in how many parts, one after the other, a process computes its share of a batch: the
            memory of one part, the gradient of all. The losses are those of each part, averaged.
        learning_rate: at the end of the warm-up.
        backbone_factor: the image backbone's learning rate over that of the rest; 0 leaves it as it was.
        muon_factor: Muon's learning rate over AdamW's. Where it is not 0, Muon (Jordan et al., 2024) and not AdamW
            moves the weights of hidden layers outside the backbone: it makes every direction of an update count
            alike, and learns in half the steps what AdamW does in the embedded world (docs/decisions/0018-muon.md).
        weight_decay: of the weights of linear and convolutional layers; biases, norms, embeddings and queries have
            none.
        warmup_steps: steps over which the learning rate rises from 0; with as many as `steps` it never comes down.
        gradient_clip: largest norm of the gradient of all parameters together.
        precision: "bfloat16" runs the network under autocast on CUDA; on the CPU everything is float32.
        log_every: steps per line of the history.
    """

    steps: PositiveInt = 300
    batch_size: PositiveInt = 4
    learning_rate: PositiveFloat = 2e-4
    backbone_factor: Annotated[float, Field(ge=0)] = 0.1
    muon_factor: Annotated[float, Field(ge=0)] = 0.0
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    warmup_steps: Annotated[int, Field(ge=0)] = 30
    gradient_clip: PositiveFloat = 35.0
    precision: Literal["float32", "bfloat16"] = "float32"
    log_every: PositiveInt = 10
    gradient_accumulation: Annotated[PositiveInt, JOINED_LATER] = 1

    @property
    def num_samples(self) -> int:
        """How many samples the training sees."""
        return self.steps * self.batch_size


class AugmentSettings(Settings):
    """Random changes of a training sample, each drawn from (seed, step, place in the batch).

    Attributes:
        flip: mirror the world left to right in half of the samples: images, geometry, labels and motion together.
        photometric: strength of random brightness, contrast and colour, each camera its own; 0 switches it off, 1
            varies the gains by about 40 %.
        bev_rotation_deg: rotate the ego frame, and with it geometry, labels and motion, by up to this angle to either
            side: few labelled drives become many. BEVDet: 22.5.
        image_scale: enlarge each camera's images by up to this share, or reduce them as much, and cut or pad them to
            their size at a random place, the geometry with them. BEVDet: about 0.1.
        image_rotation_deg: rotate each camera's images likewise. BEVDet: 5.4.
    """

    flip: bool = True
    photometric: Annotated[float, Field(ge=0, le=1)] = 0.5
    bev_rotation_deg: Annotated[float, Field(ge=0, le=180), JOINED_LATER] = 0.0
    image_scale: Annotated[float, Field(ge=0, le=1), JOINED_LATER] = 0.0
    image_rotation_deg: Annotated[float, Field(ge=0, le=45), JOINED_LATER] = 0.0


class SupervisedSettings(Settings):
    """The loss against BEV labels.

    Attributes:
        class_balance: exponent of the class weight, frequency ** -class_balance.
        dice_weight: of the Dice term; 0 switches it off.
    """

    class_balance: Annotated[float, Field(ge=0)] = 0.5
    dice_weight: Annotated[float, Field(ge=0)] = 0.5


class ValidationSettings(Settings):
    """Scores during a training, to watch it by; nothing is chosen by them.

    Weights are the same with and without, bit for bit, but the scores are part of what the training leaves: switched on
    later, it and what follows it are made anew.

    Attributes:
        times: how often, evenly spaced, the last time after the last step; there is one more before the first.
        frames: keyframes that are scored at most, evenly spaced over the split.
        split: the scenes.
    """

    times: PositiveInt = 10
    frames: PositiveInt = 64
    split: str = "val"

    def is_due(self, step: int, last: int) -> bool:
        """Whether it is time after `step` steps of `last`."""
        return step == 0 or step * self.times // last > (step - 1) * self.times // last


def check_split(parts: Sequence[int], num_processes: int, accumulation: int = 1) -> None:
    """Checks that the parts of a batch can be split evenly over processes and, in each, over what is accumulated.

    Args:
        parts: samples from each pool.
        num_processes: training processes.
        accumulation: `OptimiserSettings.gradient_accumulation`.

    Raises:
        InputError: if a part's number of samples is no multiple of both together.
    """
    if any(count % (num_processes * accumulation) for count in parts):
        times = "" if len(parts) == 1 else f"{len(parts)} times "
        accumulated = "" if accumulation == 1 else f" in {accumulation} parts each"
        factor = "" if accumulation == 1 else " times gradient_accumulation"
        raise InputError(
            f"a batch of {' + '.join(map(str, parts))} samples cannot be split over {num_processes} processes"
            f"{accumulated}",
            fix=f"make batch_size a multiple of {times}runtime.num_processes{factor}",
        )
