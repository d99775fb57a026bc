"""Losses of the two phases."""

from typing import Any

from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional


def per_pixel_loss(
    logits: Float[Tensor, "B K h w"], semantic: Int64[Tensor, "B h w"], weights: Float[Tensor, " K"]
) -> Tensor:
    """Weighted cross-entropy, plus the terms of a Mask2Former mask loss with class k fixed to mask k (our choice).

    Cross-entropy orders the classes; the sigmoid terms make logit k a mask of class k by itself, which the second
    phase needs. Dice is taken over the whole batch, so that a class of a few pixels counts as much as the road.
    """
    cross_entropy = functional.cross_entropy(logits, semantic, weight=weights)
    target = functional.one_hot(semantic, logits.shape[1]).permute(0, 3, 1, 2).to(logits.dtype)
    binary = functional.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(dim=(0, 2, 3))
    masks = logits.sigmoid()
    overlap = 2 * (masks * target).sum(dim=(0, 2, 3))
    total = masks.sum(dim=(0, 2, 3)) + target.sum(dim=(0, 2, 3))
    dice = (1 - (overlap + 1) / (total + 1)).mean()
    return cross_entropy + (binary * weights).sum() + dice


def universal_loss(network: Any, pixel_values: Float[Tensor, "B 3 H W"], semantic: Int64[Tensor, "B h w"]) -> Tensor:
    """Mask2Former's own loss with Hungarian matching: one target mask per class that is in the image."""
    classes = [image.unique() for image in semantic]
    masks = [(image[None] == present[:, None, None]).float() for image, present in zip(semantic, classes, strict=True)]
    loss: Tensor = network(pixel_values=pixel_values, mask_labels=masks, class_labels=classes).loss
    return loss.squeeze()
