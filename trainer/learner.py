"""Trunk, heads and losses as one module: batch in, losses out."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from numpy.typing import NDArray
from torch import Tensor, nn

from models.bev.former import BevFormer
from models.objectives.base import Batch, Losses, Objective
from models.objectives.segmentation import class_weights, dice_loss
from scene.labels import IGNORE
from trainer.network import put_in_place
from trainer.settings import SupervisedSettings


class SupervisedLoss(nn.Module):
    """Class-weighted cross-entropy and Dice of the logits of labelled samples.

    Args:
        settings: weights of the terms.
        labels: BEV labels from which the class weights are computed.
        num_classes: K.
    """

    class_weight: Float[Tensor, " K"]

    def __init__(self, settings: SupervisedSettings, labels: Sequence[NDArray[np.uint8]], num_classes: int) -> None:
        super().__init__()
        self.settings = settings
        counts = np.sum([np.bincount(label.ravel(), minlength=num_classes) for label in labels], axis=0)
        weight = class_weights(counts.astype(np.float64), settings.class_balance)
        self.register_buffer("class_weight", weight, persistent=False)

    def forward(
        self, logits: Float[Tensor, "B K X Y"], bev_class: UInt8[Tensor, "B X Y"], labelled: Bool[Tensor, " B"]
    ) -> dict[str, Float[Tensor, ""]]:
        """The terms by name; the cross-entropy's mean is over all cells of all B samples, the unlabelled counting 0."""
        known = bev_class != IGNORE
        target = torch.where(known, bev_class, 0).long()
        entropy = F.cross_entropy(logits.float(), target, reduction="none")
        counted = (labelled[:, None, None] & known).to(entropy)
        parts = {"supervised": (entropy * self.class_weight[target] * counted).mean()}
        if self.settings.dice_weight > 0:
            probability = logits.float().softmax(dim=1).flatten(2).transpose(1, 2)
            weight = known.to(entropy).flatten(1)
            parts["dice"] = self.settings.dice_weight * dice_loss(probability, target.flatten(1), weight, labelled)
        return parts


class Learner(nn.Module):
    """What is trained: the trunk and the heads, with the losses that train them.

    Args:
        trunk: the BEV trunk.
        heads: by name; "decoder" where there is a supervised loss.
        supervised: the loss against BEV labels, None in pretraining.
        objective: the pretraining objective, which shares `heads`; None in plain fine-tuning.
        objective_weight: of the objective's loss.
    """

    def __init__(
        self,
        trunk: BevFormer,
        heads: nn.ModuleDict,
        supervised: SupervisedLoss | None,
        objective: Objective | None,
        objective_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.trunk, self.heads, self.supervised, self.objective = trunk, heads, supervised, objective
        self.objective_weight = objective_weight
        if objective is not None:
            if own := [name for name in objective.state_dict() if not name.startswith("heads.")]:
                raise TypeError(f"{type(objective).__name__}.{own[0]} would be lost on resume: make it part of a head")
            objective.heads = heads

    def forward(self, batch: Batch) -> Losses:
        """Losses of a batch: supervised on its labelled samples, the objective on the others (or, alone, on all)."""
        parts: dict[str, Tensor] = {}
        figures: Mapping[str, Tensor] = {}
        logits: Tensor | None = None
        features: Tensor | None = None
        if self.objective is not None:
            rows = ~batch.labelled if self.supervised is not None else None
            found = self.objective(self.trunk, batch, rows)
            parts |= {name: self.objective_weight * part for name, part in found.parts.items()}
            figures, logits, features = found.figures, found.logits, found.features
        else:
            features = self.trunk(batch.clip)[-1]
        if self.supervised is not None:
            logits = self.heads["decoder"](features) if logits is None else logits
            own = self.supervised(logits, batch.bev_class, batch.labelled)
            parts |= {f"supervised_{name}" if name in parts else name: part for name, part in own.items()}
        if not parts and features is not None:  # there is still something to differentiate
            parts["nothing"] = features.sum() * 0
        return Losses(parts, figures)

    def weights(self) -> dict[str, Tensor]:
        """Parameters and buffers that make the model: `trunk.*` and `heads.*`."""
        return {
            f"{part}.{name}": value
            for part, module in (("trunk", self.trunk), ("heads", self.heads))
            for name, value in module.state_dict().items()
        }

    def load_pretrained(self, weights: Mapping[str, Tensor], where: str = "") -> None:
        """Puts the trunk's weights from `where` in place, and those of the heads that both have; others stay random.

        Raises:
            InputError: if names or shapes differ.
        """
        own = self.weights()
        known = {name.split(".")[1] for name in weights if name.startswith("heads.")}
        missing = {k: v for k, v in own.items() if k.startswith("heads.") and k.split(".")[1] not in known}
        wanted = {k: v for k, v in weights.items() if k.startswith("trunk.") or k.split(".")[1] in self.heads}
        self.load_weights(wanted | missing, where)

    def load_weights(self, weights: Mapping[str, Tensor], where: str = "") -> None:
        """Puts weights of the same model, from `where`, in place.

        Raises:
            InputError: if names or shapes differ.
        """
        for part, module in (("trunk", self.trunk), ("heads", self.heads)):
            prefix = f"{part}."
            own = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
            put_in_place(own, module, where)
