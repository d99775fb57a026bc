"""What a training step sees: a batch that depends on (seed, step) alone, cropped, mirrored and recoloured."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from stages.labelled_images.pictures import Pictures
from stages.labelled_images.settings import RecipeSettings


@dataclass(frozen=True, eq=False)
class Batch:
    """B augmented images.

    Attributes:
        images: RGB in 0..1 at the network's input size.
        semantic: classes at the size of the original images.
    """

    images: Float[Tensor, "B 3 H W"]
    semantic: Int64[Tensor, "B h w"]


def batch_of_step(pictures: Pictures, step: int, recipe: RecipeSettings, seed: int) -> Batch:
    """The batch of a step; every image comes once per epoch."""
    batch_size = recipe.batch_size
    num_images = len(pictures.images)
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs = {int(e): np.random.default_rng([seed, 1, int(e)]).permutation(num_images) for e in positions // num_images}
    rows = np.array([epochs[int(p // num_images)][p % num_images] for p in positions])
    rng = np.random.default_rng([seed, 2, step])
    images = torch.from_numpy(pictures.images[rows]).float() / 255
    semantic = torch.from_numpy(pictures.semantic[rows])
    images, semantic = _crop_and_mirror(images, semantic, recipe.image_hw_px, recipe.max_zoom, rng)
    return Batch(_recolour(images, rng), semantic)


def _crop_and_mirror(
    images: Tensor, semantic: Tensor, image_hw_px: tuple[int, int], max_zoom: float, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """A random window of each image, half of them mirrored; more often low, where the road is (our choice)."""
    count = len(images)
    scale = 1 / rng.uniform(1, max_zoom, count)
    free = 1 - scale
    centre_x = rng.uniform(-1, 1, count) * free
    centre_y = (2 * rng.uniform(0, 1, count) ** 0.6 - 1) * free
    mirror = rng.choice([-1.0, 1.0], count)
    zero = np.zeros(count)
    rows = [np.stack([scale * mirror, zero, centre_x], -1), np.stack([zero, scale, centre_y], -1)]
    window = torch.from_numpy(np.stack(rows, axis=1)).float()
    at_input = functional.affine_grid(window, [count, 3, *image_hw_px], align_corners=False)
    cropped = functional.grid_sample(images, at_input, mode="bilinear", padding_mode="border", align_corners=False)
    at_label = functional.affine_grid(window, [count, 1, *semantic.shape[-2:]], align_corners=False)
    classes = functional.grid_sample(
        semantic[:, None].float(), at_label, mode="nearest", padding_mode="border", align_corners=False
    )
    return cropped, classes[:, 0].round().long()


def _recolour(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Random gain, tint, contrast, saturation and noise per image (our choice of ranges)."""
    count = len(images)

    def draw(low: float, high: float, channels: int = 1) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, (count, channels, 1, 1))).float()

    gain = draw(0.75, 1.25) * draw(0.93, 1.07, 3)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    images = ((images - mean) * draw(0.75, 1.3) + mean) * gain
    grey = images.mean(dim=1, keepdim=True)
    images = grey + (images - grey) * draw(0.6, 1.4)
    noise = torch.from_numpy(rng.standard_normal(images.shape, dtype=np.float32)) * draw(0, 0.025)
    return (images + noise).clamp(0, 1)
