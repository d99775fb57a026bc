"""The ground that label pixels show: where it is, which class it has, and how much each pixel counts."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import NDArray

from models.objectives.frames import Array, ImageLabels
from models.objectives.points import grid_radius_m
from scene.ground import ground_area_m2, ground_points
from stages.prepare.ground_points import GroundPointsSettings
from stages.prepare.ground_points.dashes import dash_ends, joints
from stages.prepare.ground_points.lines import ThickLines, area_segments, border_segments, on_ground

PAINT_WIDTH_M = 0.15
"""Width of painted lines, the usual one on roads."""


@dataclass(frozen=True, eq=False)
class ClassifiedPixels:
    """The N label pixels of a keyframe that say something of the ground.

    Attributes:
        points_m: x, y in the keyframe's ego frame.
        class_id: pseudo-classes.
        weight: see `pixel_weights`.
    """

    points_m: Float[Array, "N 2"]
    class_id: UInt8[Array, " N"]
    weight: Float[Array, " N"]


def classified_pixels(labels: ImageLabels, settings: GroundPointsSettings) -> ClassifiedPixels:
    """Classifies every ground point that a keyframe's labels show, as far away as the grid reaches."""
    points_m, _ = ground_points(labels.ground_from_pixel, *labels.class_id.shape[1:])
    weight = pixel_weights(labels, points_m, settings)
    counted = weight > 0
    chosen_m, class_id = points_m[counted], labels.class_id[counted]
    if len(chosen_m):
        for k, lines in _lines_by_class(labels, points_m, chosen_m, settings).items():
            # The later class wins, as where map layers overlap.
            class_id[lines.cover(chosen_m) & (class_id < k)] = k
    return ClassifiedPixels(chosen_m, class_id, weight[counted])


def pixel_weights(
    labels: ImageLabels, points_m: Float[Array, "C H W 2"], settings: GroundPointsSettings
) -> Float[Array, "C H W"]:
    """How much each label pixel counts; 0 where it says nothing about ground within reach of the grid.

    A pixel counts by the ground that it covers, at most as much as one BEV cell: a near cell, covered by many pixels,
    then weighs as much as a far one (docs/methods.md section 3, item 3). The whole is multiplied by a power of the
    teacher's confidence. `points_m` are the pixels' ground points, NaN where there is none.
    """
    grid, num_classes = settings.grid, len(settings.label_schema.classes)
    with np.errstate(invalid="ignore"):  # NaN above the horizon
        usable = (labels.class_id < num_classes) & (np.hypot(points_m[..., 0], points_m[..., 1]) < grid_radius_m(grid))
    usable &= (row_length_m(points_m) <= settings.max_row_m) & (labels.confidence >= settings.min_confidence)
    weight = usable.astype(np.float64)
    if settings.area_balance:
        area_m2 = ground_area_m2(labels.ground_from_pixel, *points_m.shape[1:3])
        weight *= np.minimum(area_m2 / grid.resolution_m**2, 1)
    if settings.confidence_power > 0:
        weight *= labels.confidence**settings.confidence_power
    return weight


def row_length_m(points_m: Float[Array, "C H W 2"]) -> Float[Array, "C H W"]:
    """Ground between a pixel and the one below it in metres, from the ground points of all pixels; NaN at the horizon.

    The last row takes the value of the row above it.
    """
    step_m = np.diff(points_m, axis=1)
    length: NDArray[np.float64] = np.hypot(step_m[..., 0], step_m[..., 1])
    return np.concatenate([length, length[:, -1:]], axis=1)


def _lines_by_class(
    labels: ImageLabels,
    points_m: Float[Array, "C H W 2"],
    asked_m: NDArray[np.float64],
    settings: GroundPointsSettings,
) -> dict[int, ThickLines]:
    """What to draw on the ground for classes that are edges, thinner in paint than on the map, or striped; by id."""
    schema, (x, y) = settings.label_schema, asked_m.T
    lines, bounds = {}, (np.array([x.min(), y.min()]), np.array([x.max(), y.max()]))
    for k, bev_class in enumerate(schema.classes):
        if bev_class.edge_of:
            inner = np.zeros(256, np.bool_)
            inner[[schema.names.index(name) for name in bev_class.edge_of]] = True
            outer = ~inner
            outer[k] = outer[len(schema.classes) :] = False
            segments = [border_segments(image, inner, outer) for image in labels.class_id]
            thickness_m = settings.line_thickness_m
        elif bev_class.name in settings.widen:
            segments = [area_segments(image == k) for image in labels.class_id]
            thickness_m = max(settings.widen[bev_class.name] - PAINT_WIDTH_M, PAINT_WIDTH_M)
        elif bev_class.name in settings.fill_gaps:
            segments = [area_segments(image == k) for image in labels.class_id]
            thickness_m = settings.fill_gaps[bev_class.name]
        else:
            continue
        ground = [on_ground(s, h) for s, h in zip(segments, labels.ground_from_pixel, strict=True)]
        if bev_class.name in settings.join_dashes:
            ground.append(_joints(labels, points_m, k, settings))
        lines[k] = ThickLines(np.concatenate(ground), bounds, thickness_m, closes=bev_class.name in settings.fill_gaps)
    return lines


def _joints(
    labels: ImageLabels, points_m: Float[Array, "C H W 2"], k: int, settings: GroundPointsSettings
) -> NDArray[np.float64]:
    """What joins the dashes of class `k`, of all cameras together: a gap may lie between two views."""
    area_m2 = ground_area_m2(labels.ground_from_pixel, *points_m.shape[1:3])
    with np.errstate(invalid="ignore"):  # NaN above the horizon
        near = np.hypot(points_m[..., 0], points_m[..., 1]) < grid_radius_m(settings.grid)
    views = zip((labels.class_id == k) & near, points_m, area_m2, strict=True)
    ends = [dash_ends(paint, points, area) for paint, points, area in views]
    return joints(np.concatenate(ends), settings.join_dashes[settings.label_schema.names[k]])
