"""Random changes of a sample that keep everything in it consistent."""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from models.objectives.frames import ClipArrays, FrameArrays
from scene.errors import InputError
from scene.grid import BevGrid
from scene.transform import inverse
from trainer.settings import AugmentSettings

MIRROR_4 = np.diag([1.0, -1.0, 1.0, 1.0])
"""y -> -y on ego points (x, y, z, 1)."""


def check_flip(grid: BevGrid, augment: AugmentSettings) -> None:
    """Mirroring needs a grid that is as wide to the left as to the right.

    Raises:
        InputError: if it is not and `augment.flip` is on.
    """
    if augment.flip and abs(sum(grid.y_range_m)) > 1e-9:
        raise InputError(
            f"flip needs a symmetric grid, not y from {grid.y_range_m[0]} to {grid.y_range_m[1]} m",
            where="augment.flip",
            fix="set augment.flip to false",
        )


def mirrored_at_random(
    clip: ClipArrays, camera_names: Sequence[str], augment: AugmentSettings, random: np.random.Generator
) -> ClipArrays:
    """The clip, or as often its mirror image."""
    if augment.flip and random.random() < 0.5:
        return mirrored(clip, mirrored_cameras(camera_names))
    return clip


def recoloured(clip: ClipArrays, augment: AugmentSettings, random: np.random.Generator) -> ClipArrays:
    """The clip with other brightness, contrast and colours; each camera's are the same in all frames of the clip."""
    if augment.photometric <= 0:
        return clip
    gain, offset = photometric_change(len(clip.current.images), augment.photometric, random)
    return replace(clip, frames=tuple(replace(f, images=_apply(f.images, gain, offset)) for f in clip.frames))


def mirrored_cameras(camera_names: Sequence[str]) -> NDArray[np.int64]:
    """For each camera slot, which camera's mirror image belongs there: left and right change places."""
    swapped = [
        name.replace("LEFT", "\0").replace("RIGHT", "LEFT").replace("\0", "RIGHT") for name in map(str, camera_names)
    ]
    names = list(map(str, camera_names))
    complete = set(swapped) == set(names)
    return np.array([names.index(name) for name in swapped] if complete else range(len(names)))


def mirrored(clip: ClipArrays, cameras: NDArray[np.int64]) -> ClipArrays:
    """The clip as it would be in a world mirrored at the plane y = 0 of the ego frame.

    What is read through a view stays as it was recorded; `ego_from_view` mirrors its place.
    """
    moved = in_ego_frame(clip, MIRROR_4)
    return replace(
        moved,
        frames=tuple(_mirrored_frame(frame, cameras) for frame in moved.frames),
        bev_class=None if clip.bev_class is None else clip.bev_class[:, ::-1],
    )


def in_ego_frame(clip: ClipArrays, ego_from_recorded: NDArray[np.float64]) -> ClipArrays:
    """The clip's matrices in other ego frames: those of all its keyframes moved by one orthogonal transform (4, 4).

    Images and what lies on the grid are left to the caller.
    """
    recorded_from_ego = inverse(ego_from_recorded)
    return replace(
        clip,
        frames=tuple(replace(f, image_from_ego=f.image_from_ego @ recorded_from_ego) for f in clip.frames),
        ego_from_previous=tuple(ego_from_recorded @ motion @ recorded_from_ego for motion in clip.ego_from_previous),
        views=tuple(replace(view, ego_from_view=ego_from_recorded @ view.ego_from_view) for view in clip.views),
    )


def _mirrored_frame(frame: FrameArrays, cameras: NDArray[np.int64]) -> FrameArrays:
    flip_image = _image_mirror(frame.images.shape[2])
    return replace(
        frame,
        images=frame.images[cameras, :, ::-1],
        image_from_ego=flip_image @ frame.image_from_ego[cameras],
        valid=frame.valid[cameras],
        seen=frame.seen[:, ::-1],
    )


def _image_mirror(width_px: int) -> NDArray[np.float64]:
    """u -> width - 1 - u on homogeneous pixels; pixel 0 and pixel width - 1 are centres, so this is exact."""
    return np.array([[-1.0, 0.0, width_px - 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


def photometric_change(
    num_cameras: int, strength: float, random: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A gain and an offset (C, 1, 1, 3) in grey levels: brightness and contrast per camera, colour per channel."""
    contrast = np.exp(random.normal(0, 0.25 * strength, (num_cameras, 1)))
    colour = np.exp(random.normal(0, 0.1 * strength, (num_cameras, 3)))
    brightness = random.normal(0, 25 * strength, (num_cameras, 1))
    gain = (contrast * colour).astype(np.float32)
    offset = np.broadcast_to(brightness, gain.shape) + 128 * (1 - contrast)
    return gain[:, None, None], offset.astype(np.float32)[:, None, None]


def _apply(images: NDArray[np.uint8], gain: NDArray[np.float32], offset: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Through a table of the 256 grey levels, which is several times as fast as arithmetic on the images."""
    levels = np.arange(256, dtype=np.float32)[:, None]
    tables = np.clip(levels * gain[:, 0] + offset[:, 0], 0, 255).astype(np.uint8)
    return np.stack([cv2.LUT(np.ascontiguousarray(i), t[None]) for i, t in zip(images, tables, strict=True)])
