"""What the teacher's labels say about the ground: points with a class."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64, UInt8
from numpy.typing import NDArray

from models.objectives.frames import Array, ImageLabels
from models.objectives.reprojection.config import ReprojectionConfig
from models.objectives.reprojection.lines import ThickLines, area_segments, border_segments, on_ground
from models.objectives.reprojection.reproject import grid_radius_m, inside_grid, row_length_m
from scene.grid import BevGrid
from scene.ground import ground_area_m2, ground_points
from scene.labels import LabelSchema

PAINT_WIDTH_M = 0.15
"""Width of painted lines, the usual one on roads."""


class ViewPoints(NamedTuple):
    """The N ground points of a keyframe's label pixels that say something, in its own ego frame.

    Attributes:
        points_m: x, y.
        class_id: pseudo-classes.
        weight: see `pixel_weights`.
    """

    points_m: Float[Array, "N 2"]
    class_id: UInt8[Array, " N"]
    weight: Float[Array, " N"]


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


def view_points(labels: ImageLabels, schema: LabelSchema, grid: BevGrid, config: ReprojectionConfig) -> ViewPoints:
    """Classifies every ground point that a keyframe's labels show, as far away as the grid reaches.

    A function of the labels alone: no random change of a sample has a part in it.
    """
    points_m, _ = ground_points(labels.ground_from_pixel, *labels.class_id.shape[1:])
    weight = pixel_weights(labels, points_m, len(schema.classes), grid, config)
    counted = weight > 0
    chosen_m, class_id = points_m[counted], labels.class_id[counted]
    if len(chosen_m):
        for k, lines in _lines_by_class(labels, schema, chosen_m, config).items():
            # The later class wins, as where map layers overlap.
            class_id[lines.cover(chosen_m) & (class_id < k)] = k
    return ViewPoints(chosen_m.astype(np.float32), class_id, weight[counted].astype(np.float32))


def draw_targets(
    views: Sequence[tuple[ViewPoints, Float[Array, "3 3"]]],
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
    weight = np.concatenate([points.weight for points, _ in views]) * inside_grid(points_m, grid)
    if not weight.any():
        nowhere = np.zeros((num_points, 2), np.float32)
        return GroundTargets(nowhere, np.zeros(num_points, np.int64), np.zeros(num_points, np.float32))
    drawn = draw_systematically(weight.astype(np.float64), num_points, random)
    class_id = np.concatenate([points.class_id for points, _ in views])
    return GroundTargets(points_m[drawn], class_id[drawn].astype(np.int64), np.ones(num_points, np.float32))


def pixel_weights(
    labels: ImageLabels,
    points_m: Float[Array, "C H W 2"],
    num_classes: int,
    grid: BevGrid,
    config: ReprojectionConfig,
) -> Float[Array, "C H W"]:
    """How much each label pixel counts; 0 where it says nothing about ground within reach of the grid.

    A pixel counts by the ground that it covers, at most as much as one BEV cell: a near cell, covered by many pixels,
    then weighs as much as a far one (docs/methods.md section 3, item 3). The whole is multiplied by a power of the
    teacher's confidence. `points_m` are the pixels' ground points, NaN where there is none.
    """
    with np.errstate(invalid="ignore"):  # NaN above the horizon
        usable = (labels.class_id < num_classes) & (np.hypot(points_m[..., 0], points_m[..., 1]) < grid_radius_m(grid))
    usable &= (row_length_m(points_m) <= config.max_row_m) & (labels.confidence >= config.min_confidence)
    weight = usable.astype(np.float64)
    if config.area_balance:
        area_m2 = ground_area_m2(labels.ground_from_pixel, *points_m.shape[1:3])
        weight *= np.minimum(area_m2 / grid.resolution_m**2, 1)
    if config.confidence_power > 0:
        weight *= labels.confidence**config.confidence_power
    return weight


def draw_systematically(weight: NDArray[np.float64], num_points: int, random: np.random.Generator) -> NDArray[np.int64]:
    """`num_points` positions, each drawn weight / mean times (rounded up or down): systematic resampling."""
    cumulative = np.cumsum(weight)
    ticks = (np.arange(num_points) + random.random()) * (cumulative[-1] / num_points)
    drawn: NDArray[np.int64] = np.searchsorted(cumulative, ticks, side="right")
    return drawn.clip(max=int(np.flatnonzero(weight)[-1]))


def _lines_by_class(
    labels: ImageLabels, schema: LabelSchema, points_m: NDArray[np.float64], config: ReprojectionConfig
) -> dict[int, ThickLines]:
    """What to draw on the ground for classes that are edges, thinner in paint than on the map, or striped; by id."""
    x, y = points_m.T
    lines, bounds = {}, (np.array([x.min(), y.min()]), np.array([x.max(), y.max()]))
    for k, bev_class in enumerate(schema.classes):
        if bev_class.edge_of:
            inner = np.zeros(256, np.bool_)
            inner[[schema.names.index(name) for name in bev_class.edge_of]] = True
            outer = ~inner
            outer[k] = outer[len(schema.classes) :] = False
            segments = [border_segments(image, inner, outer) for image in labels.class_id]
            thickness_m = config.line_thickness_m
        elif bev_class.name in config.widen:
            segments = [area_segments(image == k) for image in labels.class_id]
            thickness_m = max(config.widen[bev_class.name] - PAINT_WIDTH_M, PAINT_WIDTH_M)
        elif bev_class.name in config.fill_gaps:
            segments = [area_segments(image == k) for image in labels.class_id]
            thickness_m = config.fill_gaps[bev_class.name]
        else:
            continue
        ground = [on_ground(s, h) for s, h in zip(segments, labels.ground_from_pixel, strict=True)]
        lines[k] = ThickLines(np.concatenate(ground), bounds, thickness_m, closes=bev_class.name in config.fill_gaps)
    return lines
