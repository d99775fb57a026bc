"""Camera images on disk."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from scene.errors import InputError


def read_rgb(file: Path) -> NDArray[np.uint8]:
    """An image file as RGB (height, width, 3).

    Raises:
        InputError: if it is missing or cannot be decoded.
    """
    image = cv2.imread(str(file), cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise InputError("missing or damaged image", where=str(file), fix="restore it, or skip bad frames")
    return np.asarray(image, np.uint8)
