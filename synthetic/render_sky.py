"""The sky: a gradient, clouds on a plane high above, and the glow around the sun."""

import numpy as np
from numpy.typing import NDArray

from synthetic.render_light import Radiance, Rgb
from synthetic.surface import Surface
from synthetic.surface_noise import TILE


def shade_sky(surface: Surface, light: Radiance, directions: NDArray[np.float32]) -> Rgb:
    """Linear colours (N, 3) of rays (N, 3) in the global frame, of any length."""
    unit = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    height = np.clip(unit[:, 2], 0.02, 1)
    share = np.sqrt(height)[:, None]
    colour = light.horizon + (light.zenith - light.horizon) * share
    i, j = ((unit[:, axis] / height * 90 + 300 * light.haze_m).astype(np.int32) & (TILE - 1) for axis in (0, 1))
    cloud = surface.clouds[i, j].astype(np.float32) / 255
    cover = np.clip((cloud - 0.62 + 0.35 * light.overcast) * 3, 0, 1) * np.clip(height * 6, 0, 1)
    bright = (1.05 - 0.35 * cloud * light.overcast)[:, None] * light.horizon
    colour += (bright - colour) * (0.8 * cover)[:, None]
    towards = np.clip(unit @ light.sun_direction.astype(np.float32), 0, 1)
    glow = (1 - light.overcast) * (0.35 * towards**24 + 2.0 * towards**700)
    sky: Rgb = colour + glow[:, None] * light.sun
    return sky
