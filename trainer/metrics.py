"""Scores of BEV predictions: intersection over union by class, distance and visibility."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scene.confusion import iou_per_class
from scene.grid import BevGrid
from scene.labels import IGNORE, LabelSchema

DISTANCE_BANDS_M = ((0, 10), (10, 20), (20, 30))
"""Distance of a cell's centre from the ego origin; corners of the grid beyond 30 m count in the overall score only."""

VISIBILITIES = ("seen", "occluded", "outside")
SEEN, OCCLUDED, OUTSIDE = range(3)
"""Whether a camera sees a cell's ground, has it in view behind something, or no camera has it in view."""


class Scores:
    """Counts predictions frame by frame; scores are fractions of 1."""

    def __init__(self, schema: LabelSchema, grid: BevGrid) -> None:
        self._schema = schema
        self._num_classes = len(schema.classes)
        distance_m = grid.distance_m()
        self._band = np.full(grid.shape, len(DISTANCE_BANDS_M))
        for i, (near_m, far_m) in enumerate(DISTANCE_BANDS_M):
            self._band[(distance_m >= near_m) & (distance_m < far_m)] = i
        shape = (len(VISIBILITIES), len(DISTANCE_BANDS_M) + 1, self._num_classes, self._num_classes)
        self._counts = np.zeros(shape, np.int64)
        self._num_frames = 0
        self._visibility_known = True

    def add(
        self, prediction: NDArray[np.uint8], truth: NDArray[np.uint8], visibility: NDArray[np.uint8] | None
    ) -> None:
        """Counts one frame: class ids (X, Y), true class ids (X, Y), and `SEEN`, `OCCLUDED` or `OUTSIDE` (X, Y), or
        None where nobody knows: of all frames, or of none. Cells whose true class is `IGNORE` do not count."""
        self._visibility_known &= visibility is not None
        known = np.zeros_like(truth) if visibility is None else visibility
        labelled = truth != IGNORE
        places = (known, self._band, truth, prediction)
        index = np.ravel_multi_index(tuple(place[labelled].astype(int) for place in places), self._counts.shape)
        self._counts += np.bincount(index, minlength=self._counts.size).reshape(self._counts.shape)
        self._num_frames += 1

    def summary(self) -> dict[str, Any]:
        """JSON values: miou, per_class, per_distance, per_visibility (empty where nobody knows), confusion
        [truth][prediction], num_frames; see `figures_of`."""
        overall = self._counts.sum(axis=(0, 1))
        by_band, by_visibility = self._counts.sum(axis=0), self._counts.sum(axis=1)
        visibilities = VISIBILITIES if self._visibility_known else ()
        bands = {f"{near}-{far} m": by_band[i] for i, (near, far) in enumerate(DISTANCE_BANDS_M)}
        return {
            **figures_of(overall, self._schema),
            "per_distance": {name: figures_of(counts, self._schema) for name, counts in bands.items()},
            "per_visibility": {name: figures_of(by_visibility[i], self._schema) for i, name in enumerate(visibilities)},
            "classes": list(self._schema.names),
            "scored": [self._schema.names[i] for i in self._schema.scored_ids],
            "confusion": overall.tolist(),
            "num_frames": self._num_frames,
        }


def figures_of(confusion: NDArray[np.int64], schema: LabelSchema) -> dict[str, Any]:
    """JSON values of a confusion matrix (K, K): miou, per_class, num_cells.

    A class that is in neither labels nor predictions has the IoU null; mIoU is the mean over the scored classes that
    have one, null where none has.
    """
    iou = [None if np.isnan(value) else float(value) for value in iou_per_class(confusion)]
    known = [value for value in (iou[i] for i in schema.scored_ids) if value is not None]
    return {
        "miou": float(np.mean(known)) if known else None,
        "per_class": dict(zip(schema.names, iou, strict=True)),
        "num_cells": int(confusion.sum()),
    }
