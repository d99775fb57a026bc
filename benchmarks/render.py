"""What the embedded world costs to render, in CPU-milliseconds on one thread, on the views of a real drive.

python -m benchmarks.render --frames 10
"""

import argparse
import time
from collections.abc import Callable
from typing import Any, TypeVar

import cv2
import numpy as np

from scene.transform import inverse
from synthetic.drive import LEAD_S, Drive
from synthetic.lidar import scan_lidar
from synthetic.render import render_camera
from synthetic.render_visibility import RayGrid, see
from synthetic.rig import EGO_FROM_LIDAR, build_rig
from synthetic.settings import WorldSettings, plan_scenes
from synthetic.surface import Surface
from synthetic.town import Town

T = TypeVar("T")


def milliseconds(function: Callable[..., T], *arguments: Any) -> tuple[float, T]:
    start = time.process_time()
    result = function(*arguments)
    return 1e3 * (time.process_time() - start), result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--image-wh", type=int, nargs=2, default=(192, 96), metavar=("WIDTH", "HEIGHT"))
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    settings = WorldSettings(image_wh_px=tuple(arguments.image_wh))
    plan = plan_scenes(settings)[0]
    town = Town(settings.seed, plan.town.name, plan.town.centre_m, settings.ground_resolution_m)
    surface_ms, surface = milliseconds(Surface.of, town.ground)
    drive = Drive.start(settings, plan, town, surface)
    camera_ms, lidar_ms, in_view = [], [], []
    for frame in range(arguments.frames):
        time_s = LEAD_S + frame * settings.frame_interval_s
        solids, global_from_ego = drive.solids_at(time_s), drive.motion.true(time_s)
        for camera in build_rig(settings.image_wh_px):
            camera_from_global = inverse(global_from_ego @ camera.ego_from_camera)
            view = (camera.image_from_camera, camera_from_global, settings.image_wh_px)
            spent, _ = milliseconds(render_camera, surface, solids, drive.light, *view, frame)
            camera_ms.append(spent)
            in_view.append(len({id(solid) for solid, _ in see(RayGrid.of(*view), solids).parts}))
        lidar_ms.append(milliseconds(scan_lidar, surface, solids, global_from_ego @ EGO_FROM_LIDAR, frame)[0])
    cells = "x".join(map(str, town.ground.semantic.shape))
    mebibytes = sum(level.nbytes for level in surface.levels) / 2**20
    print(f"surface of {cells} cells: {surface_ms:.0f} ms, {mebibytes:.0f} MiB")
    width, height = settings.image_wh_px
    print(f"camera {width}x{height}: median {np.median(camera_ms):.1f} ms, slowest {np.max(camera_ms):.1f} ms")
    print(f"solids in a view: median {np.median(in_view):.0f}, most {max(in_view)}; within reach {len(solids)}")
    print(f"LiDAR sweep: median {np.median(lidar_ms):.1f} ms")


if __name__ == "__main__":
    main()
