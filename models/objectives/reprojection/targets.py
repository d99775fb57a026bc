"""What the teacher's labels of one keyframe say about the ground: points with a class."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64
from numpy.typing import NDArray

from models.objectives.frames import Array, ImageLabels
from models.objectives.reprojection.config import ReprojectionConfig
from models.objectives.reprojection.lines import ThickLines, area_segments, border_segments, on_ground
from models.objectives.reprojection.reproject import inside_grid, row_length_m
from scene.grid import BevGrid
from scene.ground import ground_area_m2, ground_points
from scene.labels import LabelSchema

PAINT_WIDTH_M = 0.15
"""Width of painted lines, the usual one on roads."""


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


def ground_targets(
    labels: ImageLabels, schema: LabelSchema, grid: BevGrid, config: ReprojectionConfig, random: np.random.Generator
) -> GroundTargets:
    """Draws `config.points_per_frame` label pixels in proportion to `pixel_weights` and classifies their ground points.

    Drawing in proportion to the weight and counting each point alike has the expectation of a weighted mean over all
    pixels, with less noise than drawing alike and weighting afterwards.
    """
    points_m, _ = ground_points(labels.ground_from_pixel, *labels.class_id.shape[1:])
    weight = pixel_weights(labels, points_m, len(schema.classes), grid, config)
    if not weight.any():
        num_points = config.points_per_frame
        nowhere = np.zeros((num_points, 2), np.float32)
        return GroundTargets(nowhere, np.zeros(num_points, np.int64), np.zeros(num_points, np.float32))
    drawn = draw_systematically(weight.reshape(-1), config.points_per_frame, random)
    chosen_m = points_m.reshape(-1, 2)[drawn]
    class_id = labels.class_id.reshape(-1)[drawn].astype(np.int64)
    for k, lines in _lines_by_class(labels, schema, grid, config).items():
        # The later class wins, as where map layers overlap.
        class_id[lines.cover(chosen_m) & (class_id < k)] = k
    return GroundTargets(chosen_m.astype(np.float32), class_id, np.ones(len(drawn), np.float32))


def pixel_weights(
    labels: ImageLabels,
    points_m: Float[Array, "C H W 2"],
    num_classes: int,
    grid: BevGrid,
    config: ReprojectionConfig,
) -> Float[Array, "C H W"]:
    """How much each label pixel counts; 0 where it says nothing about the grid's ground.

    A pixel counts by the ground that it covers, at most as much as one BEV cell: a near cell, covered by many pixels,
    then weighs as much as a far one (docs/methods.md section 3, item 3). The whole is multiplied by a power of the
    teacher's confidence. `points_m` are the pixels' ground points, NaN where there is none.
    """
    usable = (labels.class_id < num_classes) & inside_grid(points_m, grid)
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
    labels: ImageLabels, schema: LabelSchema, grid: BevGrid, config: ReprojectionConfig
) -> dict[int, ThickLines]:
    """What to draw on the ground for classes that are edges, thinner in paint than on the map, or striped; by id."""
    lines = {}
    for k, bev_class in enumerate(schema.classes):
        if bev_class.edge_of:
            inner = np.zeros(256, np.bool_)
            inner[[schema.names.index(name) for name in bev_class.edge_of]] = True
            outer = ~inner
            outer[k] = outer[len(schema.classes) :] = False
            segments = [border_segments(image, inner, outer, config.wall_foot) for image in labels.class_id]
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
        lines[k] = ThickLines(np.concatenate(ground), grid, thickness_m, closes=bev_class.name in config.fill_gaps)
    return lines
