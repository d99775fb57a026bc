"""What a sample is compared with: points of the ground with a class, its own and those of other keyframes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from models.objectives.frames import Array
from models.objectives.points import GroundPoints, draw_systematically
from models.objectives.reprojection.reproject import inside_grid
from scene.grid import BevGrid


@dataclass(frozen=True, eq=False)
class GroundTargets:
    """P points of the ground with the class that the teacher's labels give them.

    Attributes:
        points_m: ego x, y.
        class_id: pseudo-classes.
        weight: 1, or 0 for all points of a frame that shows no ground.
    """

    points_m: Float[Array, "P 2"]
    class_id: Int64[Array, " P"]
    weight: Float[Array, " P"]


def draw_targets(
    views: Sequence[tuple[GroundPoints, Float[Array, "3 3"]]],
    grid: BevGrid,
    num_points: int,
    random: np.random.Generator,
) -> GroundTargets:
    """Draws points of some views, each with its `ground_from_view`, in proportion to their weight.

    Drawing in proportion to the weight and counting each point alike has the expectation of a weighted mean over all
    pixels, with less noise than drawing alike and weighting afterwards.
    """
    motions = [motion.astype(np.float32) for _, motion in views]
    moved = [p.points_m @ m[:2, :2].T + m[:2, 2] for (p, _), m in zip(views, motions, strict=True)]
    points_m = np.concatenate(moved)
    each = [np.full(len(p.points_m), p.weight / len(p.points_m)) for p, _ in views]
    weight = np.concatenate(each) * inside_grid(points_m, grid)
    if not weight.any():
        nowhere = np.zeros((num_points, 2), np.float32)
        return GroundTargets(nowhere, np.zeros(num_points, np.int64), np.zeros(num_points, np.float32))
    drawn = draw_systematically(weight, num_points, random.random())
    class_id = np.concatenate([p.class_id for p, _ in views])[drawn]
    return GroundTargets(points_m[drawn], class_id.astype(np.int64), np.ones(num_points, np.float32))
