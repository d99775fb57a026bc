"""Ground points with a class: what a keyframe's labels say of the ground, drawn in proportion to how much it counts."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int16, UInt8
from numpy.typing import NDArray

from scene.grid import BevGrid

Array = np.ndarray[Any, Any]

_LARGEST = np.iinfo(np.int16).max


@dataclass(frozen=True, eq=False)
class GroundPoints:
    """The N points that stand for what a keyframe's labels say of the ground.

    Attributes:
        points_m: x, y in the keyframe's ego frame.
        class_id: pseudo-classes.
        weight: of all points together, in BEV cells where the weights are areas; 0 where the labels show no ground.
    """

    points_m: Float[Array, "N 2"]
    class_id: UInt8[Array, " N"]
    weight: float

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return int(self.points_m.nbytes + self.class_id.nbytes)


def grid_radius_m(grid: BevGrid) -> float:
    """Distance of the grid's farthest corner from the ego frame's origin: no point within reach of it is further."""
    return float(np.hypot(max(map(abs, grid.x_range_m)), max(map(abs, grid.y_range_m))))


def stored(points_m: Float[Array, "N 2"], grid: BevGrid) -> Int16[Array, "N 2"]:
    """Points no further than `grid_radius_m` as they are stored: in 32767ths of it, which is a millimetre or two."""
    units: NDArray[np.int16] = np.rint(points_m * (_LARGEST / grid_radius_m(grid))).astype(np.int16)
    return units


def metres_per_unit(grid: BevGrid) -> float:
    """Of what `stored` gives."""
    return grid_radius_m(grid) / _LARGEST


def in_metres(units: Int16[Array, "N 2"], grid: BevGrid) -> Float[Array, "N 2"]:
    """The points that `stored` was given, to within half a unit."""
    return units.astype(np.float32) * np.float32(metres_per_unit(grid))


def draw_systematically(weight: NDArray[np.float64], num_points: int, offset: float) -> NDArray[np.int64]:
    """`num_points` positions, each drawn weight / mean times, rounded up or down: systematic resampling.

    Args:
        weight: of each position (N,), not negative, not all 0.
        num_points: how many to draw.
        offset: where between two ticks to begin, in [0, 1): random, or 0.5 for a fixed choice.
    """
    cumulative = np.cumsum(weight)
    ticks = (np.arange(num_points) + offset) * (cumulative[-1] / num_points)
    drawn: NDArray[np.int64] = np.searchsorted(cumulative, ticks, side="right")
    return drawn.clip(max=int(np.flatnonzero(weight)[-1]))
