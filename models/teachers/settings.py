"""Settings of the teachers. Imports no torch: stage descriptions import this."""

from typing import Annotated

from pydantic import Field

from scene.settings import NOT_IN_KEY, Settings


class TeacherSource(Settings):
    """Where a teacher's files are; what is in them joins the cache key as a digest (`models.teachers.source`).

    Attributes:
        source: "embedded" (the weights kept in this repository), a hub name org/model, or a local folder.
        revision: the full commit hash of a hub model. Not read for the other two.
    """

    source: Annotated[str, NOT_IN_KEY] = "embedded"
    revision: Annotated[str | None, NOT_IN_KEY] = None


class EmbeddedTeacherSettings(Settings):
    """Size of the small Mask2Former; the defaults give 2.3 million parameters (our choice).

    Attributes:
        stem_channels, stage_channels, stage_depths: of the ResNet backbone with basic blocks, strides 4 to 32.
        feature_channels: of the pixel decoder, the masks and the queries; a multiple of 32 and of `num_heads`.
        feedforward_channels: of both transformers.
        pixel_layers: deformable encoder layers of the pixel decoder.
        query_layers: masked-attention layers of the query decoder.
        num_heads: attention heads.
        num_queries: at least as many as classes; the others start as "no object".
        num_points: sampled per mask in Mask2Former's loss.
    """

    stem_channels: int = 32
    stage_channels: tuple[int, int, int, int] = (48, 80, 128, 176)
    stage_depths: tuple[int, int, int, int] = (2, 2, 2, 2)
    feature_channels: int = 64
    feedforward_channels: int = 256
    pixel_layers: int = 1
    query_layers: int = 3
    num_heads: int = 2
    num_queries: int = 16
    num_points: int = 2048


class SamSettings(Settings):
    """SAM's automatic masks (Kirillov et al., 2023), with the defaults of its authors' mask generator.

    Attributes:
        teacher: where the SAM network is.
        points_per_side: of the regular grid of point prompts.
        points_per_batch: prompts decoded at once; the masks do not depend on it.
        min_predicted_iou: masks that the network itself rates lower are dropped.
        min_stability: least IoU between the masks cut `stability_offset` above and below the threshold 0.
        stability_offset: in logits.
        max_box_iou: of two masks whose boxes overlap more, the lower rated is dropped.
        min_area_px: smaller masks are dropped; of the label image.
    """

    teacher: TeacherSource
    points_per_side: int = Field(32, gt=0)
    points_per_batch: Annotated[int, Field(gt=0), NOT_IN_KEY] = 64
    min_predicted_iou: float = 0.88
    min_stability: float = 0.95
    stability_offset: float = 1.0
    max_box_iou: float = 0.7
    min_area_px: int = 16
