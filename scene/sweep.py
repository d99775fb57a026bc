"""LiDAR sweeps as nuScenes stores them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scene.errors import InputError

LIDAR = "LIDAR_TOP"
"""The sensor's channel, and its folder below `samples/`."""


def read_sweep(file: Path) -> NDArray[np.float32]:
    """Points (N, 5) of a .pcd.bin file: x, y, z in metres in the LiDAR frame, intensity, ring.

    Raises:
        InputError: if the file is missing or its size is no whole number of points.
    """
    try:
        values = np.fromfile(file, np.float32)
    except OSError as error:
        raise InputError(f"cannot read the LiDAR sweep: {error.strerror}", where=file.name) from error
    if len(values) % 5:
        raise InputError("the LiDAR sweep is truncated", where=file.name, fix="fetch the file again")
    return values.reshape(-1, 5)
