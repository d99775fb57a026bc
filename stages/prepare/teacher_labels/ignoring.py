"""Pixels that shall supervise nothing (docs/methods.md section 3, item 5)."""

import cv2
import numpy as np
from numpy.typing import NDArray

from scene.labels import IGNORE


def ignore_regions(
    class_id: NDArray[np.uint8],
    probability: NDArray[np.float32],
    *,
    bonnet_share: float,
    min_confidence: float,
    dilate_px: int,
) -> NDArray[np.uint8]:
    """Label image (h, w) with movable things and the ego vehicle grown by a disc, and doubtful pixels, as IGNORE.

    Doubtful pixels (probability (h, w) below `min_confidence`) do not grow: nothing is known to stand there.
    """
    height = class_id.shape[0]
    standing = class_id == IGNORE
    standing[height - round(bonnet_share * height) :] = True
    if dilate_px > 0 and standing.any():
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * dilate_px + 1, 2 * dilate_px + 1))
        standing = cv2.dilate(standing.view(np.uint8), disc).astype(bool)
    return np.where(standing | (probability < min_confidence), np.uint8(IGNORE), class_id)
