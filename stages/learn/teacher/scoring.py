"""How well a trained teacher sees: intersection over union per class, through the code that makes pseudo-labels."""

from pathlib import Path

import numpy as np
import torch

from models.teachers.confusion import confusion, iou_per_class
from models.teachers.mask2former import Mask2FormerTeacher
from stages.learn.teacher.pictures import Pictures, resized
from synthetic.contents import Semantic

IMAGES_PER_BATCH = 6


def score_teacher(folder: Path, pictures: Pictures, image_hw_px: tuple[int, int]) -> dict[str, float]:
    """IoU of each class that is in the pictures, by lower-case name, with "mean" over them; rounded to 4 digits."""
    teacher = Mask2FormerTeacher.load(folder, len(Semantic))
    identity = torch.arange(len(Semantic), dtype=torch.uint8)
    label_hw_px = pictures.semantic.shape[1], pictures.semantic.shape[2]
    counts = np.zeros((len(Semantic), len(Semantic)), np.int64)
    for start in range(0, len(pictures.images), IMAGES_PER_BATCH):
        rows = slice(start, start + IMAGES_PER_BATCH)
        images = torch.from_numpy(resized(pictures.images[rows], image_hw_px))
        labels = teacher(images, label_hw_px, identity)
        counts += confusion(labels.class_id.numpy(), pictures.semantic[rows], len(Semantic))
    iou = iou_per_class(counts)
    scores = {c.name.lower(): round(float(iou[c]), 4) for c in Semantic if not np.isnan(iou[c])}
    return {**scores, "mean": round(float(np.nanmean(iou)), 4)}
