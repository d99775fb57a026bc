"""Settings of the BEV trunk. Imports no torch: the plan and the command line read them too."""

from typing import Any, Literal

from pydantic import Field, PositiveInt, model_validator

from scene.settings import Settings

STAGE_STRIDES = (4, 8, 16, 32)
"""Stride in px of the stages 1 to 4 of every supported backbone."""


class BackboneShape(Settings):
    """A backbone built from scratch with random weights.

    Attributes:
        stem_channels: channels after the stem (for Swin: of the first stage, which doubles them stage by stage).
        hidden_sizes: channels of each stage; read by ResNet and ConvNeXt.
        depths: layers of each stage.
        layer_type: ResNet's residual layer.
        num_heads: attention heads of each stage; read by Swin.
        window_size: side of the attention windows in tokens; read by Swin.
    """

    stem_channels: PositiveInt
    hidden_sizes: tuple[PositiveInt, ...] = ()
    depths: tuple[PositiveInt, ...] = Field(min_length=1, max_length=4)
    layer_type: Literal["basic", "bottleneck"] = "basic"
    num_heads: tuple[PositiveInt, ...] = ()
    window_size: PositiveInt = 7


class BackboneConfig(Settings):
    """An image backbone of `transformers`: either published weights (`pretrained`) or random ones (`shape`).

    Attributes:
        kind: the model family; must be that of `pretrained`.
        pretrained: "embedded" (the weights kept in this repository, for the embedded world), a local folder with
            safetensors weights, or a hub name org/model. Where it lies is no part of a cache key: what lies there is
            (`models.bev.source`).
        revision: commit or tag of a hub name; a hub name without one follows its main branch.
        shape: the architecture to initialise at random, where `pretrained` is null.
        out_stages: stages whose features the neck gets; stage i has a stride of `STAGE_STRIDES[i - 1]` px.
        norm: what becomes of BatchNorm (ResNet only; Swin and ConvNeXt have LayerNorm). "frozen" keeps its published
            statistics fixed, the usual choice where a batch is a few clips; "group" puts GroupNorm in its place,
            which needs no statistics and so suits random weights; "batch" leaves it. (Of several processes, the first
            one's statistics count.)
        frozen_stages: the stem and this many stages are not trained; 0 trains everything.
        gradient_checkpointing: recompute each stage in the backward pass, for less memory; no part of a key.
    """

    kind: Literal["resnet", "swin", "convnext"] = "resnet"
    pretrained: str | None = None
    revision: str | None = None
    shape: BackboneShape | None = None
    out_stages: tuple[int, ...] = Field(default=(4,), min_length=1)
    norm: Literal["batch", "frozen", "group"] = "frozen"
    frozen_stages: int = Field(default=0, ge=0, le=4)
    gradient_checkpointing: bool = False

    def for_key(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: D102 - see Settings
        place = () if self.pretrained is None else ("pretrained", "revision")
        kept = {name: value for name, value in super().for_key(values).items() if name not in place}
        return {**kept, "gradient_checkpointing": False}  # whatever it is: a matter of memory, not of the result

    @model_validator(mode="after")
    def _fits(self) -> "BackboneConfig":
        if (self.pretrained is None) == (self.shape is None):
            raise ValueError("give exactly one of `pretrained` (published weights) and `shape` (random weights)")
        if self.shape is not None and self.norm == "frozen" and self.kind == "resnet":
            raise ValueError("random weights have no BatchNorm statistics to freeze: set norm to group or batch")
        if self.pretrained is not None and self.norm == "group" and self.kind == "resnet":
            raise ValueError("group norm would throw the pretrained BatchNorm statistics away: set norm to frozen")
        if self.gradient_checkpointing and self.norm == "batch" and self.kind == "resnet":
            raise ValueError(
                "a recomputed stage would count its batch twice: set norm to frozen or group, or do without"
            )
        if list(self.out_stages) != sorted(set(self.out_stages) & {1, 2, 3, 4}):
            raise ValueError(f"out_stages {self.out_stages} are not increasing stages between 1 and 4")
        if self.shape is not None:
            self._check_shape(self.shape)
        return self

    def _check_shape(self, shape: BackboneShape) -> None:
        name = "num_heads" if self.kind == "swin" else "hidden_sizes"
        if len(getattr(shape, name)) != len(shape.depths):
            raise ValueError(f"shape.{name} needs one entry for each of the {len(shape.depths)} stages in shape.depths")
        if max(self.out_stages) != len(shape.depths):
            raise ValueError(f"the last of out_stages {self.out_stages} must be the last stage of shape.depths")


class BevFormerConfig(Settings):
    """The trunk: cameras to BEV features (Li et al., BEVFormer, ECCV 2022).

    The BEV area is no setting of the trunk: it follows the `BevGrid` of the task.

    Attributes:
        image_hw_px: height and width of the images the model is fed with.
        backbone: the image backbone.
        neck_channels: channels of the feature pyramid.
        pretrained_neck: start the pyramid from `neck.safetensors` beside the backbone's weights in a local folder, and
            not at random, as upstream starts from a detector's. It must be of the same backbone, channels and levels.
        num_levels: pyramid levels that the encoder samples, finest first. Fewer than `out_stages`: the coarser ones
            only feed the finest through the top-down path. More: strided convolutions append them.
        embed_dim: channels D of the BEV features, a multiple of `num_heads` and of 2.
        ffn_dim: hidden channels of the feed-forward network.
        num_heads: attention heads.
        num_layers: encoder layers.
        dropout: after each attention and inside the feed-forward network.
        temporal_points: sampling points of a head in temporal self-attention.
        spatial_points: sampling points of a head and level in spatial cross-attention, shared by the height anchors.
        height_anchors_m: z in the ego frame of a cell's 3D reference points. Upstream spreads 4 of them over 8 m and
            has none near the road; road markings lie on it, so ours stand around z = 0. The spread covers the body's
            pitch: 1 degree is 0.5 m at 30 m. Our choice.
        initial_offset_cells: how far apart the sampling points of a head start, in cells of the sampled map
            (Deformable DETR: 1). Small, because markings are thin and projected points exact. Our choice.
        query_factor: the encoder's grid is the task's grid with cells this many times as large.
        history: past keyframes in a clip.
        drop_history_frame: in training, leave one random past keyframe out where at least two are there; never the
            newest, so that the last two are always consecutive, which a temporal loss compares.
        ego_motion: add an embedding of the motion since the previous keyframe to the queries. Upstream feeds the
            18 numbers of the nuScenes CAN bus; other data sets have no such bus, so ours are the planar translation
            and yaw that the poses give. Our choice.
        max_cameras: number of camera embeddings; 0 gives none, and the cameras are then interchangeable.
    """

    image_hw_px: tuple[PositiveInt, PositiveInt]
    backbone: BackboneConfig
    neck_channels: PositiveInt = 256
    pretrained_neck: bool = False
    num_levels: PositiveInt = 1
    embed_dim: PositiveInt = 256
    ffn_dim: PositiveInt = 512
    num_heads: PositiveInt = 8
    num_layers: PositiveInt = 3
    dropout: float = Field(default=0.1, ge=0, lt=1)
    temporal_points: PositiveInt = 4
    spatial_points: PositiveInt = 8
    height_anchors_m: tuple[float, ...] = Field(default=(-0.5, 0.0, 0.5, 1.0), min_length=1)
    initial_offset_cells: float = Field(default=1.0, ge=0)
    query_factor: PositiveInt = 4
    history: int = Field(default=3, ge=0)
    drop_history_frame: bool = True
    ego_motion: bool = True
    max_cameras: int = Field(default=6, ge=0)

    @model_validator(mode="after")
    def _neck_has_a_place(self) -> "BevFormerConfig":
        if self.pretrained_neck and self.backbone.pretrained is None:
            raise ValueError("pretrained_neck needs backbone.pretrained, beside whose weights it lies")
        return self

    @model_validator(mode="after")
    def _divisible(self) -> "BevFormerConfig":
        if self.embed_dim % self.num_heads or self.embed_dim % 2:
            raise ValueError(f"embed_dim {self.embed_dim} must be a multiple of 2 and of num_heads {self.num_heads}")
        if self.spatial_points % len(self.height_anchors_m):
            raise ValueError(
                f"spatial_points {self.spatial_points} must be a multiple of the "
                f"{len(self.height_anchors_m)} height_anchors_m that share them"
            )
        return self
