"""BEVFormer's encoder: learned BEV queries, refined layer by layer."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from models.bev.attention import SpatialCrossAttention, TemporalSelfAttention
from models.bev.config import BevFormerConfig
from models.bev.projection import CameraHits


class BevEncoder(nn.Module):
    """One keyframe's image features and the previous BEV map to BEV features of a (num_x, num_y) grid.

    The positional encoding is learned, half of the channels for the row and half for the column.
    """

    def __init__(self, config: BevFormerConfig, shape: tuple[int, int]) -> None:
        super().__init__()
        self.shape = shape
        dim = config.embed_dim
        self.queries = nn.Parameter(torch.randn(shape[0] * shape[1], dim))
        self.row = nn.Parameter(torch.rand(shape[0], dim // 2))
        self.column = nn.Parameter(torch.rand(shape[1], dim // 2))
        self.layers = nn.ModuleList(EncoderLayer(config, shape) for _ in range(config.num_layers))

    def forward(
        self,
        image_features: list[Float[Tensor, "BC E _ _"]],
        hits: CameraHits,
        motion: Float[Tensor, "B D"] | None,
        previous: Float[Tensor, "B D X Y"],
        has_previous: Bool[Tensor, "B X Y"],
    ) -> Float[Tensor, "B D X Y"]:
        """`previous` lies in the current ego frame already; `motion` is added to every query."""
        position = self._position()
        queries = self.queries.expand(len(previous), -1, -1)
        if motion is not None:
            queries = queries + motion[:, None]
        past, has_past = previous.flatten(2).transpose(1, 2), has_previous.flatten(1)
        for layer in self.layers:
            queries = layer(queries, position, past, has_past, image_features, hits)
        return torch.unflatten(queries.transpose(1, 2), -1, self.shape)

    def _position(self) -> Float[Tensor, "Q D"]:
        row = self.row[:, None].expand(-1, self.shape[1], -1)
        column = self.column[None].expand(self.shape[0], -1, -1)
        return torch.cat([row, column], dim=-1).flatten(0, 1)


class EncoderLayer(nn.Module):
    """Temporal self-attention, norm, spatial cross-attention, norm, feed-forward, norm."""

    def __init__(self, config: BevFormerConfig, shape: tuple[int, int]) -> None:
        super().__init__()
        dim = config.embed_dim
        self.temporal = TemporalSelfAttention(config, shape)
        self.spatial = SpatialCrossAttention(config)
        self.feed_forward = nn.Sequential(
            nn.Linear(dim, config.ffn_dim), nn.ReLU(), nn.Dropout(config.dropout), nn.Linear(config.ffn_dim, dim)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(3))
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        queries: Float[Tensor, "B Q D"],
        position: Float[Tensor, "Q D"],
        previous: Float[Tensor, "B Q D"],
        has_previous: Bool[Tensor, "B Q"],
        image_features: list[Float[Tensor, "BC E _ _"]],
        hits: CameraHits,
    ) -> Float[Tensor, "B Q D"]:
        """Refined queries."""
        attended = self.temporal(queries, position, previous, has_previous)
        queries = self.norms[0](queries + self.dropout(attended))
        attended = self.spatial(queries, position, image_features, hits)
        queries = self.norms[1](queries + self.dropout(attended))
        refined: Tensor = self.norms[2](queries + self.dropout(self.feed_forward(queries)))
        return refined
