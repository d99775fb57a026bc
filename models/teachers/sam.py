"""SAM (Kirillov et al., ICCV 2023, arXiv 2304.02643) as a teacher of class-agnostic masks."""

from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from jaxtyping import Bool, Float, Int32, UInt8
from torch import Tensor, nn
from torch.nn import functional
from transformers import SamModel

from models.teachers.loading import Normalise, load_network
from models.teachers.settings import SamSettings


class Proposals(NamedTuple):
    """N masks of one image: logits at the label size, and the IoU that SAM expects them to have."""

    logits: Float[Tensor, "N h w"]
    predicted_iou: Float[Tensor, " N"]


class SamTeacher(nn.Module):
    """A loaded SAM and how its masks are chosen."""

    def __init__(self, network: Any, normalise: Normalise, settings: SamSettings) -> None:
        super().__init__()
        self.network, self.normalise, self.settings = network, normalise, settings
        self.image_side_px = int(network.config.vision_config.image_size)

    @classmethod
    def load(cls, folder: Path, settings: SamSettings) -> Self:
        """From a folder (see `models.teachers.source.fetch`).

        Raises:
            InputError: see `load_network`.
        """
        return cls(load_network(SamModel, folder), Normalise.of_folder(folder), settings)

    @torch.inference_mode()
    def forward(self, image: UInt8[Tensor, "3 H W"], label_hw_px: tuple[int, int]) -> Int32[Tensor, "h w"]:
        """Instance ids of one RGB image at the label size: 0 where there is no mask, then 1, 2, ... by falling area."""
        settings = self.settings
        pixels, content_hw = self._prepare(image)
        embedding = self.network.get_image_embeddings(pixels)
        points = point_grid(settings.points_per_side, content_hw).to(image.device)
        kept_masks, kept_ratings = [], []
        for batch in torch.split(points, settings.points_per_batch):
            proposals = self._decode(embedding, batch, content_hw, label_hw_px)
            keep = (
                (proposals.predicted_iou >= settings.min_predicted_iou)
                & (stability(proposals.logits, settings.stability_offset) >= settings.min_stability)
                & ((proposals.logits > 0).sum(dim=(1, 2)) >= settings.min_area_px)
            )
            kept_masks.append(proposals.logits[keep] > 0)
            kept_ratings.append(proposals.predicted_iou[keep])
        masks, ratings = torch.cat(kept_masks), torch.cat(kept_ratings)
        chosen = suppress(boxes_of(masks), ratings, settings.max_box_iou)
        return paint(masks[chosen])

    def _prepare(self, image: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """SAM's input: the longer side scaled to the network's, zeros below or on the right. Also the size within."""
        side = self.image_side_px
        scale = side / max(image.shape[-2:])
        height, width = (int(n * scale + 0.5) for n in image.shape[-2:])
        resized = functional.interpolate(
            image[None].float(), size=(height, width), mode="bilinear", align_corners=False, antialias=True
        )
        return functional.pad(self.normalise(resized), (0, side - width, 0, side - height)), (height, width)

    def _decode(
        self, embedding: Tensor, points: Tensor, content_hw: tuple[int, int], label_hw: tuple[int, int]
    ) -> Proposals:
        output = self.network(image_embeddings=embedding, input_points=points[None, :, None, :], multimask_output=True)
        low = output.pred_masks[0].flatten(0, 1)[None]
        side = self.image_side_px
        full = functional.interpolate(low, size=(side, side), mode="bilinear", align_corners=False)
        inside = full[..., : content_hw[0], : content_hw[1]]
        logits = functional.interpolate(inside, size=label_hw, mode="bilinear", align_corners=False)[0]
        return Proposals(logits, output.iou_scores[0].flatten())


def point_grid(points_per_side: int, content_hw: tuple[int, int]) -> Float[Tensor, "N 2"]:
    """Centres (x, y) of a regular grid of cells over an image, in its pixels."""
    ticks = (torch.arange(points_per_side, dtype=torch.float32) + 0.5) / points_per_side
    y, x = torch.meshgrid(ticks * content_hw[0], ticks * content_hw[1], indexing="ij")
    return torch.stack([x, y], dim=-1).flatten(0, 1)


def stability(logits: Float[Tensor, "N h w"], offset: float) -> Float[Tensor, " N"]:
    """IoU of the masks cut at +offset and -offset; 0 for a mask that is empty at both."""
    inner = (logits > offset).sum(dim=(1, 2))
    outer = (logits > -offset).sum(dim=(1, 2))
    return inner / outer.clamp(min=1)


def boxes_of(masks: Bool[Tensor, "N h w"]) -> Float[Tensor, "N 4"]:
    """Tight boxes (x0, y0, x1, y1) in px, x1 and y1 exclusive, of masks that are not empty."""
    columns, rows = masks.any(dim=1).float(), masks.any(dim=2).float()
    first_x, first_y = columns.argmax(dim=1), rows.argmax(dim=1)
    last_x = masks.shape[2] - columns.flip(1).argmax(dim=1)
    last_y = masks.shape[1] - rows.flip(1).argmax(dim=1)
    return torch.stack([first_x, first_y, last_x, last_y], dim=1).float()


def suppress(boxes: Float[Tensor, "N 4"], ratings: Float[Tensor, " N"], max_iou: float) -> Int32[Tensor, " M"]:
    """Greedy non-maximum suppression: indices of the boxes kept, best rated first (ties: lower index first).

    A box is dropped if a kept, better one overlaps it with an IoU above `max_iou`. Plain torch, because torchvision's
    cannot be installed beside the CPU build of torch.
    """
    order = ratings.argsort(descending=True, stable=True)
    boxes = boxes[order]
    area = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    alive = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
    kept = []
    for i in range(len(boxes)):
        if not alive[i]:
            continue
        kept.append(i)
        low = torch.maximum(boxes[i, :2], boxes[i + 1 :, :2])
        high = torch.minimum(boxes[i, 2:], boxes[i + 1 :, 2:])
        overlap = (high - low).clamp(min=0).prod(dim=1)
        alive[i + 1 :] &= overlap / (area[i] + area[i + 1 :] - overlap) <= max_iou
    return order[torch.tensor(kept, dtype=torch.long, device=boxes.device)].to(torch.int32)


def paint(masks: Bool[Tensor, "N h w"]) -> Int32[Tensor, "h w"]:
    """One id per pixel: large masks first, small ones on top, so that parts stay visible on their wholes."""
    area = masks.sum(dim=(1, 2))
    result = torch.zeros(masks.shape[1:], dtype=torch.int32, device=masks.device)
    for rank, i in enumerate(area.argsort(descending=True, stable=True).tolist(), start=1):
        result[masks[i]] = rank
    return result
