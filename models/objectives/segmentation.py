"""Terms that every segmentation loss shares, on points or on cells."""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from models.bev.decoder import SegmentationDecoder
from models.bev.former import BevFormer


def make_decoder(trunk: BevFormer, num_classes: int) -> SegmentationDecoder:
    """A new decoder from the trunk's features to logits at the resolution of its grid."""
    return SegmentationDecoder(trunk.config.embed_dim, num_classes, trunk.config.query_factor)


def class_weights(counts: NDArray[np.float64], balance: float) -> Float[Tensor, " K"]:
    """frequency ** -balance, scaled so that the mean weight of a counted item is 1; 1 for classes that never occur.

    Our choice of exponent in the settings; balance 0.5 lies between none (0) and equal total weight of classes (1).
    """
    frequency = counts / max(counts.sum(), 1.0)
    occurs = frequency > 0
    weight = np.where(occurs, np.where(occurs, frequency, 1.0) ** -balance, 1.0)
    mean = (weight * frequency).sum() or 1.0
    return torch.from_numpy(np.where(occurs, weight / mean, 1.0)).float()


def dice_loss(
    probability: Float[Tensor, "B P K"], class_id: Int64[Tensor, "B P"], weight: Float[Tensor, "B P"]
) -> Float[Tensor, ""]:
    """1 - mean over the classes that occur of the soft Dice coefficient over the batch (Milletari et al., 2016)."""
    target = F.one_hot(class_id, probability.shape[-1]).to(probability) * weight[..., None]
    probability = probability * weight[..., None]
    overlap = 2 * (probability * target).sum(dim=(0, 1))
    size = probability.sum(dim=(0, 1)) + target.sum(dim=(0, 1))
    occurs = (target.sum(dim=(0, 1)) > 0).to(probability)
    dice = overlap / size.clamp_min(1e-6)
    return ((1 - dice) * occurs).sum() / occurs.sum().clamp_min(1)
