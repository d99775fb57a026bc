"""Dashes of painted lines, joined into the one line that a map draws."""

import itertools

import cv2
import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from models.objectives.frames import Array

MIN_LENGTH_M = 0.4
MIN_ELONGATION = 2.0
"""Length over width from which a patch of paint has a direction."""
END_M = 3.0
"""How much of a line tells the direction in which its end points."""
TIP_M = 0.5
"""How much of a line is averaged into the place of its end."""
SIDEWAYS_M, SIDEWAYS = 0.25, 0.2
"""How far beside an end's direction the next dash may begin: so much, and so much of the gap (11 degrees)."""

Ends = NDArray[np.float64]
"""(N, 2, 2): place, and direction out of the line, of each end of a dash; its two ends lie one after the other."""


def dash_ends(paint: Bool[Array, "H W"], points_m: Float[Array, "H W 2"], area_m2: Float[Array, "H W"]) -> Ends:
    """The ends of every dash or line in a label image, on the ground.

    A dash is a connected patch of paint that is long and thin on the ground.

    Args:
        paint: pixels of the class whose ground is of use.
        points_m: ground points of all pixels.
        area_m2: ground that each pixel covers; a metre of line then counts alike, near or far.
    """
    count, patch = cv2.connectedComponents(paint.astype(np.uint8), connectivity=8)
    places, weights, of = points_m[paint], area_m2[paint], patch[paint]
    order = np.argsort(of, kind="stable")
    starts = np.searchsorted(of[order], np.arange(1, count + 1))
    ends: list[Ends] = []
    for first, last in itertools.pairwise(starts):
        chosen = order[first:last]
        if last - first >= 3:
            ends += _ends(places[chosen], weights[chosen])
    return np.array(ends).reshape(-1, 2, 2)


def _ends(points_m: NDArray[np.float64], weight: NDArray[np.float64]) -> list[Ends]:
    axis, elongation = _axis(points_m, weight)
    along = points_m @ axis
    if np.ptp(along) < MIN_LENGTH_M or elongation < MIN_ELONGATION:
        return []
    ends = []
    for outward in (-axis, axis):
        to_go = (points_m @ outward).max() - points_m @ outward
        tip = np.average(points_m[to_go < TIP_M], axis=0, weights=weight[to_go < TIP_M])
        tip += outward * to_go[to_go < TIP_M].mean()
        direction, _ = _axis(points_m[to_go < END_M], weight[to_go < END_M])
        ends.append(np.stack([tip, direction * np.sign(direction @ outward)]))
    return ends


def _axis(points_m: NDArray[np.float64], weight: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """The direction in which points spread most, and by how many times more than across it."""
    relative = points_m - np.average(points_m, axis=0, weights=weight)
    spread = np.einsum("n,ni,nj->ij", weight / weight.sum(), relative, relative)
    values, vectors = np.linalg.eigh(spread)
    return vectors[:, 1], float(np.sqrt(values[1] / max(values[0], 1e-4)))


def joints(ends: Ends, reach_m: float) -> NDArray[np.float64]:
    """Segments (M, 2, 2) from each end to the nearest one, at most `reach_m` away, that it and that one point at."""
    if len(ends) < 2:
        return np.zeros((0, 2, 2))
    place, direction = ends[:, 0], ends[:, 1]
    step = place[None] - place[:, None]
    gap = np.hypot(step[..., 0], step[..., 1])
    ahead = np.einsum("ijk,ik->ij", step, direction)
    sideways = np.abs(step[..., 0] * direction[:, None, 1] - step[..., 1] * direction[:, None, 0])
    points_at = (ahead > 0) & (sideways <= SIDEWAYS_M + SIDEWAYS * gap)
    dash = np.arange(len(ends)) // 2
    fits = points_at & points_at.T & (gap <= reach_m) & (dash[:, None] != dash[None])
    gap = np.where(fits, gap, np.inf)
    nearest = gap.argmin(axis=1)
    found = np.flatnonzero(np.isfinite(gap.min(axis=1)))
    return np.stack([place[found], place[nearest[found]]], axis=1)
