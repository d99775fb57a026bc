"""What years do to a street: worn paint, traces of old lines, tyre tracks, cracks, patches, tar."""

import cv2
import numpy as np
from numpy.typing import NDArray

from synthetic.contents import Semantic
from synthetic.surface_noise import value_noise
from synthetic.surface_palette import Regions

MARKINGS = (Semantic.DIVIDER, Semantic.CROSSING, Semantic.STOP_LINE, Semantic.ARROW)
LANE_M = 3.5
"""Lane width that the tyre tracks assume, counted from the kerb."""


def _amplitude(semantic: NDArray[np.uint8], road: float, sidewalk: float, terrain: float) -> NDArray[np.float32]:
    table = np.full(len(Semantic), road, np.float32)
    table[Semantic.SIDEWALK], table[Semantic.TERRAIN] = sidewalk, terrain
    amplitude: NDArray[np.float32] = table[semantic]
    return amplitude


def relief(semantic: NDArray[np.uint8], resolution_m: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Factor (num_x, num_y) on the bare ground's encoded colour, about 1: everything but the tone and the paint."""
    shape = (semantic.shape[0], semantic.shape[1])
    factor = np.ones(shape, np.float32)
    for cell_m, *strength in ((14.0, 0.07, 0.05, 0.14), (2.5, 0.045, 0.05, 0.12), (0.5, 0.025, 0.03, 0.16)):
        factor += _amplitude(semantic, *strength) * value_noise(rng, shape, cell_m / resolution_m)
    speckle = rng.integers(-127, 128, shape, dtype=np.int8).astype(np.float32)
    speckle *= _amplitude(semantic, 0.06 / 127, 0.05 / 127, 0.2 / 127)
    factor += speckle
    paved = (semantic != Semantic.TERRAIN).astype(np.uint8)
    _apply_kerb_distance(factor, semantic, resolution_m, rng)
    area_m2 = float(paved.sum()) * resolution_m**2
    factor *= np.where(paved, _patches(shape, paved, resolution_m, area_m2, rng), 1)
    factor *= np.where(paved, _cracks(shape, paved, resolution_m, area_m2, rng), 1)
    return factor


def _apply_kerb_distance(
    factor: NDArray[np.float32], semantic: NDArray[np.uint8], resolution_m: float, rng: np.random.Generator
) -> None:
    """Tyre tracks and dirt along the kerb on the road; a kerb stone and slab joints on the pavement."""
    is_road = (semantic >= Semantic.ROAD).astype(np.uint8)
    kerb_m: NDArray[np.float32] = cv2.distanceTransform(is_road, cv2.DIST_L2, 5) * np.float32(resolution_m)
    road = np.flatnonzero(is_road)
    distance = kerb_m.ravel()[road]
    in_lane = np.abs(np.mod(distance, LANE_M) - LANE_M / 2)
    strength = rng.uniform(0.03, 0.14) * (
        1 + value_noise(rng, (factor.shape[0], factor.shape[1]), 20 / resolution_m).ravel()[road]
    )
    flat = factor.ravel()
    flat[road] -= strength * np.exp(-(((in_lane - 0.8) / 0.35) ** 2))
    flat[road] *= 1 - 0.22 * np.exp(-distance / 0.35)
    pavement = np.flatnonzero(semantic == Semantic.SIDEWALK)
    inwards_m: NDArray[np.float32] = cv2.distanceTransform(1 - is_road, cv2.DIST_L2, 5) * np.float32(resolution_m)
    distance = inwards_m.ravel()[pavement]
    joint = rng.uniform(0.9, 2.0)
    flat[pavement] *= np.where(np.mod(distance, joint) < resolution_m, 0.9, 1.0)
    flat[pavement] *= np.where(distance < 0.22, rng.uniform(1.05, 1.3), 1.0)


def _places(paved: NDArray[np.uint8], resolution_m: float, num: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """`num` random paved cells (num, 2) as (column, row), the order that OpenCV draws in."""
    step = max(1, round(1 / resolution_m))
    x, y = np.nonzero(paved[::step, ::step])
    if len(x) == 0:
        return np.zeros((0, 2), np.int64)
    picked = rng.integers(0, len(x), num)
    jitter = rng.integers(0, step, (2, num))
    return np.stack([y[picked] * step + jitter[0], x[picked] * step + jitter[1]], axis=-1)


def _patches(
    shape: tuple[int, int], paved: NDArray[np.uint8], resolution_m: float, area_m2: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Repaired rectangles, darker or brighter than their surroundings, and round covers."""
    patches = np.ones(shape, np.float32)
    num = int(area_m2 * rng.uniform(0.002, 0.008))
    for centre in _places(paved, resolution_m, num, rng):
        size = rng.gamma(2.0, 0.8, 2) / resolution_m + 2
        corners = cv2.boxPoints(((float(centre[0]), float(centre[1])), (size[0], size[1]), rng.uniform(0, 180)))
        cv2.fillConvexPoly(patches, np.rint(corners).astype(np.int32), rng.choice([0.8, 0.87, 1.09, 1.17]))
    for centre in _places(paved, resolution_m, num // 2, rng):
        cv2.circle(
            patches, (int(centre[0]), int(centre[1])), max(1, round(0.35 / resolution_m)), rng.uniform(0.6, 0.9), -1
        )
    return patches


def _cracks(
    shape: tuple[int, int], paved: NDArray[np.uint8], resolution_m: float, area_m2: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Wandering cracks, some of them filled with tar (broader and darker)."""
    cracks = np.ones(shape, np.float32)
    num = int(area_m2 * rng.uniform(0.002, 0.01))
    for start in _places(paved, resolution_m, num, rng):
        heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.5, 12))
        steps = rng.gamma(2.0, 0.3) / resolution_m * np.stack([np.cos(heading), np.sin(heading)], axis=-1)
        line = np.rint(start + np.cumsum(steps, axis=0)).astype(np.int32)
        tar = rng.random() < 0.35
        cv2.polylines(
            cracks, [line], False, rng.uniform(0.62, 0.8) if tar else rng.uniform(0.78, 0.92), 2 if tar else 1
        )
    return cracks


def paint_coverage(
    semantic: NDArray[np.uint8], resolution_m: float, regions: Regions, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """How much of each cell the paint still covers, (num_x, num_y) uint8 of 255.

    Wear differs between neighbourhoods and along a line; some paint is all but gone and keeps its class. On plain road
    a faint trace may be left of lines that were moved: it is no marking.
    """
    shape = (semantic.shape[0], semantic.shape[1])
    wear = rng.uniform(-0.65, -0.1) + rng.normal(0, 0.12, regions.num_regions)
    opacity = rng.uniform(0.72, 0.98, regions.num_regions)
    streak = value_noise(rng, shape, 6 / resolution_m)
    chips = value_noise(rng, shape, 0.35 / resolution_m)
    painted = np.isin(semantic, MARKINGS)
    coverage = np.zeros(shape, np.float32)
    flat, where = coverage.ravel(), np.flatnonzero(painted)
    region = regions.label.ravel()[where]
    left = 0.5 * streak.ravel()[where] + 0.6 * chips.ravel()[where] + 0.35 * rng.uniform(-1, 1, len(where))
    flat[where] = opacity[region] * np.clip(0.5 + (left - wear[region]) / 0.6, 0.12, 1)
    moved = rng.choice([-1, 1], 2) * rng.integers(4, 11, 2) * round(0.1 / resolution_m + 0.5)
    old_lines = np.roll(semantic == Semantic.DIVIDER, moved, axis=(0, 1)) & (semantic == Semantic.ROAD)
    where = np.flatnonzero(old_lines & (rng.random(regions.num_regions) < 0.25)[regions.label])
    flat[where] = np.clip(0.16 + 0.3 * streak.ravel()[where] + 0.2 * chips.ravel()[where], 0, 0.45)
    return (coverage * 255).astype(np.uint8)
