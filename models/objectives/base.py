"""What a pretraining objective is, and the batch that it reads."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
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
        bev_class: BEV labels; rows of samples without a label are meaningless.
        labelled: whether `bev_class` of a sample may be used.
        frame: rows of the samples in the dataset index.
    """

    clip: Clip
    targets: Mapping[str, Tensor]
    bev_class: UInt8[Tensor, "B X Y"]
    labelled: Bool[Tensor, " B"]
    frame: Int64[Tensor, " B"]

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        targets = {name: value.to(device) for name, value in self.targets.items()}
        return replace(
            self,
            clip=self.clip.to(device),
            targets=targets,
            bev_class=self.bev_class.to(device),
            labelled=self.labelled.to(device),
            frame=self.frame.to(device),
        )


@dataclass(frozen=True, eq=False)
class Losses:
    """What a batch costs.

    Attributes:
        total: to minimise.
        parts: already weighted, by name, for the history.
        logits: of the head "decoder" for every sample, where they were computed: nobody needs to decode once more.
    """

    total: Float[Tensor, ""]
    parts: Mapping[str, Float[Tensor, ""]] = field(default_factory=dict)
    logits: Float[Tensor, "B K X Y"] | None = None


class Objective(nn.Module, ABC):
    """Base of every pretraining objective. Heads are parameters of the objective, made for a trunk.

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
        """Which keyframes' labels or points `prepare` wants, as offsets in time from the sample's own, that one first.

        The scene has `earlier` keyframes before the sample's own and `later` ones after it.
        """
        return (0,) if {"teacher_labels", "ground_points"} & set(self.needs) else ()

    @abstractmethod
    def prepare(self, clip: ClipArrays, random: np.random.Generator) -> Targets:
        """Targets of one sample as arrays of fixed shape. Runs in the data loader, beside the training step."""

    def calibrate(self, samples: Sequence[Targets]) -> None:
        """Called once before training with the targets of some samples, the same ones after a resume."""

    @abstractmethod
    def loss(
        self, batch: Batch, features: tuple[Float[Tensor, "B D X2 Y2"], ...], rows: Bool[Tensor, " B"] | None = None
    ) -> Losses:
        """Losses of a batch from the trunk's BEV features of every frame, oldest first; history has no gradient.

        `rows` limits the loss to some samples; the mean is still taken over all B of them, so that losses of
        different sample counts can be added.
        """
