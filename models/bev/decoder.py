"""BEV features to class logits."""

import math

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class SegmentationDecoder(nn.Module):
    """Features at the query grid to logits at the task's grid, our choice of a small head.

    Two paths meet at the fine grid: bilinear upsampling, which is smooth, and a sub-pixel path (Shi et al., CVPR
    2016), which lets a query say where inside its cell a thin marking lies. The second starts at zero.

    Args:
        embed_dim: D of the features.
        num_classes: K.
        upsample_factor: the trunk's `query_factor`.
        hidden_dim: channels at the fine grid, where the cost is.
    """

    def __init__(self, embed_dim: int, num_classes: int, upsample_factor: int, hidden_dim: int = 32) -> None:
        super().__init__()
        self.upsample_factor = upsample_factor
        self.context = _conv_norm_relu(embed_dim, embed_dim)
        self.smooth = nn.Conv2d(embed_dim, hidden_dim, kernel_size=1)
        self.detail = nn.Conv2d(embed_dim, hidden_dim * upsample_factor**2, kernel_size=1)
        nn.init.zeros_(self.detail.weight)
        assert self.detail.bias is not None
        nn.init.zeros_(self.detail.bias)
        self.fine = _conv_norm_relu(hidden_dim, hidden_dim)
        self.classify = nn.Conv2d(hidden_dim, num_classes, kernel_size=1)
        nn.init.normal_(self.classify.weight, std=0.05)
        assert self.classify.bias is not None
        nn.init.zeros_(self.classify.bias)

    def forward(self, features: Float[Tensor, "B D x y"]) -> Float[Tensor, "B K X Y"]:
        """Logits with X = x * upsample_factor and Y = y * upsample_factor."""
        context = self.context(features)
        smooth = self.smooth(context)
        if self.upsample_factor > 1:
            smooth = F.interpolate(smooth, scale_factor=self.upsample_factor, mode="bilinear", align_corners=False)
        fine = smooth + F.pixel_shuffle(self.detail(context), self.upsample_factor)
        logits: Tensor = self.classify(self.fine(fine))
        return logits


def _conv_norm_relu(in_channels: int, channels: int) -> nn.Sequential:
    conv = nn.Conv2d(in_channels, channels, kernel_size=3, padding=1, bias=False)
    return nn.Sequential(conv, nn.GroupNorm(math.gcd(8, channels), channels), nn.ReLU())
