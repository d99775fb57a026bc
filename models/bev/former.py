"""BEVFormer's trunk: clips of camera frames to BEV features."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from models.bev.backbone import ImageBackbone
from models.bev.config import STAGE_STRIDES, BevFormerConfig
from models.bev.encoder import BevEncoder
from models.bev.history import EgoMotionEmbedding
from models.bev.inputs import CameraFrames, Clip, normalised
from models.bev.neck import FeaturePyramid, load_neck
from models.bev.projection import anchor_points, find_hits
from models.bev.source import weights_folder
from models.bev.warp import warp_bev
from scene.grid import BevGrid


class BevFormer(nn.Module):
    """BEV features of every keyframe of a clip (Li et al., BEVFormer, ECCV 2022).

    Args:
        config: settings of the trunk.
        grid: the task's grid; the trunk's own is `grid.coarser(config.query_factor)`.
        architecture: of the backbone, where the caller puts all weights in place: none are read (`ImageBackbone`).

    Attributes:
        config: as given.
        query_grid: the grid of the returned features.

    Raises:
        ValueError: if the grid is no multiple of `config.query_factor`.
        InputError: if the pretrained backbone or pyramid cannot be loaded.
    """

    def __init__(self, config: BevFormerConfig, grid: BevGrid, architecture: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.config = config
        self.query_grid = grid.coarser(config.query_factor)
        self.backbone = ImageBackbone(config.backbone, architecture)
        self.neck = FeaturePyramid(self.backbone.channels, config.neck_channels, config.num_levels)
        if config.pretrained_neck and architecture is None:
            load_neck(self.neck, weights_folder(config.backbone))
        self.level_embedding = nn.Parameter(torch.randn(config.num_levels, config.neck_channels))
        cameras = torch.randn(config.max_cameras, config.neck_channels)
        self.camera_embedding = nn.Parameter(cameras) if config.max_cameras else None
        self.motion_embedding = EgoMotionEmbedding(config.embed_dim) if config.ego_motion else None
        self.encoder = BevEncoder(config, self.query_grid.shape)
        self.register_buffer("anchors_m", anchor_points(self.query_grid, config.height_anchors_m), persistent=False)
        self.anchors_m: Tensor

    def forward(self, clip: Clip) -> tuple[Float[Tensor, "B D X Y"], ...]:
        """Features of every keyframe at `query_grid`, oldest first.

        Past keyframes run without gradient and in evaluation mode, as upstream.

        Raises:
            ValueError: if there are more cameras than camera embeddings.
        """
        features: list[Tensor] = []
        with torch.no_grad(), _evaluating(self):
            for t in range(len(clip.frames) - 1):
                features.append(self._keyframe(clip, t, features))
        features.append(self._keyframe(clip, len(clip.frames) - 1, features))
        return tuple(features)

    def _keyframe(self, clip: Clip, t: int, past: list[Float[Tensor, "B D X Y"]]) -> Float[Tensor, "B D X Y"]:
        motion, has_previous = self._motion_since(clip, t)
        return self.advance(clip.frames[t], motion, has_previous, past[-1] if past else None)

    def advance(
        self,
        frames: CameraFrames,
        motion: Float[Tensor, "B 4 4"],
        has_previous: Bool[Tensor, " B"],
        previous: Float[Tensor, "B D X Y"] | None,
    ) -> Float[Tensor, "B D X Y"]:
        """Features of one keyframe from those of the keyframe before it: a whole drive, one keyframe at a time.

        Args:
            frames: what the cameras see.
            motion: maps the ego frame of the keyframe before into this one's.
            has_previous: False where `previous` is that of another scene or of nothing; it is then not read.
            previous: features of the keyframe before; None at the start.

        Raises:
            ValueError: if there are more cameras than camera embeddings.
        """
        padded_hw_px = self._padded_hw_px(frames)
        image_features = self._image_features(frames, padded_hw_px)
        hits = find_hits(self.anchors_m, frames, padded_hw_px)
        if previous is None:
            shape = (len(motion), *self.query_grid.shape)
            previous = motion.new_zeros(len(motion), self.config.embed_dim, *self.query_grid.shape, dtype=torch.float32)
            inside = has_previous.new_zeros(shape)
        else:
            previous, inside = warp_bev(previous, motion, self.query_grid)
            inside = inside & has_previous[:, None, None]
        embedding = self.motion_embedding(motion, has_previous) if self.motion_embedding is not None else None
        encoded: Tensor = self.encoder(image_features, hits, embedding, previous, inside)
        return encoded

    def _motion_since(self, clip: Clip, t: int) -> tuple[Float[Tensor, "B 4 4"], Bool[Tensor, " B"]]:
        """Motion from the keyframe before `t`; the identity for the oldest, of whose past nothing is known."""
        if t > 0:
            return clip.ego_from_previous[t - 1], clip.has_previous[t - 1]
        valid = clip.frames[0].valid
        identity = torch.eye(4, device=valid.device).expand(len(valid), 4, 4)
        return identity, valid.new_zeros(len(valid))

    def _padded_hw_px(self, frames: CameraFrames) -> tuple[int, int]:
        """Sizes that the stride of every level divides: features and pixels then stay aligned."""
        stages = self.config.backbone.out_stages
        stride = STAGE_STRIDES[max(stages) - 1] << max(0, self.config.num_levels - len(stages))
        height_px, width_px = frames.images.shape[-2:]
        return math.ceil(height_px / stride) * stride, math.ceil(width_px / stride) * stride

    def _image_features(self, frames: CameraFrames, padded_hw_px: tuple[int, int]) -> list[Float[Tensor, "BC E _ _"]]:
        """Pyramid levels of all cameras with level and camera embeddings; zero maps for invalid cameras."""
        num_cameras = frames.valid.shape[1]
        if 0 < self.config.max_cameras < num_cameras:
            raise ValueError(f"{num_cameras} cameras, but max_cameras is {self.config.max_cameras}: raise it or set 0")
        valid, images = frames.valid.flatten(), frames.images.flatten(0, 1)
        if not bool(valid.any()):
            # A batch without any image still has to touch every parameter, or distributed training would wait.
            valid, images = torch.ones_like(valid), torch.zeros_like(images)
        complete = bool(valid.all())  # as nearly always: nothing has to be picked and put back
        height_px, width_px = images.shape[-2:]
        images = normalised(images if complete else images[valid])
        images = F.pad(images, (0, padded_hw_px[1] - width_px, 0, padded_hw_px[0] - height_px))
        levels: list[Tensor] = []
        for level, embedding in zip(self.neck(self.backbone(images)), self.level_embedding, strict=True):
            if complete:
                everywhere = level.contiguous()
            else:
                everywhere = level.new_zeros(len(valid), *level.shape[1:])
                everywhere[valid] = level
            everywhere = everywhere + embedding[:, None, None].to(level.dtype)
            if self.camera_embedding is not None:
                cameras = self.camera_embedding[:num_cameras].repeat(len(frames.valid), 1)
                everywhere = everywhere + cameras[:, :, None, None].to(level.dtype)
            levels.append(everywhere)
        return levels


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode inside the block; afterwards every submodule is back in the mode it had."""
    training = [m for m in module.modules() if m.training]
    module.eval()
    try:
        yield
    finally:
        for m in training:
            m.training = True
