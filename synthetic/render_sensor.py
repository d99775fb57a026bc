"""From light to bytes: lens, exposure, noise, encoding."""

import numpy as np
from numpy.typing import NDArray

from synthetic.render_light import Rgb

MEAN_TARGET = 0.2
"""Linear mean that the automatic exposure aims at; it goes only part of the way, as a camera does."""


def average_rays(colour: Rgb) -> Rgb:
    """Pixels (h, w, 3) of a ray grid (2 h + 1, 2 w + 1, 3): each the mean of its 3 x 3 rays, weighted 1-2-1.

    The weights reach to the centres of the pixel's borders, which is a lens with a slight blur.
    """
    rows = colour[0:-2:2] + 2 * colour[1:-1:2] + colour[2::2]
    pixels: Rgb = (rows[:, 0:-2:2] + 2 * rows[:, 1:-1:2] + rows[:, 2::2]) * np.float32(1 / 16)
    return pixels


def expose(colour: Rgb, noise: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Bytes (h, w, 3) of linear colours: vignetting, exposure, square-root encoding with a soft shoulder, noise.

    Args:
        colour: (h, w, 3) linear.
        noise: standard deviation at mid-grey, of 255; bright pixels have more, dark ones less (photon noise).
        rng: of this frame.
    """
    height, width = colour.shape[:2]
    y, x = (np.linspace(-1, 1, n, dtype=np.float32) ** 2 for n in (height, width))
    vignette = 1 - np.float32(rng.uniform(0.08, 0.2)) * (x[None, :] + 0.6 * y[:, None])
    gain = (MEAN_TARGET / max(float(colour.mean()), 1e-4)) ** 0.8 * rng.uniform(0.85, 1.18)
    linear = colour * (np.float32(gain) * vignette)[..., None]
    # x / (1 + x) rolls highlights off; the factors keep mid-grey where it was.
    encoded = np.sqrt(linear * 1.35 / (1 + 0.35 * linear))
    spread = np.float32(noise) * np.sqrt(0.25 + 1.5 * np.minimum(encoded, 1))
    grey = rng.standard_normal((height, width, 1), np.float32)
    colourful = rng.standard_normal((height, width, 3), np.float32)
    noisy = 255 * np.minimum(encoded, 1) + spread * (0.8 * grey + 0.6 * colourful)
    image: NDArray[np.uint8] = np.clip(noisy + 0.5, 0, 255).astype(np.uint8)
    return image
