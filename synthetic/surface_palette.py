"""Colours of the ground: each neighbourhood of a town has its own asphalt, pavement, vegetation and paint.

The tones overlap across classes on purpose (concrete roads are as bright as pavements, gravel as grey as asphalt), so
that a class is known from its place and shape, not from its colour. All tones are our choice.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from synthetic.contents import Semantic
from synthetic.surface_noise import value_noise

Tones = tuple[tuple[tuple[int, int, int], float], ...]
"""(encoded RGB, weight) pairs."""

ROAD_TONES: Tones = (
    ((78, 78, 80), 3.0),
    ((94, 93, 92), 3.0),
    ((108, 107, 106), 2.0),
    ((120, 117, 112), 1.5),
    ((106, 98, 96), 0.7),
    ((150, 147, 140), 1.0),
)
SIDEWALK_TONES: Tones = (
    ((150, 147, 140), 2.0),
    ((168, 164, 156), 2.0),
    ((126, 124, 122), 2.0),
    ((104, 103, 103), 1.5),
    ((140, 112, 98), 1.0),
)
TERRAIN_TONES: Tones = (
    ((78, 94, 52), 3.0),
    ((96, 102, 60), 2.0),
    ((128, 116, 82), 1.5),
    ((120, 104, 84), 1.0),
    ((116, 114, 110), 1.0),
)
PAINT_TONES: Tones = (((226, 225, 220), 4.0), ((206, 206, 200), 2.0), ((190, 186, 172), 1.0))
YELLOW = (214, 168, 62)

REGION_M = 55.0
"""Mean distance of the centres of two neighbourhoods."""
COARSE_M = 1.0


@dataclass(frozen=True, eq=False)
class Regions:
    """Neighbourhoods of a town: `label` (num_x, num_y) uint8 and their number."""

    label: NDArray[np.uint8]
    num_regions: int


def _regions(shape: tuple[int, int], resolution_m: float, rng: np.random.Generator) -> Regions:
    """Voronoi cells of random centres with wavy borders."""
    coarse = tuple(max(2, round(extent * resolution_m / COARSE_M)) for extent in shape)
    num = int(np.clip(coarse[0] * coarse[1] * COARSE_M**2 / REGION_M**2, 3, 250))
    centres = rng.uniform(0, 1, (num, 2)) * coarse
    where = np.stack(np.meshgrid(np.arange(coarse[0]), np.arange(coarse[1]), indexing="ij"), axis=-1).astype(np.float64)
    for axis in range(2):
        where[..., axis] += 6 * value_noise(rng, (coarse[0], coarse[1]), 12 / COARSE_M)
    label = cKDTree(centres).query(where)[1].astype(np.uint8)
    return Regions(cv2.resize(label, (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST), num)


def _draw(tones: Tones, num: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Tones (num, 3) drawn with their weights, each a little off."""
    weights = np.array([weight for _, weight in tones])
    picked = rng.choice(len(tones), num, p=weights / weights.sum())
    colours = np.array([tones[i][0] for i in picked], np.float32)
    shift = rng.normal(1, 0.05, (num, 1)) + rng.normal(0, 0.012, (num, 3))
    drawn: NDArray[np.float32] = (colours * shift).astype(np.float32)
    return drawn


def tone_maps(
    semantic: NDArray[np.uint8], resolution_m: float, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], Regions]:
    """The bare ground's encoded colour (num_x, num_y, 3) uint8, as if nothing were painted, and the neighbourhoods."""
    regions = _regions((semantic.shape[0], semantic.shape[1]), resolution_m, rng)
    num = regions.num_regions
    table = np.empty((len(Semantic), num, 3), np.float32)
    table[:] = _draw(ROAD_TONES, num, rng)  # markings lie on the road
    table[Semantic.SIDEWALK] = _draw(SIDEWALK_TONES, num, rng)
    table[Semantic.TERRAIN] = _draw(TERRAIN_TONES, num, rng)
    # In some neighbourhoods the pavement is laid in the tone of the road.
    same = rng.random(num) < 0.25
    table[Semantic.SIDEWALK, same] = table[Semantic.ROAD, same] * rng.uniform(0.95, 1.12, (int(same.sum()), 1))
    flat = np.clip(table, 20, 235).astype(np.uint8).reshape(-1, 3)
    code = semantic.astype(np.uint16) * np.uint16(num) + regions.label
    return flat[code], regions


def paint_colours(semantic: NDArray[np.uint8], regions: Regions, rng: np.random.Generator) -> NDArray[np.float32]:
    """Encoded colour of fresh paint, (3, num_x * num_y) float32; dividers are yellow in some neighbourhoods."""
    num = regions.num_regions
    table = np.empty((len(Semantic), num, 3), np.float32)
    table[:] = _draw(PAINT_TONES, num, rng)
    yellow = rng.random(num) < 0.25
    table[Semantic.DIVIDER, yellow] = YELLOW
    code = semantic.astype(np.uint16) * np.uint16(num) + regions.label
    colours = table.reshape(-1, 3)[code.ravel()]
    return np.ascontiguousarray(colours.T)
