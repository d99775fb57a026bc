"""Camera images of a keyframe, to look at."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from scene import drawing
from scene.camera import resize_intrinsics
from scene.frames import FrameIndex
from scene.grid import BevGrid
from scene.images import read_rgb
from scene.transform import Matrix


def read_cameras(data_root: Path, index: FrameIndex, frame: int, width_px: int) -> dict[str, drawing.Image]:
    """The images of a keyframe by camera, at this width; cameras without an image are left out.

    Raises:
        InputError: if an image cannot be read.
    """
    images = {}
    for camera, name in enumerate(index.camera_names):
        if index.camera_valid[frame, camera]:
            rgb = read_rgb(data_root / str(index.camera_file[frame, camera]))
            height_px = round(width_px * rgb.shape[0] / rgb.shape[1])
            images[str(name)] = np.asarray(cv2.resize(rgb, (width_px, height_px), interpolation=cv2.INTER_AREA))
    return images


def prediction_in_cameras(
    images: dict[str, drawing.Image],
    class_id: NDArray[np.uint8],
    grid: BevGrid,
    colours: NDArray[np.uint8],
    ground_from_pixel: dict[str, Matrix],
    label_hw_px: tuple[int, ...],
) -> drawing.Image:
    """Images with the BEV classes (X, Y) that lie under their pixels, but for class 0, laid out as one picture.

    Args:
        images: by camera, from `read_cameras`.
        class_id: the prediction.
        grid: of it.
        colours: (256, 3) of the classes.
        ground_from_pixel: by camera, the homography (3, 3) of the label images.
        label_hw_px: their size.
    """
    background = 0
    shown = {}
    for name, rgb in images.items():
        height_px, width_px = rgb.shape[:2]
        # Pixels of the label image from pixels of the picture: the inverse of resizing, on the identity intrinsics.
        resize = resize_intrinsics(np.eye(3), (width_px, height_px), (label_hw_px[1], label_hw_px[0]))
        visible = drawing.bev_in_camera(class_id, grid, ground_from_pixel[name] @ resize, (height_px, width_px))
        shown[name] = drawing.overlay(rgb, visible, colours, skip=[background])
    return drawing.camera_mosaic(shown)
