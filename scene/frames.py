"""The index of a data set: every keyframe with its cameras and poses, as plain arrays."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray


def frame_shards(num_frames: int, frames_per_shard: int) -> dict[str, slice]:
    """Rows of the index, shard by shard, by the name of the unit of work that a shard is."""
    starts = range(0, num_frames, frames_per_shard)
    return {f"frames-{start:06d}": slice(start, min(start + frames_per_shard, num_frames)) for start in starts}


@dataclass(frozen=True, eq=False)
class FrameIndex:
    """F keyframes in scene order and time order, C cameras in one fixed order, S scenes. Poses are float64, metres.

    Attributes:
        camera_names: (C,) channel names, e.g. CAM_FRONT.
        scene_name, scene_location, scene_split: (S,) strings; split is train, val or test.
        scene_token: (S,) strings.
        frame_token: (F,) sample tokens.
        frame_scene: (F,) int32 index into the scenes.
        frame_timestamp_us: (F,) int64.
        previous: (F,) int32 index of the keyframe before it in its scene, -1 for the first.
        global_from_ego: (F, 4, 4) at the keyframe's time (the LIDAR_TOP sweep's own pose).
        lidar_file: (F,) path under the data root, "" where there is none.
        ego_from_lidar: (F, 4, 4).
        camera_file: (F, C) path under the data root, "" where invalid.
        camera_bytes: (F, C) int64 size of that file.
        camera_timestamp_us: (F, C) int64.
        camera_valid: (F, C) bool.
        global_from_ego_at_camera: (F, C, 4, 4) ego pose at the camera's own time.
        ego_from_camera: (F, C, 4, 4).
        image_from_camera: (F, C, 3, 3) intrinsics at the file's resolution.
        image_wh_px: (F, C, 2) int32.
    """

    camera_names: NDArray[np.str_]
    scene_token: NDArray[np.str_]
    scene_name: NDArray[np.str_]
    scene_location: NDArray[np.str_]
    scene_split: NDArray[np.str_]
    frame_token: NDArray[np.str_]
    frame_scene: NDArray[np.int32]
    frame_timestamp_us: NDArray[np.int64]
    previous: NDArray[np.int32]
    global_from_ego: NDArray[np.float64]
    lidar_file: NDArray[np.str_]
    ego_from_lidar: NDArray[np.float64]
    camera_file: NDArray[np.str_]
    camera_bytes: NDArray[np.int64]
    camera_timestamp_us: NDArray[np.int64]
    camera_valid: NDArray[np.bool_]
    global_from_ego_at_camera: NDArray[np.float64]
    ego_from_camera: NDArray[np.float64]
    image_from_camera: NDArray[np.float64]
    image_wh_px: NDArray[np.int32]

    @property
    def num_frames(self) -> int:
        """F."""
        return len(self.frame_token)

    @property
    def num_cameras(self) -> int:
        """C."""
        return len(self.camera_names)

    def frames_of_split(self, split: str) -> NDArray[np.int64]:
        """Indices of the frames whose scene is in `split`."""
        return np.flatnonzero(self.scene_split[self.frame_scene] == split)

    def scenes_of_split(self, split: str) -> NDArray[np.int64]:
        """Indices of the scenes in `split`."""
        return np.flatnonzero(self.scene_split == split)

    def save(self, file: Path) -> None:
        """Writes one .npz; equal indexes give equal bytes."""
        with file.open("wb") as stream:
            np.savez_compressed(stream, **{f.name: getattr(self, f.name) for f in fields(self)})

    @classmethod
    def load(cls, file: Path) -> Self:
        """Reads what `save` wrote; nothing is unpickled."""
        with np.load(file, allow_pickle=False) as arrays:
            return cls(**{f.name: arrays[f.name] for f in fields(cls)})
