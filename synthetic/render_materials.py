"""Colours of the materials: walls with windows, leaves, poles, vehicles. Painters return encoded RGB (N, 3) of 255."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from synthetic.render_hits import Field, Hits
from synthetic.render_light import Rgb
from synthetic.render_shapes import Material

_LEAF_AXES = np.array([[1, 0, 0.7], [0, 1, -0.6]], np.float32)
"""Takes places on a crown to two coordinates of the noise, so that no side of it shows streaks."""


def _random(a: NDArray[np.int64], b: NDArray[np.int64], seed: NDArray[np.int64]) -> Field:
    """A number in 0..1 for each pair of cell indices, by a multiplicative hash."""
    mixed = (a * 73856093) ^ (b * 19349663) ^ (seed * 83492791)
    mixed = (mixed ^ (mixed >> 13)) * 1274126177
    return ((mixed >> 8) & 0xFFFF).astype(np.float32) / np.float32(65535)


def _facade(hits: Hits) -> Rgb:
    """Windows in rows, some with blinds; a plinth; a band between storeys; stains."""
    period, storey, width, height = hits.table.pattern[hits.part].T
    along, up = hits.along_m / period, hits.up_m / storey
    column, row = np.floor(along), np.floor(up)
    across, above = np.abs(along - column - 0.5), np.abs(up - row - 0.55)
    window = (across < width / 2) & (above < height / 2) & (hits.face != 2)
    tone = _random(column.astype(np.int64), row.astype(np.int64), hits.seed + hits.face)
    blinds = tone > 0.86
    stain = 1 + 0.05 * hits.noise(hits.along_m, hits.up_m, 6.0) + 0.03 * hits.noise(hits.up_m, hits.along_m, 30.0)
    band = np.where((above > 0.46) | (hits.up_m < 0.5), 0.86, 1.0) * np.where(row == 0, 0.93, 1.0)
    # The colour is wall * of_wall + glass * of_glass + white.
    of_wall = np.where(window, np.where(blinds, 0.75, 0), stain * band)
    of_glass = np.where(window & ~blinds, 0.55 + 0.9 * tone, 0)
    white = np.where(window & blinds, 50, 0)
    # Where a ray covers more than a window, the wall takes the mean of both.
    share, glazed = np.clip(1.5 - 2 * hits.footprint_m / period, 0, 1), width * height
    of_wall = 1 - glazed + (of_wall - 1 + glazed) * share
    of_glass = glazed + (of_glass - glazed) * share
    colour: Rgb = hits.colour * of_wall[:, None].astype(np.float32)
    colour += hits.accent * of_glass[:, None].astype(np.float32)
    colour += (white * share)[:, None].astype(np.float32)
    np.clip(colour, 5, 250, out=colour)
    return colour


def _foliage(hits: Hits) -> Rgb:
    """Clumps of leaves with dark gaps."""
    a, b = _LEAF_AXES @ hits.on
    a += hits.seed.astype(np.float32)
    clumps = 0.6 * hits.noise(a, b, 9.0) + 0.6 * hits.noise(b, a, 26.0)
    share = np.clip(0.62 + clumps, 0, 1)[:, None]
    colour: Rgb = hits.accent + (hits.colour * (1.05 + 0.15 * clumps[:, None]) - hits.accent) * share
    return colour


def _metal(hits: Hits) -> Rgb:
    """Plain, a little stained."""
    stained = np.clip(hits.noise(hits.along_m, hits.up_m, 12) - 0.5, 0, 1)[:, None]
    colour: Rgb = hits.colour + (hits.accent - hits.colour) * stained
    return colour


def _body(hits: Hits) -> Rgb:
    """A vehicle's lower part: wheels, sill, lights and plates."""
    half_length = hits.table.half_m[hits.part, 0]
    colour = hits.colour * (1 - 0.06 * np.clip(0.8 - hits.up_m, 0, 1))[:, None]
    side, end = hits.face == 1, hits.face == 0
    radius = np.where(half_length > 3, 0.45, 0.34)
    axle_m = np.abs(np.abs(hits.on[0]) - 0.62) * half_length
    squared = axle_m**2 + (hits.up_m - radius) ** 2
    colour[(hits.up_m < 0.24) & (hits.face != 2)] = 26
    colour[side & (squared < (radius + 0.06) ** 2)] = 22
    colour[side & (squared < (0.55 * radius) ** 2)] = 95
    sideways = np.abs(hits.on[1])
    lamp = end & (sideways > 0.68) & (hits.up_m > 0.6) & (hits.up_m < 0.85)
    colour[lamp & (hits.on[0] > 0)] = (235, 235, 225)
    colour[lamp & (hits.on[0] < 0)] = (170, 24, 22)
    colour[end & (sideways < 0.28) & (np.abs(hits.up_m - 0.48) < 0.07)] = 205
    return colour


def _cabin(hits: Hits) -> Rgb:
    """Windows all around, with pillars, below a roof; on one-box vehicles the body goes on below."""
    colour = _body(hits)
    share = hits.up_m / hits.table.height_m[hits.part]
    pillar = (hits.face == 1) & (np.abs(np.mod(hits.on[0] * 2.1 + 0.25, 1) - 0.5) > 0.44)
    glazed = np.flatnonzero((hits.face != 2) & (share > 0.58) & (share < 0.93) & ~pillar)
    colour[glazed] = hits.accent[glazed] * (0.8 + 0.9 * (share[glazed, None] - 0.58))
    return colour


PAINTERS: dict[Material, Callable[[Hits], Rgb]] = {
    Material.FACADE: _facade,
    Material.FOLIAGE: _foliage,
    Material.METAL: _metal,
    Material.BODY: _body,
    Material.CABIN: _cabin,
}
