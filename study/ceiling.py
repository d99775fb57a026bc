"""How far image labels could take anybody: exact ones, laid on the ground and voted into BEV cells, without a network.

Three grounds are compared: the plane z = 0 of the recorded ego frame, the plane that the stage `ground` found, and the
true one. What is lost between them is what the ground costs.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cache.arrays import open_arrays
from models.objectives.frames import ImageLabels
from scene.confusion import iou_per_class
from scene.frames import FrameIndex
from scene.labels import LabelSchema
from scene.transform import Matrix
from stages.prepare.ground.check import homographies, true_homographies
from stages.prepare.ground_points import GroundPointsSettings
from stages.prepare.ground_points.classify import classified_pixels
from stages.prepare.teacher_labels.check import exact_semantics
from synthetic.contents import CAMERAS

NOBODY = 255


def ceilings(
    artifacts: dict[str, Path],
    split: str,
    exact_map: NDArray[np.uint8],
    settings: GroundPointsSettings,
) -> dict[str, float]:
    """mIoU over the scored classes by name of the ground: "flat", "found", "true".

    Every frame of the split counts, on those cells that get a vote on every one of the three grounds.

    Args:
        artifacts: folders of world, index, ground and bev_labels.
        split: which scenes.
        exact_map: (12,) our class id of each exact class.
        settings: how labels become classes of ground points; of the grid and schema of the BEV labels.
    """
    schema = settings.label_schema
    index = FrameIndex.load(artifacts["index"] / "index.npz")
    with np.load(artifacts["ground"] / "ground.npz", allow_pickle=False) as ground:
        found = ground["ground_from_ego"]
    flat = np.broadcast_to(np.eye(4), found.shape)
    layers = open_arrays(artifacts["bev_labels"] / "bev.zarr")["layers"]
    columns = np.array([CAMERAS.index(str(camera)) for camera in index.camera_names])
    confusions = {name: np.zeros((len(schema.classes),) * 2, np.int64) for name in ("flat", "found", "true")}
    for scene in index.scenes_of_split(split):
        frames = np.flatnonzero(index.frame_scene == scene)
        classes = exact_map[exact_semantics(artifacts["world"], str(index.scene_name[scene]))[:, columns]]
        grounds = {
            "flat": homographies(index, frames, flat),
            "found": homographies(index, frames, found),
            "true": true_homographies(index, int(scene), artifacts["world"]),
        }
        for i, frame in enumerate(frames):
            truth = schema.classes_from_layers(np.asarray(layers[int(frame)]))
            votes = {name: voted(classes[i], at[i], settings) for name, at in grounds.items()}
            counted = np.all([vote != NOBODY for vote in votes.values()], axis=0)
            for name, vote in votes.items():
                np.add.at(confusions[name], (truth[counted], vote[counted]), 1)
    return {name: _mean(confusion, schema) for name, confusion in confusions.items()}


def voted(class_id: NDArray[np.uint8], ground_from_pixel: Matrix, settings: GroundPointsSettings) -> NDArray[np.uint8]:
    """The class (X, Y) with the most weight in each cell; `NOBODY` where no pixel's ground lies."""
    labels = ImageLabels(class_id, np.ones(class_id.shape, np.float32), ground_from_pixel)
    grid, pixels = settings.grid, classified_pixels(labels, settings)
    cells, inside = grid.cells_of(pixels.points_m)
    weights = np.zeros((*grid.shape, len(settings.label_schema.classes)))
    np.add.at(weights, (*cells[inside].T, pixels.class_id[inside]), pixels.weight[inside])
    winner: NDArray[np.uint8] = weights.argmax(axis=-1).astype(np.uint8)
    return np.where(weights.any(axis=-1), winner, np.uint8(NOBODY))


def _mean(confusion: NDArray[np.int64], schema: LabelSchema) -> float:
    return float(np.nanmean(iou_per_class(confusion)[list(schema.scored_ids)]))
