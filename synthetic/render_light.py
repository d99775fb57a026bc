"""Light as linear RGB: what the sun, the sky and the haze send, and the encoding of albedos."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from synthetic.contents import Light

Rgb = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Radiance:
    """A scene's light in linear RGB, each (3,) float32.

    Attributes:
        sun_direction: (3,) float64 towards the sun.
        sun: on a face that looks at the sun.
        ambient: from the whole sky, on the ground.
        zenith, horizon: of the sky itself; the haze has the horizon's colour.
        overcast: 0 for a clear sky, 1 where ambient light is all there is.
        haze_m, wetness: as in `Light`.
    """

    sun_direction: NDArray[np.float64]
    sun: Rgb
    ambient: Rgb
    zenith: Rgb
    horizon: Rgb
    overcast: float
    haze_m: float
    wetness: float

    @classmethod
    def of(cls, light: Light) -> Self:
        """Warm light from a low sun, blue light from a clear sky, grey from an overcast one."""
        low = float(np.clip(1 - light.sun_direction[2] / 0.5, 0, 1))
        overcast = float(np.clip(1.1 - light.sun / max(light.ambient, 1e-3), 0, 1))
        tint = np.array(light.tint)
        sun = light.sun * np.array([1.0, 0.97 - 0.15 * low, 0.9 - 0.35 * low]) * tint
        grey = np.array([1.0, 1.0, 1.0])
        sky = overcast * grey + (1 - overcast) * np.array([0.9, 0.98, 1.12])
        zenith = overcast * 0.75 * grey + (1 - overcast) * np.array([0.22, 0.42, 0.85])
        horizon = overcast * 0.95 * grey + (1 - overcast) * np.array([0.85 + 0.2 * low, 0.9, 1.0 - 0.2 * low])
        glow = light.ambient + 0.25 * light.sun
        fields = [sun, light.ambient * sky * tint, glow * zenith * tint, glow * horizon * tint]
        sun_rgb, ambient_rgb, zenith_rgb, horizon_rgb = (f.astype(np.float32) for f in fields)
        direction = np.array(light.sun_direction)
        return cls(direction, sun_rgb, ambient_rgb, zenith_rgb, horizon_rgb, overcast, light.haze_m, light.wetness)

    def apply_haze(self, colour: Rgb, distance_m: NDArray[np.float32]) -> None:
        """Dims colours (..., 3) seen through `distance_m` (...) of air: half of the contrast is lost every haze_m."""
        colour -= self.horizon
        colour *= np.exp2(distance_m * np.float32(-1 / self.haze_m))[..., None]
        colour += self.horizon


def decode(encoded: NDArray[np.uint8] | NDArray[np.float32]) -> Rgb:
    """Albedo of square-root encoded values of 0-255."""
    root = encoded.astype(np.float32) * np.float32(1 / 255)
    return root * root
