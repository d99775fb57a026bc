"""Lines seen in label images, laid on the ground with the thickness that the map's labels have."""

import itertools

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy.typing import NDArray

from models.objectives.frames import Array

ImageSegments = NDArray[np.float32]
"""(N, 2, 2): two ends, each (u, v) in px."""

CELLS_PER_THICKNESS = 7
"""Odd: the line's own cell and as many on each side."""

SUBPIXEL_BITS = 4


def border_segments(
    class_id: UInt8[Array, "H W"], inner: Bool[Array, "256"], outer: Bool[Array, "256"]
) -> ImageSegments:
    """The line between two sets of classes in a label image, as in marching squares.

    A border runs through the midpoint between two 4-neighbours of which one is in `inner` and one in `outer` (tables
    by class id). Midpoints on the sides of the same block of 2 x 2 pixels are joined, so that the line has no holes
    on the ground even where a pixel row covers metres of it.
    """
    inside, outside = inner[class_id], outer[class_id]
    across = (inside[:, :-1] & outside[:, 1:]) | (outside[:, :-1] & inside[:, 1:])
    down = (inside[:-1] & outside[1:]) | (outside[:-1] & inside[1:])
    sides = {(0.5, 0.0): across[:-1], (0.5, 1.0): across[1:], (0.0, 0.5): down[:, :-1], (1.0, 0.5): down[:, 1:]}
    parts = [_points(across, (0.5, 0.0)), _points(down, (0.0, 0.5))]
    for (start, a), (end, b) in itertools.combinations(sides.items(), 2):
        v, u = np.nonzero(a & b)
        corner = np.stack([u, v], axis=-1)
        parts.append(np.stack([corner + start, corner + end], axis=1))
    return np.concatenate(parts).astype(np.float32)


def area_segments(mask: Bool[Array, "H W"]) -> ImageSegments:
    """Segments between all 4-neighbours in a mask, and its single pixels."""
    parts = [_points(mask, (0.0, 0.0))]
    for start, end, step in ((mask[:, :-1], mask[:, 1:], (1, 0)), (mask[:-1], mask[1:], (0, 1))):
        v, u = np.nonzero(start & end)
        corner = np.stack([u, v], axis=-1)
        parts.append(np.stack([corner, corner + step], axis=1))
    return np.concatenate(parts).astype(np.float32)


def _points(mask: NDArray[np.bool_], offset: tuple[float, float]) -> NDArray[np.float64]:
    v, u = np.nonzero(mask)
    points = np.stack([u, v], axis=-1) + np.array(offset)
    return np.stack([points, points], axis=1)


def on_ground(segments: ImageSegments, ground_from_pixel: Float[Array, "3 3"]) -> NDArray[np.float64]:
    """Ego ground segments (M, 2, 2) in metres of those image segments whose ends both see the ground."""
    ends = segments.astype(np.float64) @ ground_from_pixel[:, :2].T + ground_from_pixel[:, 2]
    in_front = np.minimum(ends[:, 0, 2], ends[:, 1, 2]) > 1e-6
    ends = ends[in_front]
    ground: NDArray[np.float64] = ends[..., :2] / ends[..., 2:]
    return ground


class ThickLines:
    """Where the ground lies within a given distance of some lines, rasterised finer than the BEV grid."""

    def __init__(
        self,
        segments_m: NDArray[np.float64],
        bounds_m: tuple[NDArray[np.float64], NDArray[np.float64]],
        thickness_m: float,
        closes: bool = False,
    ) -> None:
        """Draws segments (N, 2, 2) and everything up to half of `thickness_m` beside them; our choice of raster.

        `bounds_m`: the lower and the upper corner (2,) of the points that `cover` will be asked about.

        With `closes`, what was added is taken away again wherever it joined nothing (a morphological closing): gaps
        of up to `thickness_m` are filled, and the outline stays.
        """
        self._resolution_m = thickness_m / CELLS_PER_THICKNESS
        # A margin, because a line beside the points may reach among them.
        lower, upper = bounds_m[0] - thickness_m, bounds_m[1] + thickness_m
        self._origin_m = lower
        num_x, num_y = np.ceil((upper - lower) / self._resolution_m).astype(int)
        inside = np.abs(segments_m - (lower + upper) / 2) < (upper - lower) / 2
        # Not `all` over axes of two, which takes several times as long.
        near = inside[:, 0, 0] & inside[:, 0, 1] & inside[:, 1, 0] & inside[:, 1, 1]
        cells = (segments_m[near] - lower) / self._resolution_m - 0.5
        free = np.full((num_x, num_y), 255, np.uint8)
        # OpenCV wants (column, row) = (y, x), as fixed-point numbers.
        ends = np.round(cells[..., ::-1] * (1 << SUBPIXEL_BITS)).astype(np.int32)
        cv2.polylines(free, list(np.unique(ends, axis=0)), False, (0,), 1, cv2.LINE_8, SUBPIXEL_BITS)
        distance = cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        self._covered = distance <= CELLS_PER_THICKNESS / 2
        if closes:
            to_outside = cv2.distanceTransform(self._covered.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
            self._covered = to_outside > CELLS_PER_THICKNESS / 2

    def cover(self, points_m: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether ground points (P, 2) within the bounds lie on a line."""
        cells = ((points_m - self._origin_m) / self._resolution_m).astype(np.int64)
        limits = np.array(self._covered.shape) - 1
        x, y = np.clip(cells, 0, limits).T
        covered: NDArray[np.bool_] = self._covered[x, y]
        return covered
