"""What the stage made, to look at."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from models.objectives.points import in_metres
from scene import drawing
from scene.labels import IGNORE, NEVER_WRITTEN
from stages.prepare.ground_points import GroundPointsSettings


def seen_from_above(group: Any, frames: Sequence[int], settings: GroundPointsSettings) -> drawing.Image:
    """Points of some keyframes from above, side by side; in a cell of several classes the last one is on top.

    Args:
        group: the arrays of `points.zarr`.
        frames: rows of the dataset index, at least one.
        settings: of the stage.
    """
    grid, panels = settings.grid, []
    for frame in frames:
        class_id = group["class_id"][frame]
        cells, inside = grid.cells_of(in_metres(group["points"][frame], grid))
        inside &= class_id != IGNORE
        order = np.argsort(class_id[inside], kind="stable")
        panel = np.full(grid.shape, NEVER_WRITTEN, np.uint8)
        panel[tuple(cells[inside][order].T)] = class_id[inside][order]
        panels.append(drawing.bev_picture(panel, grid, settings.label_schema.colours()))
    return np.concatenate(panels, axis=1)
