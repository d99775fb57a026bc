"""Random access to the frames of a data set: artifacts and image files to arrays."""

from collections.abc import Sequence
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from cache.reading import GroupReader
from models.objectives.frames import ClipArrays, FrameArrays, LabelView
from scene.camera import resize_intrinsics
from scene.frames import FrameIndex
from scene.grid import BevGrid
from scene.images import read_rgb
from scene.labels import LabelSchema
from scene.transform import inverse
from trainer.labels import CACHE_BYTES, LabelReader, Sources, another_grid
from trainer.memory import ByteCache


class FrameReader:
    """Reads keyframes and clips of one data set at one image size. Safe to use from several threads.

    Args:
        sources: where to read.
        image_hw_px: size that images are brought to, intrinsics with them.
        grid, schema: of the BEV labels.
        history: past keyframes of a clip.

    Attributes:
        index: of the data set.
        labels: what is said about its keyframes.

    Raises:
        InputError: if the artifacts are not of this grid.
    """

    def __init__(
        self, sources: Sources, image_hw_px: tuple[int, int], grid: BevGrid, schema: LabelSchema, history: int
    ) -> None:
        self.index = FrameIndex.load(sources.index / "index.npz")
        self.labels = LabelReader(sources, self.index, grid, schema)
        self.grid, self.history = grid, history
        self._sources, self._image_hw_px = sources, image_hw_px
        self._cache = ByteCache(CACHE_BYTES)
        geometry = GroupReader(sources.geometry / "geometry.zarr")
        self._camera_from_ego, self._ego_from_previous, self._has_previous = (
            geometry[name].read(slice(None)) for name in ("camera_from_ego", "ego_from_previous", "has_previous")
        )
        self._seen_cells = geometry["seen_cells"]
        if self._seen_cells.shape[-1] != (grid.shape[0] * grid.shape[1] + 7) // 8:
            raise another_grid("geometry is", grid, sources.geometry)

    def clip(
        self, frame: int, *, views: Sequence[int] = (), with_bev: bool = False, left_out: int | None = None
    ) -> ClipArrays:
        """The clip that ends at `frame`, and its BEV label where asked for.

        Args:
            frame: row of the dataset index.
            views: keyframes of its scene, as offsets in time from it, whose labels and ground points come along.
            with_bev: whether the BEV label does.
            left_out: which past keyframe, oldest first, is not in it; the motions before and after it become one.

        Raises:
            InputError: if an image cannot be read, or a label was never written.
        """
        rows = [frame]
        motions: list[NDArray[np.float64]] = []
        exists: list[bool] = []
        for _ in range(self.history):
            motion, has_previous = self.motion_since_previous(rows[0])
            rows.insert(0, int(self.index.previous[rows[0]]) if has_previous else rows[0])
            motions.insert(0, motion)
            exists.insert(0, has_previous)
        if left_out is not None:
            del rows[left_out]
            motion, has_previous = motions.pop(left_out), exists.pop(left_out)
            if left_out > 0:
                motions[left_out - 1] = motion @ motions[left_out - 1]
                exists[left_out - 1] &= has_previous
        return ClipArrays(
            frames=tuple(self.frame(row) for row in rows),
            ego_from_previous=tuple(motions),
            has_previous=tuple(exists),
            bev_class=self.labels.bev_class(frame) if with_bev else None,
            views=tuple(self._view(frame, frame + offset) for offset in views),
        )

    def motion_since_previous(self, row: int) -> tuple[NDArray[np.float64], bool]:
        """The transform (4, 4) of the ego frame one keyframe before into this one's, and whether there was one."""
        has_previous = bool(self._has_previous[row]) and self.index.previous[row] >= 0
        return (self._ego_from_previous[row] if has_previous else np.eye(4)), has_previous

    def scene_around(self, row: int) -> tuple[int, int]:
        """How many keyframes its scene has before a keyframe, and after it."""
        scene = self.index.frame_scene
        first, end = np.searchsorted(scene, scene[row]), np.searchsorted(scene, scene[row], side="right")
        return row - int(first), int(end) - 1 - row

    def _view(self, row: int, seen_from: int) -> LabelView:
        """What is known of a keyframe, for the sample `row`."""
        poses = self.index.global_from_ego
        motion = np.eye(4) if row == seen_from else inverse(poses[row]) @ poses[seen_from]
        return LabelView(
            seen_from,
            partial(self.labels.image_labels, seen_from),
            partial(self.labels.ground_points, seen_from),
            partial(self.labels.arrays, seen_from),
            motion,
        )

    def frame(self, row: int) -> FrameArrays:
        """One keyframe."""
        return FrameArrays(
            images=self._cache.get(("images", row), lambda: self._read_images(row)),
            image_from_ego=self._image_from_ego(row),
            valid=self.index.camera_valid[row],
            seen=self._cache.get(("seen", row), lambda: self.seen_by_camera(row).any(axis=0)),
        )

    def camera_from_ego(self, row: int) -> NDArray[np.float64]:
        """Transforms (C, 4, 4) from the keyframe's ego frame into each camera at its own time."""
        matrix: NDArray[np.float64] = self._camera_from_ego[row]
        return matrix

    def seen_by_camera(self, row: int) -> NDArray[np.bool_]:
        """The BEV cells (C, X, Y) in the view of each camera."""
        packed = self._seen_cells.read(row)
        num_x, num_y = self.grid.shape
        return np.unpackbits(packed, axis=-1, count=num_x * num_y).reshape(-1, num_x, num_y).astype(np.bool_)

    def _image_from_ego(self, row: int) -> NDArray[np.float64]:
        height, width = self._image_hw_px
        sizes = self.index.image_wh_px[row]
        intrinsics = np.stack(
            [
                resize_intrinsics(k, (int(w), int(h)), (width, height)) if w > 0 and h > 0 else np.eye(3)
                for k, (w, h) in zip(self.index.image_from_camera[row], sizes, strict=True)
            ]
        )
        matrix: NDArray[np.float64] = intrinsics @ self._camera_from_ego[row][:, :3]
        return np.where(self.index.camera_valid[row][:, None, None], matrix, np.eye(3, 4))

    def _read_images(self, row: int) -> NDArray[np.uint8]:
        height, width = self._image_hw_px
        images = np.zeros((self.index.num_cameras, height, width, 3), np.uint8)
        for camera in np.flatnonzero(self.index.camera_valid[row]):
            file = self._sources.data_root / str(self.index.camera_file[row, camera])
            image = read_rgb(file)
            if image.shape[:2] != (height, width):
                image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
            images[camera] = image
        return images
