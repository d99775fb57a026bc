"""Label images that compress as a teacher's do: smooth regions with ragged edges, and less confidence near those."""

import cv2
import numpy as np
from numpy.typing import NDArray

from models.teachers.confidence import CONFIDENCE_STEPS, CONFIDENCE_STRIDE

NUM_CLASSES = 12
REGION_PX = 10.0
EDGE_PX = 1.5
"""Of the smoothing, at a quarter of the resolution."""
EDGE_SHARE = 0.3
NOISE = 0.05


def label_maps(
    num_samples: int, num_cameras: int, hw_px: tuple[int, int], seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Class ids (N, C, h, w) and confidences (N, C, h / 4, w / 4) of random scenes.

    The constants are chosen for the sizes that were measured on real teachers' labels (docs/storage.md), 20 KB each for
    an image of 448 x 800 after Zstd 3.
    """
    random = np.random.default_rng(seed)
    images = [_label_map(random, hw_px) for _ in range(num_samples * num_cameras)]
    class_id, confidence = (np.stack([image[k] for image in images]) for k in (0, 1))
    return (
        class_id.reshape(num_samples, num_cameras, *class_id.shape[1:]),
        confidence.reshape(num_samples, num_cameras, *confidence.shape[1:]),
    )


def _label_map(random: np.random.Generator, hw_px: tuple[int, int]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    height, width = hw_px
    coarse = (height // CONFIDENCE_STRIDE, width // CONFIDENCE_STRIDE)
    logits = np.stack(
        [
            cv2.resize(
                _smooth_noise(random, coarse, REGION_PX) + EDGE_SHARE * _smooth_noise(random, coarse, EDGE_PX),
                (width, height),
                interpolation=cv2.INTER_LINEAR,
            )
            for _ in range(NUM_CLASSES)
        ]
    )
    first, second = -np.partition(-logits, 1, axis=0)[:2]
    probability = 1 / (1 + np.exp(-1 - 2 * (first - second)))
    blocks = probability.reshape(coarse[0], CONFIDENCE_STRIDE, coarse[1], CONFIDENCE_STRIDE).mean(axis=(1, 3))
    blocks = np.clip(blocks + NOISE * random.standard_normal(coarse), 0, 1)
    return logits.argmax(axis=0).astype(np.uint8), np.round(CONFIDENCE_STEPS * blocks).astype(np.uint8)


def _smooth_noise(random: np.random.Generator, hw: tuple[int, int], sigma_px: float) -> NDArray[np.float32]:
    noise = cv2.GaussianBlur(random.standard_normal(hw, np.float32), (0, 0), sigma_px)
    scaled: NDArray[np.float32] = noise / noise.std()
    return scaled
