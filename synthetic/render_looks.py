"""Colours and patterns of solids, drawn from their seeds. All tones are our choice, square-root encoded RGB."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Look:
    """How a solid looks.

    Attributes:
        colour: main colour, encoded RGB of 255.
        accent: window glass, leaf tips, rust: the second colour.
        pattern: four numbers of the pattern; a facade's are the window period along the wall (m), the storey height
            (m), and the window's share of both. Others do not use them.
        texture_seed: offset of the noise.
    """

    colour: Colour
    accent: Colour
    pattern: tuple[float, float, float, float]
    texture_seed: int


WALLS: NDArray[np.float64] = np.array(
    [
        (206, 198, 184),
        (188, 170, 146),
        (150, 92, 74),
        (168, 116, 92),
        (222, 220, 214),
        (142, 140, 138),
        (112, 112, 116),
        (196, 180, 132),
        (124, 138, 150),
        (96, 88, 84),
    ]
)
CARS: NDArray[np.float64] = np.array(
    [
        (232, 232, 230),
        (226, 226, 224),
        (176, 178, 180),
        (128, 130, 134),
        (92, 94, 98),
        (34, 34, 37),
        (40, 42, 46),
        (150, 36, 34),
        (38, 66, 128),
        (58, 84, 72),
        (190, 160, 60),
        (140, 120, 100),
    ]
)
LEAVES: NDArray[np.float64] = np.array([(70, 92, 44), (88, 106, 54), (56, 78, 46), (112, 112, 56), (128, 96, 50)])
POLES: NDArray[np.float64] = np.array([(128, 130, 132), (72, 76, 76), (44, 52, 48), (112, 92, 72), (176, 176, 172)])


def _near(tones: NDArray[np.float64], rng: np.random.Generator, spread: float) -> Colour:
    tone = tones[rng.integers(len(tones))] * rng.normal(1, spread) + rng.normal(0, 5, 3)
    red, green, blue = np.clip(tone, 14, 244)
    return float(red), float(green), float(blue)


def building_look(rng: np.random.Generator) -> Look:
    """A wall with rows of windows; a sixth of the buildings are mostly glass."""
    glass = rng.random() < 0.17
    period, storey = (
        (rng.uniform(1.2, 2.0), rng.uniform(3.2, 4.0)) if glass else (rng.uniform(2.0, 4.2), rng.uniform(2.8, 3.8))
    )
    share = (
        (rng.uniform(0.8, 0.94), rng.uniform(0.7, 0.92)) if glass else (rng.uniform(0.3, 0.6), rng.uniform(0.35, 0.6))
    )
    pane = _near(np.array([(52, 60, 70), (78, 92, 108), (34, 38, 44)]), rng, 0.1)
    return Look(_near(WALLS, rng, 0.07), pane, (period, storey, *share), int(rng.integers(1 << 16)))


def vehicle_look(rng: np.random.Generator) -> Look:
    """Paint as on the street: most cars are white, grey or black."""
    return Look(_near(CARS, rng, 0.05), (30.0, 34.0, 40.0), (0, 0, 0, 0), int(rng.integers(1 << 16)))


def foliage_look(rng: np.random.Generator) -> Look:
    """Leaves from dark green to autumn."""
    leaf = _near(LEAVES, rng, 0.1)
    return Look(leaf, (leaf[0] * 0.45, leaf[1] * 0.5, leaf[2] * 0.45), (0, 0, 0, 0), int(rng.integers(1 << 16)))


def bark_look(rng: np.random.Generator) -> Look:
    """Of a trunk: brown to grey."""
    bark = _near(np.array([(84, 68, 54), (98, 90, 82), (64, 54, 48)]), rng, 0.1)
    return Look(bark, (bark[0] * 0.6, bark[1] * 0.6, bark[2] * 0.6), (0, 0, 0, 0), int(rng.integers(1 << 16)))


def pole_look(rng: np.random.Generator) -> Look:
    """Galvanised, painted or wooden."""
    return Look(_near(POLES, rng, 0.08), (90.0, 70.0, 50.0), (0, 0, 0, 0), int(rng.integers(1 << 16)))
