"""Multi-scale deformable attention (Zhu et al., Deformable DETR, ICLR 2021, equations 2 and 3)."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from models.bev.sampling_cpu import sample_on_cpu
from models.bev.sampling_cuda import sample_by_triton, usable


def deformable_sample(
    values: list[Float[Tensor, "N D _ _"]],
    locations: Float[Tensor, "N Q heads levels points 2"],
    weights: Float[Tensor, "N Q heads levels points"],
) -> Float[Tensor, "N Q D"]:
    """Weighted sums of bilinear samples, each head from its own D / heads channels.

    Args:
        values: a map for each level.
        locations: (along the map's width, along its height) in [0, 1], 0 and 1 its outer borders, so that the centre
            of cell i of n is at (i + 0.5) / n. Samples outside read zeros.
        weights: of each sample; softmax over levels and points is the caller's.

    Returns:
        In the type of `locations`: in half precision a location would be off by cells.

    Raises:
        ValueError: if the shapes do not fit each other; the kernels would read past the end.
    """
    num_maps, _, num_heads = weights.shape[:3]
    fits = locations.shape == (*weights.shape, 2) and len(values) == weights.shape[3]
    if not fits or any(len(value) != num_maps or value.shape[1] % num_heads for value in values):
        maps = [tuple(value.shape) for value in values]
        raise ValueError(f"shapes: values {maps}, locations {tuple(locations.shape)}, weights {tuple(weights.shape)}")
    if locations.device.type == "cpu" and locations.dtype == torch.float32:
        levels = zip(values, locations.unbind(3), weights.float().unbind(3), strict=True)
        return torch.stack([sample_on_cpu(value.float(), *at) for value, *at in levels]).sum(0)
    if locations.is_cuda and locations.dtype == torch.float32 and usable(locations.device):
        levels = zip(values, locations.unbind(3), weights.float().unbind(3), strict=True)
        return torch.stack([sample_by_triton(value.float(), *at) for value, *at in levels]).sum(0)
    return sample_by_grid(values, locations, weights)


def sample_by_grid(
    values: list[Float[Tensor, "N D _ _"]],
    locations: Float[Tensor, "N Q heads levels points 2"],
    weights: Float[Tensor, "N Q heads levels points"],
) -> Float[Tensor, "N Q D"]:
    """`deformable_sample` made of PyTorch's own operations: any device, any precision of `locations`."""
    num_heads = locations.shape[2]
    # Points before queries: the weighted sum over points then runs along whole rows of queries, which is cheaper on a
    # CPU than a sum over the innermost axis (a step of the demo's model: 0.37 s instead of 0.40 s).
    grids = (2 * locations - 1).permute(3, 0, 2, 4, 1, 5).flatten(1, 2)
    head_weights = weights.to(locations.dtype).permute(3, 0, 2, 4, 1).flatten(1, 2)
    total: Tensor | None = None
    for value, grid, weight in zip(values, grids, head_weights, strict=True):
        heads = torch.unflatten(value.to(locations.dtype), 1, (num_heads, -1)).flatten(0, 1)
        samples = F.grid_sample(heads, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        summed = (samples * weight[:, None]).sum(-2)
        total = summed if total is None else total + summed
    assert total is not None
    return torch.unflatten(total, 0, (-1, num_heads)).flatten(1, 2).transpose(1, 2)


class SamplingHead(nn.Module):
    """Predicts where each head samples and with which weight.

    `shared_by` groups of points (height anchors, or the two values of temporal attention) repeat the same pattern.
    Initial weights are those of Deformable DETR: offsets do not depend on the query, each head looks into its own
    direction, the points of a group one behind the other, `spread_cells` apart; attention is uniform.

    Raises:
        ValueError: if `shared_by` does not divide `num_points`.
    """

    def __init__(
        self, in_dim: int, num_heads: int, num_levels: int, num_points: int, shared_by: int, spread_cells: float
    ) -> None:
        super().__init__()
        if num_points % shared_by:
            raise ValueError(f"{num_points} points cannot be shared by {shared_by} groups")
        self.sizes = (num_heads, num_levels, num_points)
        self.offsets = nn.Linear(in_dim, math.prod(self.sizes) * 2)
        self.weights = nn.Linear(in_dim, math.prod(self.sizes))
        nn.init.zeros_(self.offsets.weight)
        nn.init.zeros_(self.weights.weight)
        nn.init.zeros_(self.weights.bias)
        pattern = _directional_pattern(num_heads, num_points // shared_by) * spread_cells
        bias = pattern[:, None, None].expand(num_heads, num_levels, shared_by, -1, 2)
        with torch.no_grad():
            self.offsets.bias.copy_(bias.flatten())

    def forward(
        self, queries: Float[Tensor, "N Q E"]
    ) -> tuple[Float[Tensor, "N Q heads levels points 2"], Float[Tensor, "N Q heads levels points"]]:
        """Offsets in cells of each level's map, float32 or wider, and logits of the weights."""
        offsets = torch.unflatten(self.offsets(queries), -1, (*self.sizes, 2))
        logits = torch.unflatten(self.weights(queries), -1, self.sizes)
        return offsets.to(torch.promote_types(offsets.dtype, torch.float32)), logits


def softmax_over_samples(logits: Float[Tensor, "*N levels points"]) -> Float[Tensor, "*N levels points"]:
    """Attention weights that sum to 1 over all samples of a head.

    Samples go first meanwhile: over a short innermost axis a CPU takes ten times as long.
    """
    weights = logits.flatten(-2).movedim(-1, 0).contiguous().softmax(0).movedim(0, -1)
    return torch.unflatten(weights, -1, logits.shape[-2:])


def _directional_pattern(num_heads: int, num_points: int) -> Float[Tensor, "heads points 2"]:
    angle = torch.arange(num_heads) * (2 * math.pi / num_heads)
    direction = torch.stack([angle.cos(), angle.sin()], dim=-1)
    direction = direction / direction.abs().amax(-1, keepdim=True)
    return direction[:, None] * torch.arange(1, num_points + 1)[:, None]
