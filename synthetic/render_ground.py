"""Colours of the ground as a camera sees it.

Seen flat, one row of rays covers metres of street far away but little across. So each row is split into several taps
along the view, and each tap reads the texture level that fits its width across: lines stay sharp and nothing flickers.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from synthetic.render_light import Radiance, Rgb, decode
from synthetic.render_shadow import CELL_M, ShadowMap
from synthetic.render_visibility import RayGrid
from synthetic.surface import Surface
from synthetic.surface_noise import TILE

MAX_TAPS = 6
TAP_M = 0.3
"""A row gets a tap for every so many metres that it covers along the view, up to MAX_TAPS."""
HORIZON = 1e-3
"""Inverse depth (1/m) below which the ground is too far to read a texture at."""
GRAINS_PER_M = 40


@dataclass(frozen=True, eq=False)
class _Taps:
    """Rows to sample: pixel row (T,), the grid row that each belongs to, and the ground per tap and ray in metres."""

    v: NDArray[np.float64]
    first: NDArray[np.int64]
    count: NDArray[np.int64]
    across_m: NDArray[np.float64]


def _taps(grid: RayGrid, rows: NDArray[np.int64]) -> _Taps:
    """Splits grid rows by how much ground each covers in the middle column."""
    h = grid.ground_from_pixel
    middle = float(grid.u[len(grid.u) // 2])
    v = grid.v[rows].astype(np.float64)
    w = np.maximum(h[2, 0] * middle + h[2, 1] * v + h[2, 2], HORIZON)
    # On the plane the distance along the view is 1 / w, so a row (half a pixel) covers |d(1/w)/dv| / 2 times the slope.
    along_m = np.linalg.norm(_derivative(h, middle, v, w, 1), axis=0) / 2
    across_m = np.linalg.norm(_derivative(h, middle, v, w, 0), axis=0) / 2
    count = np.clip(np.ceil(along_m / TAP_M), 1, MAX_TAPS).astype(np.int64)
    first = np.concatenate([[0], np.cumsum(count)[:-1]])
    rank = np.arange(count.sum()) - np.repeat(first, count)
    share = (rank + 0.5) / np.repeat(count, count) - 0.5
    return _Taps(np.repeat(v, count) + share * 0.5, first, count, np.repeat(across_m, count))


def _derivative(
    h: NDArray[np.float64], u: float, v: NDArray[np.float64], w: NDArray[np.float64], column: int
) -> NDArray[np.float64]:
    """Derivative (2, R) of the ground point by u (column 0) or v (column 1), in m per px."""
    point = (h[:2, 0, None] * u + h[:2, 1, None] * v + h[:2, 2, None]) / w
    derivative: NDArray[np.float64] = (h[:2, column, None] - point * h[2, column]) / w
    return derivative


def shade_ground(surface: Surface, shadows: ShadowMap, light: Radiance, grid: RayGrid) -> tuple[NDArray[np.int64], Rgb]:
    """Linear colours, without haze, of the grid rows in which any ray meets the ground.

    Returns:
        (R,) row indices and (R, W, 3) colours; meaningless where a ray of these rows does not meet the ground.
    """
    h = grid.ground_from_pixel
    ends = np.maximum(h[2, 0] * grid.u[0], h[2, 0] * grid.u[-1])
    rows = np.flatnonzero(ends + h[2, 1] * grid.v + h[2, 2] > 0)
    if len(rows) == 0:
        return rows, np.zeros((0, len(grid.u), 3), np.float32)
    taps = _taps(grid, rows)
    x, y = _ground_cells(surface, grid, taps)
    texture = _read_levels(surface, taps, x, y)
    shade = _read_shadows(surface, shadows, x, y)
    albedo = decode(texture[..., :3])
    _add_grain(surface, taps, x, y, albedo)
    if light.wetness > 0:
        # Water fills the pores: the surface darkens, paint loses more of its contrast than the rest.
        paint = texture[..., 3:].astype(np.float32) / 255
        albedo *= 1 - np.float32(light.wetness) * (0.42 + 0.13 * paint)
    sun = 1 - shade[..., :1].astype(np.float32) * np.float32(1 / 255)
    sky = 1 - shade[..., 1:].astype(np.float32) * np.float32(0.65 / 255)
    albedo *= light.ambient * sky + (light.sun * np.float32(max(light.sun_direction[2], 0))) * sun
    colour: Rgb = np.add.reduceat(albedo, taps.first, axis=0)
    colour /= taps.count[:, None, None].astype(np.float32)
    if light.wetness > 0:
        colour += _wet_reflection(light, grid, rows)
    return rows, colour


def _ground_cells(surface: Surface, grid: RayGrid, taps: _Taps) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Continuous cell coordinates (T, W) of every sample, kept within what OpenCV can address."""
    ground = surface.ground
    scale = 1 / ground.resolution_m
    cells_from_ground = np.array(
        [[scale, 0, -ground.origin_m[0] * scale - 0.5], [0, scale, -ground.origin_m[1] * scale - 0.5], [0, 0, 1]]
    )
    rows = (cells_from_ground @ grid.ground_from_pixel).astype(np.float32)
    v = taps.v.astype(np.float32)[:, None]
    across = rows[:, 0, None] * grid.u
    depth = np.float32(1) / np.maximum(across[2] + (rows[2, 1] * v + rows[2, 2]), np.float32(HORIZON))
    x = (across[0] + (rows[0, 1] * v + rows[0, 2])) * depth
    y = (across[1] + (rows[1, 1] * v + rows[1, 2])) * depth
    limit_x, limit_y = ground.semantic.shape
    return np.clip(x, -64, limit_x + 64, out=x), np.clip(y, -64, limit_y + 64, out=y)


def _read_levels(surface: Surface, taps: _Taps, x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Texture (T, W, 4) at the samples, each tap from the level whose cells are as wide as its rays are apart."""
    wanted = np.rint(np.log2(np.maximum(taps.across_m / surface.ground.resolution_m, 1e-6)))
    level = np.clip(wanted, 0, len(surface.levels) - 1).astype(np.int64)
    texture = np.empty((*x.shape, 4), np.uint8)
    outside = [int(value) for value in surface.outside]
    for i in np.unique(level):
        chosen = np.flatnonzero(level == i)
        size = 1 << int(i)
        column, row = ((c[chosen] + np.float32(0.5)) * np.float32(1 / size) - np.float32(0.5) for c in (y, x))
        texture[chosen] = cv2.remap(
            surface.levels[i], column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=outside
        )
    return texture


def _read_shadows(
    surface: Surface, shadows: ShadowMap, x: NDArray[np.float32], y: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Hidden share of sun and sky (T, W, 2) at the samples."""
    ratio = surface.ground.resolution_m / CELL_M
    shift = (np.asarray(surface.ground.origin_m) - shadows.origin_m) / CELL_M + 0.5 * ratio - 0.5
    column, row = y * np.float32(ratio) + np.float32(shift[1]), x * np.float32(ratio) + np.float32(shift[0])
    read: NDArray[np.uint8] = cv2.remap(shadows.shade, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return read


def _add_grain(surface: Surface, taps: _Taps, x: NDArray[np.float32], y: NDArray[np.float32], albedo: Rgb) -> None:
    """Stones and pores near the camera, finer than the texture's cells."""
    visible = np.flatnonzero(taps.across_m < 2 / GRAINS_PER_M)
    if len(visible) == 0:
        return
    scale = np.float32(GRAINS_PER_M * surface.ground.resolution_m)
    i, j = ((c[visible] * scale).astype(np.int32) & (TILE - 1) for c in (x, y))
    strength = 0.5 * np.clip(2 - GRAINS_PER_M * taps.across_m[visible], 0, 1).astype(np.float32)
    grain = surface.grain[i, j].astype(np.float32) * np.float32(1 / 128) - 1
    albedo[visible] *= (1 + strength[:, None] * grain)[..., None]


def _wet_reflection(light: Radiance, grid: RayGrid, rows: NDArray[np.int64]) -> Rgb:
    """The sky in a film of water, (R, 1, 3): strong at grazing angles.

    Schlick's approximation of Fresnel's law at a fifth of its strength: the street below is rough (our choice).
    """
    middle = np.array([grid.u[len(grid.u) // 2], 0, 1.0])
    rays = (grid.directions_from_pixel @ middle)[:, None] + grid.directions_from_pixel[:, 1:2] * grid.v[rows]
    down = np.clip(-rays[2] / np.linalg.norm(rays, axis=0), 0, 1)
    share = light.wetness * (0.02 + 0.2 * (1 - down) ** 5)
    reflection: Rgb = share.astype(np.float32)[:, None, None] * light.horizon
    return reflection
