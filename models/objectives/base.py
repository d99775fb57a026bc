"""What a pretraining objective is, and the batch that it reads."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from numpy.typing import NDArray
from torch import Tensor, nn

from models.bev.inputs import Clip
from models.objectives.choice import ObjectiveConfig
from models.objectives.frames import ClipArrays
from scene.grid import BevGrid
from scene.labels import LabelSchema

Targets = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Batch:
    """B samples.

    Attributes:
        clip: what the model sees.
        targets: what the objective prepared for each sample, stacked; empty where no objective takes part.
        bev_class: BEV labels, IGNORE where a cell has none; rows of samples without a label are meaningless.
        labelled: whether `bev_class` of a sample may be used.
        frame: rows of the samples in the dataset index.
        step: the optimisation step that it is for, from 0; for what is warmed up.
    """

    clip: Clip
    targets: Mapping[str, Tensor]
    bev_class: UInt8[Tensor, "B X Y"]
    labelled: Bool[Tensor, " B"]
    frame: Int64[Tensor, " B"]
    step: int = 0

    def map(self, function: Callable[[Tensor], Tensor]) -> "Batch":
        """With every tensor replaced by the function's value of it."""
        return replace(
            self,
            clip=self.clip.map(function),
            targets={name: function(value) for name, value in self.targets.items()},
            bev_class=function(self.bev_class),
            labelled=function(self.labelled),
            frame=function(self.frame),
        )

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device; what is pinned is copied while the computation goes on."""
        return self.map(lambda tensor: tensor.to(device, non_blocking=True))

    def part(self, number: int, count: int) -> "Batch":
        """Every `count`-th sample from `number` on: as much of each pool in each part."""
        return self.map(lambda tensor: tensor[number::count])


@dataclass(frozen=True, eq=False)
class Losses:
    """What a batch costs.

    Attributes:
        parts: the terms, already weighted, by name; what is minimised is their sum. The same names at every step.
        figures: what is only watched, by name, beside the parts in the history; the same names at every step.
        logits: of the head "decoder" for every sample, where they were computed: nobody needs to decode once more.
        features: the trunk's that the supervised loss goes on from, of the samples' own keyframes; set by
            `Objective.forward`.
    """

    parts: Mapping[str, Float[Tensor, ""]]
    figures: Mapping[str, Float[Tensor, ""]] = field(default_factory=dict)
    logits: Float[Tensor, "B K X Y"] | None = None
    features: Float[Tensor, "B D X2 Y2"] | None = None

    @property
    def total(self) -> Float[Tensor, ""]:
        """The sum of the parts, 0 where there is none."""
        return torch.stack(list(self.parts.values())).sum() if self.parts else torch.zeros(())


class Objective(nn.Module, ABC):
    """Base of every pretraining objective. Its heads, made for a trunk, hold everything that it learns.

    A checkpoint keeps the trunk and the heads, parameters and buffers; whatever else an objective holds is what
    `calibrate` sets, in buffers that are not persistent. `trainer.learner.Learner` refuses one with state of its own.

    A head named "decoder" (`models.bev.decoder.SegmentationDecoder`) is what fine-tuning goes on from and what
    evaluation reads; an objective without one leaves the trunk alone to fine-tuning.
    """

    heads: nn.ModuleDict

    def __init__(self, config: ObjectiveConfig, schema: LabelSchema, grid: BevGrid) -> None:
        super().__init__()
        self.needs, self.schema, self.grid = config.needs, schema, grid
        self.heads = nn.ModuleDict()

    @abstractmethod
    def build_heads(self, trunk: nn.Module) -> nn.ModuleDict:
        """New heads that fit `trunk` (a `models.bev.former.BevFormer`)."""

    def choose_views(self, earlier: int, later: int, random: np.random.Generator) -> Sequence[int]:  # noqa: ARG002
        """Which keyframes' artifacts `prepare` wants, as offsets in time from the sample's own, that one first.

        The scene has `earlier` keyframes before the sample's own and `later` ones after it.
        """
        return (0,) if self.needs else ()

    @abstractmethod
    def prepare(self, clip: ClipArrays, random: np.random.Generator) -> Targets:
        """Targets of one sample as arrays of fixed shape. Runs in the data loader, beside the training step."""

    def calibrate(self, samples: Sequence[Targets]) -> None:
        """Called once before training with the targets of some samples, the same ones after a resume."""

    def forward(self, trunk: nn.Module, batch: Batch, rows: Bool[Tensor, " B"] | None = None) -> Losses:
        """Runs the trunk on a batch, and gives `loss` of its features.

        Overridden by objectives whose trunk sees something else than the clip as it is (masked images, two views of
        it), or that need it more than once. Two rules for those: samples outside `rows` are also supervised, so what
        is returned as `features` is of their clips as they are; and every parameter of the trunk and the heads that
        requires a gradient gets one at every step, if only of weight 0, as training with several processes needs.
        """
        features = trunk(batch.clip)
        return replace(self.loss(batch, features, rows), features=features[-1])

    @abstractmethod
    def loss(
        self, batch: Batch, features: tuple[Float[Tensor, "B D X2 Y2"], ...], rows: Bool[Tensor, " B"] | None = None
    ) -> Losses:
        """Losses of a batch from the trunk's BEV features, oldest first and the sample's own keyframe last.

        History has no gradient. In training, an older keyframe drawn anew at every step is left out where the model's
        `drop_history_frame` is on: the last two entries are always consecutive.

        `rows` limits the loss to some samples; the mean is still taken over all B of them, so that losses of
        different sample counts can be added.
        """
