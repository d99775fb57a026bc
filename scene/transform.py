"""Rigid transforms as 4x4 matrices, named so that products read as compositions.

`camera_from_ego @ ego_from_global` maps points of the global frame into the camera. All are float64, metres.
"""

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def rotation_from_quaternion(wxyz: NDArray[np.float64]) -> Matrix:
    """Rotation matrices (..., 3, 3) of unit quaternions (..., 4) in the order w, x, y, z (the order of nuScenes)."""
    w, x, y, z = np.moveaxis(np.asarray(wxyz, dtype=np.float64), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def rotation_from_euler(roll: float, pitch: float, yaw: float) -> Matrix:
    """Rotation (3, 3) from angles in radians, applied roll (about x), then pitch (about y), then yaw (about z)."""
    cr, sr, cp, sp, cy, sy = (f(a) for a in (roll, pitch, yaw) for f in (np.cos, np.sin))
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )


def quaternion_from_rotation(rotation: Matrix) -> Matrix:
    """Unit quaternion (4,), w x y z with w >= 0, of a rotation matrix (3, 3); the method of Shepperd (1978)."""
    m = np.asarray(rotation, dtype=np.float64)
    squares = np.array([m.trace(), m[0, 0], m[1, 1], m[2, 2]])
    largest = int(np.argmax(squares))
    if largest == 0:
        q = np.array([1 + m.trace(), m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]])
    else:
        i = largest - 1
        j, k = (i + 1) % 3, (i + 2) % 3
        q = np.empty(4)
        q[0] = m[k, j] - m[j, k]
        q[1 + i] = 1 + m[i, i] - m[j, j] - m[k, k]
        q[1 + j] = m[j, i] + m[i, j]
        q[1 + k] = m[k, i] + m[i, k]
    unit: Matrix = q / np.linalg.norm(q)
    return -unit if unit[0] < 0 else unit


def rigid(rotation: Matrix, translation: Matrix) -> Matrix:
    """Transforms (..., 4, 4) from rotations (..., 3, 3) and translations (..., 3) in metres."""
    rotation, translation = np.asarray(rotation, np.float64), np.asarray(translation, np.float64)
    result = np.zeros((*rotation.shape[:-2], 4, 4))
    result[..., :3, :3], result[..., :3, 3], result[..., 3, 3] = rotation, translation, 1.0
    return result


def inverse(transform: Matrix) -> Matrix:
    """Inverses (..., 4, 4) of rigid transforms; exact transposition, no general solve."""
    rotation = np.swapaxes(transform[..., :3, :3], -1, -2)
    return rigid(rotation, -(rotation @ transform[..., :3, 3, None])[..., 0])


def apply(transform: Matrix, points: Matrix) -> Matrix:
    """Points (..., N, 3) in metres moved by transforms (..., 4, 4)."""
    moved: Matrix = points @ np.swapaxes(transform[..., :3, :3], -1, -2) + transform[..., None, :3, 3]
    return moved


def yaw_of(transform: Matrix) -> Matrix:
    """Heading (...) in radians of the x axis of transforms (..., 4, 4), seen from above."""
    yaw: Matrix = np.arctan2(transform[..., 1, 0], transform[..., 0, 0])
    return yaw
