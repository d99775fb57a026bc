"""The two attentions of BEVFormer (Li et al., ECCV 2022, sections 3.3 and 3.4)."""

from typing import TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from models.bev.config import BevFormerConfig
from models.bev.deformable import SamplingHead, deformable_sample, softmax_over_samples
from models.bev.projection import CameraHits

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)


class TemporalSelfAttention(nn.Module):
    """Each cell looks at its surroundings in the previous BEV map and in the current queries.

    The two are sampled with offsets and weights of their own, predicted from both together, and averaged. Batch item
    and value stay separate axes throughout (upstream folds them into one and mixes the items of a batch).
    """

    def __init__(self, config: BevFormerConfig, shape: tuple[int, int]) -> None:
        super().__init__()
        self.shape = shape
        dim = config.embed_dim
        self.sampling = SamplingHead(
            2 * dim, config.num_heads, 1, 2 * config.temporal_points, shared_by=2, spread_cells=1.0
        )
        self.value = _xavier(nn.Linear(dim, dim))
        self.output = _xavier(nn.Linear(dim, dim))
        self.register_buffer("centres", _cell_locations(shape), persistent=False)
        self.centres: Tensor

    def forward(
        self,
        queries: Float[Tensor, "B Q D"],
        position: Float[Tensor, "Q D"],
        previous: Float[Tensor, "B Q D"],
        has_previous: Bool[Tensor, "B Q"],
    ) -> Float[Tensor, "B Q D"]:
        """Where `has_previous` is False, the queries stand in for the previous map."""
        previous = torch.where(has_previous[..., None], previous.to(queries.dtype), queries)
        offsets, logits = self.sampling(torch.cat([previous, queries + position], dim=-1))
        # Axis 4 holds 2 groups of points: one for each value. It becomes the outermost axis, like the values'.
        offsets = torch.unflatten(offsets, 4, (2, -1)).movedim(4, 0)
        weights = softmax_over_samples(torch.unflatten(logits, 4, (2, -1)).movedim(4, 0))
        locations = _around(self.centres[:, None, None], offsets / offsets.new_tensor(self.shape[::-1]))
        maps = torch.unflatten(self.value(torch.stack([previous, queries])).transpose(-1, -2), -1, self.shape)
        sampled = deformable_sample([maps.flatten(0, 1)], locations.flatten(0, 1), weights.flatten(0, 1))
        attended: Tensor = self.output(torch.unflatten(sampled, 0, (2, -1)).mean(0))
        return attended


class SpatialCrossAttention(nn.Module):
    """Each cell looks into the cameras that see it, around its projected height anchors.

    The points of a head are shared by the anchors: with 8 points and 4 anchors, 2 around each. The sum over cameras
    is divided by their number.
    """

    def __init__(self, config: BevFormerConfig) -> None:
        super().__init__()
        dim, self.num_anchors = config.embed_dim, len(config.height_anchors_m)
        self.sampling = SamplingHead(
            dim, config.num_heads, config.num_levels, config.spatial_points, self.num_anchors,
            spread_cells=config.initial_offset_cells,
        )  # fmt: skip
        self.value = _xavier(nn.Conv2d(config.neck_channels, dim, kernel_size=1))
        self.output = _xavier(nn.Linear(dim, dim))

    def forward(
        self,
        queries: Float[Tensor, "B Q D"],
        position: Float[Tensor, "Q D"],
        image_features: list[Float[Tensor, "BC E _ _"]],
        hits: CameraHits,
    ) -> Float[Tensor, "B Q D"]:
        """`image_features` are the levels of all cameras, finest first. Cells that no camera sees get the bias."""
        offsets, logits = self.sampling(queries + position)
        size = torch.stack([offsets.new_tensor([m.shape[-1], m.shape[-2]]) for m in image_features])
        offsets, weights = (_gather_cells(x, hits) for x in (offsets / size[:, None], softmax_over_samples(logits)))
        offsets = torch.unflatten(offsets, -2, (self.num_anchors, -1))
        locations = _around(hits.locations.flatten(0, 1)[:, :, None, None], offsets).flatten(-3, -2)
        values = [self.value(level) for level in image_features]
        sampled = deformable_sample(values, locations, weights)
        sampled = torch.unflatten(sampled, 0, hits.cell.shape[:2]) * hits.is_hit[..., None]
        index = hits.cell.flatten(1)[..., None].expand(-1, -1, sampled.shape[-1])
        summed = sampled.new_zeros(*queries.shape[:2], sampled.shape[-1]).scatter_add(1, index, sampled.flatten(1, 2))
        attended: Tensor = self.output(summed / hits.num_cameras.clamp(min=1)[..., None])
        return attended


def _around(points: Float[Tensor, "*N 2"], offsets: Float[Tensor, "*M points 2"]) -> Float[Tensor, "*M points 2"]:
    """`points[..., None, :] + offsets`, over both inner axes at once: pairs of numbers take five times as long."""
    repeated = points[..., None, :].expand(*points.shape[:-1], *offsets.shape[-2:]).flatten(-2)
    return torch.unflatten(repeated + offsets.flatten(-2), -1, offsets.shape[-2:])


def _gather_cells(per_cell: Float[Tensor, "B Q *N"], hits: CameraHits) -> Float[Tensor, "BC L *N"]:
    """What each camera's cells hold, camera after camera of each batch item."""
    batch = torch.arange(len(per_cell), device=per_cell.device)[:, None, None]
    return per_cell[batch, hits.cell].flatten(0, 1)


def _cell_locations(shape: tuple[int, int]) -> Float[Tensor, "Q 2"]:
    """Cell centres as fractions of a map with H = x and W = y, x-major, as (along y, along x)."""
    x, y = ((torch.arange(n) + 0.5) / n for n in shape)
    return torch.stack(torch.meshgrid(x, y, indexing="ij"), dim=-1).flatten(0, 1).flip(-1)


def _xavier(layer: Layer) -> Layer:
    nn.init.xavier_uniform_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer
