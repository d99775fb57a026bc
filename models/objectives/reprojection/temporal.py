"""Consecutive frames should agree about the same piece of ground."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from models.bev.warp import warp_bev
from models.objectives.reprojection.config import TemporalConfig
from scene.grid import BevGrid


def temporal_loss(
    logits: Float[Tensor, "B K X Y"],
    previous_logits: Float[Tensor, "B K X Y"],
    ego_from_previous: Float[Tensor, "B 4 4"],
    previous_seen: Bool[Tensor, "B X Y"],
    grid: BevGrid,
    config: TemporalConfig,
) -> Float[Tensor, " B"]:
    """Per sample, the mean over its trusted cells of KL(previous prediction, warped to now || prediction now).

    The previous prediction is a fixed target. A cell is trusted where its place was on the previous grid and seen
    then (`previous_seen` lies on that grid, and is warped like the prediction), and `trusted_cells` holds. Samples
    without a trusted cell give 0.
    """
    with torch.no_grad():
        previous = torch.softmax(previous_logits.float(), dim=1)
        both = torch.cat([previous, previous_seen[:, None].to(previous)], dim=1)
        warped, inside = warp_bev(both, ego_from_previous, grid)
        target, seen = warped[:, :-1], warped[:, -1] > 0.5
        target = target / target.sum(dim=1, keepdim=True).clamp_min(1e-6)
        trusted = seen & inside & trusted_cells(target, config)
    divergence = F.kl_div(F.log_softmax(logits.float(), dim=1), target, reduction="none").sum(dim=1)
    weight = trusted.to(divergence)
    return (divergence * weight).sum(dim=(1, 2)) / weight.sum(dim=(1, 2)).clamp_min(1)


def trusted_cells(probability: Float[Tensor, "B K X Y"], config: TemporalConfig) -> Bool[Tensor, "B X Y"]:
    """Cells whose class is confident and the same as that of all cells within `config.edge_cells`."""
    confidence, class_id = probability.max(dim=1)
    trusted = confidence >= config.min_confidence
    if config.edge_cells > 0:
        kernel = 2 * config.edge_cells + 1
        ids = class_id.to(probability.dtype)[:, None]
        largest = F.max_pool2d(ids, kernel, stride=1, padding=config.edge_cells)
        smallest = -F.max_pool2d(-ids, kernel, stride=1, padding=config.edge_cells)
        trusted &= (largest == smallest)[:, 0]
    return trusted
