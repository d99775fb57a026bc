"""What the ground of a town looks like: albedo and paint at every cell, with coarser levels for what is far away."""

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from synthetic.contents import Ground, Semantic
from synthetic.surface_noise import tileable_noise, value_noise
from synthetic.surface_palette import TERRAIN_TONES, paint_colours, tone_maps
from synthetic.surface_wear import paint_coverage, relief

NUM_LEVELS = 5


@dataclass(frozen=True, eq=False)
class Surface:
    """A ground with its textures, computed once per town.

    Colours are square-root encoded, 255 sqrt(albedo): close to sRGB, and squaring gives light to compute with.

    Attributes:
        ground: the classes that these textures belong to.
        levels: level i is (num_x >> i, num_y >> i, 4) uint8, cells 2^i times as large: encoded red, green,
            blue, and the coverage of the paint.
        outside: (4,) uint8, the same for everything beyond the raster, which is TERRAIN.
        grain: (512, 512) uint8 tileable fine noise.
        clouds: (512, 512) uint8 tileable coarse noise.
    """

    ground: Ground
    levels: tuple[NDArray[np.uint8], ...]
    outside: NDArray[np.uint8]
    grain: NDArray[np.uint8]
    clouds: NDArray[np.uint8]

    @classmethod
    def of(cls, ground: Ground) -> Self:
        """Draws wear, cracks, patches and tones from `ground.seed`: same ground, same bytes."""
        rng = np.random.default_rng((ground.seed, 0x5FACE))
        texture = _texture(ground, rng)
        levels = [texture]
        while len(levels) < NUM_LEVELS and min(levels[-1].shape[:2]) >= 2:
            num_x, num_y = levels[-1].shape[0] >> 1, levels[-1].shape[1] >> 1
            even = levels[-1][: 2 * num_x, : 2 * num_y]
            levels.append(cv2.resize(even, (num_y, num_x), interpolation=cv2.INTER_AREA))
        far = np.mean([colour for colour, _ in TERRAIN_TONES], axis=0)
        outside = np.array([*far, 0]).astype(np.uint8)
        return cls(
            ground, tuple(levels), outside, tileable_noise(rng, (0.5, 1.2, 3)), tileable_noise(rng, (6, 14, 30, 60))
        )

    def cells_of(self, points_m: NDArray[np.float64]) -> NDArray[np.float64]:
        """Continuous cell coordinates (..., 2) of global points (..., 2): the centre of cell (i, j) is (i, j)."""
        cells: NDArray[np.float64] = (points_m - np.asarray(self.ground.origin_m)) / self.ground.resolution_m - 0.5
        return cells

    def semantic_at(self, points_m: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Class (...) of the cell in which each global point (..., 2) lies, TERRAIN outside the raster."""
        return _lookup(self.ground.semantic, self.cells_of(points_m), np.uint8(Semantic.TERRAIN))

    def texture_at(self, points_m: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Texture (..., 4) of the cell in which each global point (..., 2) lies, as in `levels`."""
        return _lookup(self.levels[0], self.cells_of(points_m), self.outside)


def _lookup(
    raster: NDArray[np.uint8], cells: NDArray[np.float64], outside: np.uint8 | NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Nearest cell's values; clipped first, because a point near the horizon overflows an integer."""
    limit = np.array(raster.shape[:2])
    nearest = np.clip(np.rint(cells), -1, limit).astype(np.int64)
    inside = np.all((nearest >= 0) & (nearest < limit), axis=-1)
    nearest[~inside] = 0
    values: NDArray[np.uint8] = raster[nearest[..., 0], nearest[..., 1]]
    values[~inside] = outside
    return values


def _texture(ground: Ground, rng: np.random.Generator) -> NDArray[np.uint8]:
    semantic, resolution_m = ground.semantic, ground.resolution_m
    shape = (semantic.shape[0], semantic.shape[1])
    colour, regions = tone_maps(semantic, resolution_m, rng)
    tone = relief(semantic, resolution_m, rng)
    coverage = paint_coverage(semantic, resolution_m, regions, rng)
    paint = paint_colours(semantic, regions, rng)
    fade = 0.93 + 0.07 * value_noise(rng, shape, 3.0 / resolution_m)
    texture = np.empty((*semantic.shape, 4), np.uint8)
    painted = np.flatnonzero(coverage)
    share = coverage.ravel()[painted].astype(np.float32) / 255
    for channel in range(3):
        value = colour[..., channel] * tone
        np.clip(value, 8, 245, out=value)
        flat = value.ravel()
        flat[painted] += share * (paint[channel, painted] * fade.ravel()[painted] - flat[painted])
        texture[..., channel] = value
    texture[..., 3] = coverage
    return texture
