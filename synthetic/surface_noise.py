"""Smooth random fields."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

TILE = 512


def value_noise(rng: np.random.Generator, shape: tuple[int, int], cell_px: float) -> NDArray[np.float32]:
    """A field (`shape`) within about -1..1 that varies over `cell_px` pixels: a random lattice, interpolated."""
    lattice = [max(2, int(np.ceil(extent / cell_px)) + 1) for extent in shape]
    values = rng.uniform(-1, 1, lattice).astype(np.float32)
    wanted = np.array(shape, np.float64) / cell_px
    # Stretch so that a lattice step is cell_px whatever the shape is; the surplus is cut off.
    stretched = [
        max(extent, round(extent * size / max(want, 1e-9)))
        for extent, size, want in zip(shape, lattice, wanted, strict=True)
    ]
    field: NDArray[np.float32] = cv2.resize(values, (stretched[1], stretched[0]), interpolation=cv2.INTER_LINEAR)
    return field[: shape[0], : shape[1]]


def tileable_noise(rng: np.random.Generator, sigmas_px: Sequence[float]) -> NDArray[np.uint8]:
    """A (512, 512) uint8 tile, the mean of equally strong noises of these sizes, that continues over its edges."""
    total = np.zeros((TILE, TILE), np.float32)
    for sigma in sigmas_px:
        octave = ndimage.gaussian_filter(rng.standard_normal((TILE, TILE), np.float32), sigma, mode="wrap")
        total += octave / octave.std()
    tile: NDArray[np.uint8] = np.clip(128 + 50 * total / total.std(), 0, 255).astype(np.uint8)
    return tile
