"""The reprojection objective: ties targets, sampling and the temporal term together."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from models.bev.former import BevFormer
from models.objectives.base import Batch, Losses, Objective, Targets
from models.objectives.frames import ClipArrays
from models.objectives.reprojection.config import ReprojectionConfig
from models.objectives.reprojection.reproject import sample_bev
from models.objectives.reprojection.targets import draw_targets
from models.objectives.reprojection.temporal import temporal_loss
from models.objectives.segmentation import class_weights, dice_loss, make_decoder
from scene.grid import BevGrid
from scene.labels import LabelSchema


class ReprojectionObjective(Objective):
    """Learns BEV segmentation from the teacher's image labels; see this folder's README for the equations."""

    class_weight: Float[Tensor, " K"]

    def __init__(self, config: ReprojectionConfig, schema: LabelSchema, grid: BevGrid) -> None:
        super().__init__(config, schema, grid)
        self.config = config
        self.register_buffer("class_weight", torch.ones(len(schema.classes)), persistent=False)

    def build_heads(self, trunk: nn.Module) -> nn.ModuleDict:
        """One segmentation decoder."""
        assert isinstance(trunk, BevFormer)
        return nn.ModuleDict({"decoder": make_decoder(trunk, len(self.schema.classes))})

    def choose_views(self, earlier: int, later: int, random: np.random.Generator) -> Sequence[int]:
        """The sample's own keyframe, and `neighbours.count` others, or all, of those within `neighbours.reach`."""
        reach = self.config.neighbours.reach
        others = [offset for offset in range(-min(earlier, reach), min(later, reach) + 1) if offset]
        chosen = random.permutation(len(others))[: self.config.neighbours.count]
        return (0, *(others[i] for i in chosen))

    def prepare(self, clip: ClipArrays, random: np.random.Generator) -> Targets:
        """Ground points (P, 2), their classes (P,), weights (P,), and the cells (X, Y) that the previous frame saw."""
        if not clip.views:
            raise ValueError("the sample has no ground points")
        views = [(view.points(), view.ground_from_view) for view in clip.views]
        targets = draw_targets(views, self.grid, self.config.points_per_frame, random)
        has_previous = len(clip.frames) > 1 and clip.has_previous[-1]
        seen = clip.frames[-2].seen if has_previous else np.zeros(self.grid.shape, np.bool_)
        return {**vars(targets), "previous_seen": seen}

    def calibrate(self, samples: Sequence[Targets]) -> None:
        """Sets the class weights from the frequency of classes among the points of some samples."""
        counts = np.zeros(len(self.schema.classes))
        for sample in samples:
            counts += np.bincount(sample["class_id"], sample["weight"], minlength=len(counts))
        self.class_weight.copy_(class_weights(counts, self.config.class_balance))

    def loss(
        self, batch: Batch, features: tuple[Float[Tensor, "B D X2 Y2"], ...], rows: Bool[Tensor, " B"] | None = None
    ) -> Losses:
        """Cross-entropy (and Dice) at the ground points, and the temporal term; see `Objective.loss`."""
        logits = self.heads["decoder"](features[-1])
        counted = torch.ones_like(batch.labelled) if rows is None else rows
        parts = self._image_terms(logits, batch, counted)
        if self.config.temporal.weight > 0 and len(features) > 1:
            with torch.no_grad():
                previous = self.heads["decoder"](features[-2])
            clip = batch.clip
            seen = batch.targets["previous_seen"] & (clip.has_previous[-1] & counted)[:, None, None]
            term = temporal_loss(logits, previous, clip.ego_from_previous[-1], seen, self.grid, self.config.temporal)
            parts["temporal"] = self.config.temporal.weight * term.mean()
        return Losses(parts, logits=logits)

    def _image_terms(
        self, logits: Float[Tensor, "B K X Y"], batch: Batch, counted: Bool[Tensor, " B"]
    ) -> dict[str, Float[Tensor, ""]]:
        points_m, class_id, weight = (batch.targets[name] for name in ("points_m", "class_id", "weight"))
        at_points = sample_bev(logits.float(), points_m, self.grid)
        parts = {}
        if self.config.cross_entropy_weight > 0:
            entropy = self._cross_entropy(at_points, class_id)
            parts["reprojection"] = self.config.cross_entropy_weight * (entropy * weight * counted[:, None]).mean()
        if self.config.dice_weight > 0:
            parts["dice"] = self.config.dice_weight * dice_loss(at_points.softmax(-1), class_id, weight, counted)
        return parts

    def _cross_entropy(self, logits: Float[Tensor, "B P K"], class_id: Int64[Tensor, "B P"]) -> Float[Tensor, "B P"]:
        """Per point, times the weight of the point's class."""
        entropy = F.cross_entropy(logits.transpose(1, 2), class_id, reduction="none")
        return entropy * self.class_weight[class_id]
