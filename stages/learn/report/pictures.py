"""Pictures of one evaluated frame: cameras with pseudo-labels, BEV truth and prediction, prediction in the cameras."""

import base64
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scene import drawing
from scene.frames import FrameIndex
from scene.grid import BevGrid
from scene.labels import STRUCTURE, LabelSchema
from scene.pictures import prediction_in_cameras, read_cameras

CAMERA_WIDTH_PX = 384
BEV_HEIGHT_PX = 480


@dataclass(frozen=True)
class FramePictures:
    """Data URIs of one frame's pictures, with its caption; `pseudo_labels` is None where there are none."""

    caption: str
    pseudo_labels: str | None
    prediction_in_cameras: str
    bev_truth: str
    bev_prediction: str


@dataclass(frozen=True, eq=False)
class Moment:
    """One frame's arrays: pseudo-classes class_id (C, h, w) uint8, or None; ground_from_pixel (C, 3, 3) at the label
    size; seen (X, Y) bool; truth and prediction (X, Y) uint8."""

    frame: int
    class_id: NDArray[np.uint8] | None
    label_hw_px: tuple[int, ...]
    ground_from_pixel: NDArray[np.float64]
    seen: NDArray[np.bool_]
    truth: NDArray[np.uint8]
    prediction: NDArray[np.uint8]


def draw(moment: Moment, index: FrameIndex, data_root: Path, grid: BevGrid, schema: LabelSchema) -> FramePictures:
    """Draws the pictures of one frame."""
    colours = schema.colours()
    images = read_cameras(data_root, index, moment.frame, CAMERA_WIDTH_PX)
    columns = {str(name): camera for camera, name in enumerate(index.camera_names)}
    homographies = dict(zip(columns, moment.ground_from_pixel, strict=True))
    predicted = prediction_in_cameras(images, moment.prediction, grid, colours, homographies, moment.label_hw_px)
    pseudo = None
    if moment.class_id is not None:
        labels = moment.class_id
        shown = {n: drawing.overlay(rgb, labels[columns[n]], colours, skip=[STRUCTURE]) for n, rgb in images.items()}
        pseudo = _jpeg_uri(drawing.camera_mosaic(shown))
    scale = max(1, round(BEV_HEIGHT_PX / grid.shape[0]))
    return FramePictures(
        caption=f"{index.scene_name[index.frame_scene[moment.frame]]}, frame {index.frame_token[moment.frame][:8]}",
        pseudo_labels=pseudo,
        prediction_in_cameras=_jpeg_uri(predicted),
        bev_truth=_png_uri(drawing.bev_picture(moment.truth, grid, colours, scale, faded=~moment.seen)),
        bev_prediction=_png_uri(drawing.bev_picture(moment.prediction, grid, colours, scale, faded=~moment.seen)),
    )


def data_uri(content: bytes, kind: str) -> str:
    """A file as a part of the page; `kind` is its media type."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _jpeg_uri(rgb: drawing.Image) -> str:
    return data_uri(drawing.jpeg_bytes(rgb), "image/jpeg")


def _png_uri(rgb: drawing.Image) -> str:
    return data_uri(drawing.png_bytes(rgb), "image/png")
