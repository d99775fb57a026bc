"""Shadows on the ground: every solid's outline, thrown along the sun's rays onto the plane z = 0."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from scene.transform import apply
from synthetic.contents import Semantic, Solid
from synthetic.render_shapes import parts_of

CELL_M = 0.2
NUM_CELLS = 600
"""The map covers 120 x 120 m."""
LOWEST_SUN = 0.12
"""A lower sun would throw shadows over the whole map; it is treated as if it stood here (sine of its elevation)."""

_BOX = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)
_TURNS = np.linspace(0, 2 * np.pi, 8, endpoint=False)
_SPHERE = np.array(
    [[np.cos(a) * np.cos(e), np.sin(a) * np.cos(e), np.sin(e)] for e in (-1.2, -0.6, 0.0, 0.6, 1.2) for a in _TURNS]
)


@dataclass(frozen=True, eq=False)
class ShadowMap:
    """Shadows around one place.

    Attributes:
        origin_m: (2,) global x, y of the lower corner of cell (0, 0).
        shade: (n, n, 2) uint8 of 255, indexed [x, y]: the share of the sun, and of the sky, that is hidden.
    """

    origin_m: NDArray[np.float64]
    shade: NDArray[np.uint8]

    def sun_hidden_at(self, points_m: NDArray[np.float64]) -> NDArray[np.float64]:
        """Hidden share of the sun (N,) at global points (N, 2); 0 beyond the map."""
        cells = np.floor((points_m - self.origin_m) / CELL_M).astype(np.int64)
        inside = np.all((cells >= 0) & (cells < NUM_CELLS), axis=-1)
        i, j = np.where(inside[:, None], cells, 0).T
        hidden: NDArray[np.float64] = np.where(inside, self.shade[i, j, 0] / 255, 0)
        return hidden


def cast_shadows(
    solids: Sequence[Solid], sun_direction: NDArray[np.float64], centre_m: NDArray[np.float64]
) -> ShadowMap:
    """Shadows of `solids` in the square around `centre_m` (2,), with soft borders."""
    # Whole cells, so that the map does not crawl over the street while the camera drives.
    origin_m = np.floor(centre_m / CELL_M) * CELL_M - NUM_CELLS * CELL_M / 2
    sun, sky = np.zeros((NUM_CELLS, NUM_CELLS), np.uint8), np.zeros((NUM_CELLS, NUM_CELLS), np.uint8)
    slope = sun_direction[:2] / max(float(sun_direction[2]), LOWEST_SUN)
    near = _reaching(solids, slope, centre_m)
    for solid, points in _outlines(near):
        thrown = points[:, :2] - np.maximum(points[:, 2:], 0) * slope
        cv2.fillConvexPoly(sun, _hull(thrown, origin_m), 215 if solid.semantic == Semantic.VEGETATION else 255, shift=4)
        if solid.semantic in (Semantic.VEHICLE, Semantic.BUILDING):
            cv2.fillConvexPoly(sky, _hull(points[:, :2], origin_m), 255, shift=4)
    return ShadowMap(origin_m, np.dstack([cv2.blur(sun, (3, 3)), cv2.blur(sky, (5, 5))]))


def _reaching(solids: Sequence[Solid], slope: NDArray[np.float64], centre_m: NDArray[np.float64]) -> list[Solid]:
    """Solids whose shadow may touch the map."""
    if not solids:
        return []
    centre = np.stack([solid.global_from_solid[:3, 3] for solid in solids])
    size = np.array([solid.size_m for solid in solids])
    middle = centre[:, :2] - centre[:, 2:] * slope
    reach = np.linalg.norm(size[:, :2], axis=-1) / 2 + size[:, 2] * np.linalg.norm(slope) / 2 + 1
    touches = np.all(np.abs(middle - centre_m) < NUM_CELLS * CELL_M / 2 + reach[:, None], axis=-1)
    return [solids[i] for i in np.flatnonzero(touches)]


def _outlines(solids: Sequence[Solid]) -> Iterator[tuple[Solid, NDArray[np.float64]]]:
    """Each part of each solid as points (N, 3) whose convex hull is the part, or nearly."""
    for is_round, template in ((False, _BOX), (True, _SPHERE)):
        pairs = [(s, p) for s in solids for p in parts_of(s) if p.round == is_round]
        if pairs:
            scale, centre = np.stack([p.half_m for _, p in pairs]), np.stack([p.centre_m for _, p in pairs])
            pose = np.stack([s.global_from_solid for s, _ in pairs])
            points = apply(pose, centre[:, None] + scale[:, None] * template)
            yield from zip([s for s, _ in pairs], points, strict=True)


def _hull(points_m: NDArray[np.float64], origin_m: NDArray[np.float64]) -> NDArray[np.int32]:
    """Convex hull in 1/16 cells as (column, row), OpenCV's fixed point with shift 4."""
    cells = (points_m - origin_m) / CELL_M - 0.5
    fixed = np.rint(cells[:, ::-1] * 16).astype(np.int32)
    hull: NDArray[np.int32] = cv2.convexHull(fixed)
    return hull
