"""Mask2Former (Cheng et al., CVPR 2022, arXiv 2112.01527) as a teacher of per-pixel classes."""

from pathlib import Path
from typing import NamedTuple, Self

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional
from transformers import Mask2FormerForUniversalSegmentation

from models.teachers.confidence import CONFIDENCE_STEPS, CONFIDENCE_STRIDE
from models.teachers.loading import Normalise, load_network
from scene.errors import InputError


class Labels(NamedTuple):
    """What a teacher says about B images.

    Attributes:
        class_id: the target of each pixel's arg-max class.
        probability: of that target at each pixel.
    """

    class_id: UInt8[Tensor, "B h w"]
    probability: Float[Tensor, "B h w"]


class Mask2FormerTeacher(nn.Module):
    """A loaded network and its image normalisation."""

    def __init__(self, network: Mask2FormerForUniversalSegmentation, normalise: Normalise) -> None:
        super().__init__()
        self.network, self.normalise = network, normalise

    @classmethod
    def load(cls, folder: Path, num_classes: int) -> Self:
        """A teacher from a folder (see `models.teachers.source.fetch`).

        Raises:
            InputError: see `load_network`; and if the network has not exactly `num_classes` classes.
        """
        network = load_network(Mask2FormerForUniversalSegmentation, folder)
        if network.config.num_labels != num_classes:
            raise InputError(
                f"the teacher knows {network.config.num_labels} classes, the teacher map expects {num_classes}",
                where=str(folder / "config.json"),
                fix="choose the map that belongs to this teacher (configs/teachers/)",
            )
        return cls(network, Normalise.of_folder(folder))

    @torch.inference_mode()
    def forward(
        self, images: UInt8[Tensor, "B 3 H W"], label_hw_px: tuple[int, int], target_of_class: UInt8[Tensor, " K"]
    ) -> Labels:
        """Labels at the label size of RGB images at the teacher's input size."""
        output = self.network(pixel_values=self.normalise(images))
        input_hw_px = (images.shape[-2], images.shape[-1])
        queries = zip(output.class_queries_logits.split(1), output.masks_queries_logits.split(1), strict=True)
        # Image by image: the masks of 200 queries at 768 x 1344 px are 0.8 GB each time that they are written down.
        labels = [
            decide(semantic_scores(classes, masks, input_hw_px, label_hw_px), target_of_class)
            for classes, masks in queries
        ]
        return Labels(*(torch.cat(part) for part in zip(*labels, strict=True)))


def semantic_scores(
    class_logits: Float[Tensor, "B Q K1"],
    mask_logits: Float[Tensor, "B Q m n"],
    input_hw_px: tuple[int, int],
    label_hw_px: tuple[int, int],
) -> Float[Tensor, "B K h w"]:
    """Score of every class at every label pixel: sum over queries of p(class) times sigmoid(mask).

    The paper's semantic inference, and the arithmetic of `post_process_semantic_segmentation` in transformers: masks
    to the input's size, combined there, then to the label's size. (transformers takes the input to be 384 x 384.)
    Class K (the last of K1 = K + 1) is "no object" and has no score.
    """
    masks = functional.interpolate(mask_logits, size=input_hw_px, mode="bilinear", align_corners=False).sigmoid()
    scores = torch.einsum("bqk,bqhw->bkhw", class_logits.softmax(dim=-1)[..., :-1], masks)
    return functional.interpolate(scores, size=label_hw_px, mode="bilinear", align_corners=False)


def decide(scores: Float[Tensor, "B K h w"], target_of_class: UInt8[Tensor, " K"]) -> Labels:
    """The target of the arg-max class, and that target's share of all scores (Mask2Former's do not sum to one).

    Classes with the same target add up in the share, not in the arg-max: four kinds of road must not outvote a thin
    marking that each of them loses to (our choice).
    """
    winner = target_of_class[scores.argmax(dim=1)]
    same = winner[:, None] == target_of_class.view(1, -1, 1, 1)
    share = (scores * same).sum(dim=1) / scores.sum(dim=1).clamp(min=1e-12)
    return Labels(winner, share.clamp(0, 1))


def stored_confidence(probability: Float[Tensor, "B h w"]) -> UInt8[Tensor, "B h4 w4"]:
    """Probability averaged over 4 x 4 pixels (fewer at the lower and right border), as round(250 p)."""
    mean = functional.avg_pool2d(probability, CONFIDENCE_STRIDE, ceil_mode=True, count_include_pad=False)
    return (mean * CONFIDENCE_STEPS).round().to(torch.uint8)
