"""Pictures of one evaluated frame: cameras with pseudo-labels, BEV truth and prediction, prediction in the cameras."""

import base64
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from scene import drawing
from scene.camera import resize_intrinsics
from scene.frames import FrameIndex
from scene.grid import BevGrid
from scene.images import read_rgb
from scene.labels import STRUCTURE, LabelSchema

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
    background = 0
    pseudo, predicted = {}, {}
    for camera, name in enumerate(index.camera_names):
        if not index.camera_valid[moment.frame, camera]:
            continue
        rgb = read_rgb(data_root / str(index.camera_file[moment.frame, camera]))
        height_px = round(CAMERA_WIDTH_PX * rgb.shape[0] / rgb.shape[1])
        rgb = np.asarray(cv2.resize(rgb, (CAMERA_WIDTH_PX, height_px), interpolation=cv2.INTER_AREA))
        if moment.class_id is not None:
            pseudo[str(name)] = drawing.overlay(rgb, moment.class_id[camera], colours, skip=[STRUCTURE])
        homography = _at_size(moment.ground_from_pixel[camera], moment.label_hw_px, rgb.shape[:2])
        visible = drawing.bev_in_camera(moment.prediction, grid, homography, (height_px, CAMERA_WIDTH_PX))
        predicted[str(name)] = drawing.overlay(rgb, visible, colours, skip=[background])
    scale = max(1, round(BEV_HEIGHT_PX / grid.shape[0]))
    return FramePictures(
        caption=f"{index.scene_name[index.frame_scene[moment.frame]]}, frame {index.frame_token[moment.frame][:8]}",
        pseudo_labels=None if moment.class_id is None else _jpeg_uri(drawing.camera_mosaic(pseudo)),
        prediction_in_cameras=_jpeg_uri(drawing.camera_mosaic(predicted)),
        bev_truth=_png_uri(drawing.bev_picture(moment.truth, grid, colours, scale, faded=~moment.seen)),
        bev_prediction=_png_uri(drawing.bev_picture(moment.prediction, grid, colours, scale, faded=~moment.seen)),
    )


def _at_size(
    ground_from_pixel: NDArray[np.float64], from_hw: tuple[int, ...], to_hw: tuple[int, ...]
) -> NDArray[np.float64]:
    """The homography for the same camera's image at another size."""
    # Pixels of the label image from pixels of the picture: the inverse of resizing, on the identity intrinsics.
    resize = resize_intrinsics(np.eye(3), (to_hw[1], to_hw[0]), (from_hw[1], from_hw[0]))
    return ground_from_pixel @ resize


def _jpeg_uri(rgb: drawing.Image) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(drawing.jpeg_bytes(rgb)).decode()


def _png_uri(rgb: drawing.Image) -> str:
    return "data:image/png;base64," + base64.b64encode(drawing.png_bytes(rgb)).decode()
