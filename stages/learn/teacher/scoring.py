"""How well a trained teacher sees, through the code that makes pseudo-labels."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.teachers.mask2former import Mask2FormerTeacher
from stages.labelled_images.pictures import Pictures, resized
from stages.labelled_images.scoring import score
from synthetic.contents import Semantic

IMAGES_PER_BATCH = 6


def score_teacher(folder: Path, pictures: Pictures, image_hw_px: tuple[int, int]) -> dict[str, float]:
    """`score` of the teacher in a folder."""
    teacher = Mask2FormerTeacher.load(folder, len(Semantic))
    identity = torch.arange(len(Semantic), dtype=torch.uint8)
    label_hw_px = pictures.semantic.shape[1], pictures.semantic.shape[2]

    def predict(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        labels = teacher(torch.from_numpy(resized(images, image_hw_px)), label_hw_px, identity)
        class_id: NDArray[np.uint8] = labels.class_id.numpy()
        return class_id

    return score(predict, pictures, IMAGES_PER_BATCH)
