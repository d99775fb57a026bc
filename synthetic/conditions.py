"""Light and weather of a scene."""

import numpy as np

from synthetic.contents import Light


def draw_light(rng: np.random.Generator) -> Light:
    """From low winter sun to an overcast, hazy or wet day; the ranges are our choice."""
    elevation, azimuth = np.radians(rng.uniform(14, 65)), rng.uniform(0, 2 * np.pi)
    direction = (
        float(np.cos(elevation) * np.cos(azimuth)),
        float(np.cos(elevation) * np.sin(azimuth)),
        float(np.sin(elevation)),
    )
    overcast = rng.random() < 0.3
    warmth, green = rng.normal(0, 0.05), rng.normal(0, 0.015)
    return Light(
        sun_direction=direction,
        sun=float(rng.uniform(0.1, 0.35) if overcast else rng.uniform(0.65, 1.15)),
        ambient=float(rng.uniform(0.55, 0.8) if overcast else rng.uniform(0.35, 0.6)),
        tint=(float(1 + warmth), float(1 + green), float(1 - warmth)),
        haze_m=float(np.exp(rng.uniform(np.log(90), np.log(700)))),
        noise=float(rng.uniform(1.5, 6.0)),
        wetness=float(rng.uniform(0.3, 0.9) if rng.random() < 0.25 else rng.uniform(0, 0.15)),
    )
