"""Terms that every segmentation loss shares, on points or on cells."""

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from numpy.typing import NDArray
from torch import Tensor
from torch.distributed.nn.functional import all_reduce

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
    probability: Float[Tensor, "B P K"],
    class_id: Int64[Tensor, "B P"],
    weight: Float[Tensor, "B P"],
    counted: Bool[Tensor, " B"],
) -> Float[Tensor, ""]:
    """1 - mean over the classes that occur of the soft Dice coefficient over the batch (Milletari et al., 2016).

    The batch is that of all training processes together: a ratio of sums is no mean of ratios. Nor does a ratio say of
    how many samples it is, so it is multiplied by the share that is `counted`, and can be added to means over all B.
    """
    weight = weight * counted[:, None]
    target = F.one_hot(class_id, probability.shape[-1]).to(probability) * weight[..., None]
    probability = probability * weight[..., None]
    parts = ((probability * target), probability, target)
    overlap, found, wanted = _over_processes(torch.stack([part.sum(dim=(0, 1)) for part in parts]))
    occurs = (wanted > 0).to(probability)
    dice = 2 * overlap / (found + wanted).clamp_min(1e-6)
    loss: Tensor = ((1 - dice) * occurs).sum() / occurs.sum().clamp_min(1)
    return counted.float().mean() * loss


def _over_processes(sums: Tensor) -> Tensor:
    """Summed over the training processes. So is the gradient on the way back, which their mean then divides again."""
    if not (dist.is_available() and dist.is_initialized()):
        return sums
    summed: Tensor = all_reduce(sums)  # type: ignore[no-untyped-call]
    return summed
