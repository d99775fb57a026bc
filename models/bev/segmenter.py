"""An image backbone as part of a per-pixel classifier: how the embedded backbone learns to see."""

from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from transformers.utils import logging

from models.bev.backbone import ImageBackbone
from models.bev.config import BackboneConfig
from models.bev.neck import FeaturePyramid, save_neck


class ImageSegmenter(nn.Module):
    """Backbone, feature pyramid and one linear classifier; the pyramid is that of the BEV model, which starts from both
    (our choice; upstream starts from a detector's backbone and pyramid).

    Args:
        config: the backbone.
        neck_channels: of the pyramid.
        num_classes: K.
    """

    def __init__(self, config: BackboneConfig, neck_channels: int, num_classes: int) -> None:
        super().__init__()
        self.backbone = ImageBackbone(config)
        self.neck = FeaturePyramid(self.backbone.channels, neck_channels, num_levels=1)
        self.classifier = nn.Conv2d(neck_channels, num_classes, kernel_size=1)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B K H W"]:
        """Logits of each pixel, enlarged from the stride of the backbone's finest map."""
        logits = self.classifier(self.neck(self.backbone(images))[0])
        return F.interpolate(logits, size=images.shape[-2:], mode="bilinear", align_corners=False)

    def save_backbone(self, folder: Path) -> None:
        """Writes the backbone, for `BackboneConfig.pretrained`, and beside it the pyramid."""
        logging.disable_progress_bar()
        self.backbone.model.to(memory_format=torch.contiguous_format).save_pretrained(folder)
        save_neck(self.neck, folder)
