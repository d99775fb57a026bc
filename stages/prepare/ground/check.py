"""How far from the truth pixels meet the ground, in the embedded world, which keeps its true poses.

python -m stages.prepare.ground.check GROUND INDEX WORLD      (folders of the three artifacts)
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scene.camera import ground_from_pixel, resize_intrinsics
from scene.frames import FrameIndex
from scene.ground import ground_points
from scene.transform import Matrix, inverse, rigid, rotation_from_euler, yaw_of
from stages.prepare.ground.run import GROUND_FILE
from synthetic.contents import CAMERAS

LABEL_HW_PX = (96, 192)
BANDS_M = ((5.0, 15.0), (15.0, 25.0))


def ground_errors_m(index: FrameIndex, world: Path, ground_from_ego: Matrix) -> dict[tuple[float, float], Matrix]:
    """Distances (N,) in metres between where pixels meet the ground found and the true one, by band of true distance.

    Args:
        index: the frames.
        world: the folder of the embedded world.
        ground_from_ego: (F, 4, 4); the identity is the plane z = 0 of the recorded ego frames.
    """
    errors: dict[tuple[float, float], list[Matrix]] = {band: [] for band in BANDS_M}
    for scene in range(len(index.scene_name)):
        frames = np.flatnonzero(index.frame_scene == scene)
        at, _ = ground_points(homographies(index, frames, ground_from_ego), *LABEL_HW_PX)
        true_at, _ = ground_points(true_homographies(index, scene, world), *LABEL_HW_PX)
        distance_m = np.linalg.norm(true_at, axis=-1)
        error_m = np.linalg.norm(at - true_at, axis=-1)
        for low, high in BANDS_M:
            chosen = error_m[(distance_m > low) & (distance_m < high)]
            errors[low, high].append(chosen[np.isfinite(chosen)])
    return {band: np.concatenate(parts) for band, parts in errors.items()}


def homographies(index: FrameIndex, frames: NDArray[np.int64], ground_from_ego: Matrix) -> Matrix:
    """`scene.camera.ground_from_pixel` (N, C, 3, 3) of N frames at `LABEL_HW_PX`, given the ground of all frames."""
    camera_from_global = inverse(index.global_from_ego_at_camera[frames] @ index.ego_from_camera[frames])
    global_from_ground = index.global_from_ego[frames] @ inverse(ground_from_ego[frames])
    return ground_from_pixel(_intrinsics(index, frames), camera_from_global @ global_from_ground[:, None])


def true_homographies(index: FrameIndex, scene: int, world: Path) -> Matrix:
    """The same of all frames of a scene from the true poses, on the world's flat ground."""
    frames = np.flatnonzero(index.frame_scene == scene)
    with np.load(world / "truth" / f"{index.scene_name[scene]}.npz") as truth:
        order = [CAMERAS.index(channel) for channel in index.camera_names.tolist()]
        true_global_from_ego = truth["global_from_ego"][:, order]
    true_camera_from_global = inverse(true_global_from_ego @ index.ego_from_camera[frames])
    planar = np.stack([_planar(pose) for pose in index.global_from_ego[frames]])
    return ground_from_pixel(_intrinsics(index, frames), true_camera_from_global @ planar[:, None])


def _intrinsics(index: FrameIndex, frames: NDArray[np.int64]) -> Matrix:
    return resize_intrinsics(index.image_from_camera, index.image_wh_px, LABEL_HW_PX[::-1])[frames]


def _planar(global_from_ego: Matrix) -> Matrix:
    """The pose on the world's ground, z = 0, with the same heading: what BEV labels are drawn in."""
    heading = rotation_from_euler(0, 0, float(yaw_of(global_from_ego)))
    return rigid(heading, np.array([*global_from_ego[:2, 3], 0.0]))


def main(ground: Path, index: Path, world: Path) -> None:
    """Prints median and 90th percentile for both grounds."""
    frames = FrameIndex.load(index / "index.npz")
    with np.load(ground / GROUND_FILE, allow_pickle=False) as arrays:
        found = arrays["ground_from_ego"]
    grounds = {"z = 0 of the ego frame": np.broadcast_to(np.eye(4), found.shape), "found in the sweeps": found}
    for title, ground_from_ego in grounds.items():
        for (low, high), error_m in ground_errors_m(frames, world, ground_from_ego).items():
            median_m, high_m = np.quantile(error_m, [0.5, 0.9])
            print(f"{title:<24} {low:2.0f} to {high:2.0f} m: median {median_m:.3f} m, 90 % below {high_m:.3f} m")


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))
