"""A small rig, small clips and a small trunk; shapes are checked at run time in every test of this folder."""

from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import install_import_hook
from torch import Tensor

with install_import_hook("models.bev", "beartype.beartype"):
    from models.bev.config import BevFormerConfig
    from models.bev.former import BevFormer
    from models.bev.inputs import CameraFrames, Clip
from scene.grid import BevGrid
from scene.transform import inverse, rigid, rotation_from_euler

HW_PX = (32, 64)
GRID = BevGrid(x_range_m=(-6.0, 18.0), y_range_m=(-8.0, 4.0), resolution_m=1.0)
"""24 x 12 cells; the ego origin is not at its centre."""
OPTICAL = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])


def _make_image_from_ego(yaw_deg: float, x_m: float = 1.0, z_m: float = 1.5, hw_px: tuple[int, int] = HW_PX) -> Tensor:
    """(3, 4) of a level camera that looks along `yaw_deg`."""
    height_px, width_px = hw_px
    focal_px = 0.47 * width_px  # no cell centre on an image border
    intrinsics = np.array([[focal_px, 0, width_px / 2 - 0.5], [0, focal_px, height_px / 2 - 0.5], [0, 0, 1]])
    rotation = rotation_from_euler(0, 0, np.deg2rad(yaw_deg)) @ OPTICAL
    ego_from_camera = rigid(rotation, np.array([x_m, 0, z_m]))
    return torch.tensor(intrinsics @ inverse(ego_from_camera)[:3]).float()


def _make_frames(batch: int, num_cameras: int, seed: int, hw_px: tuple[int, int] = HW_PX) -> CameraFrames:
    """Noise images of cameras all around; each batch item has a rig of its own, so that each sees other cells."""
    step = 360.0 / num_cameras
    matrices = [
        torch.stack([_make_image_from_ego(c * step + 37.0 * b, hw_px=hw_px) for c in range(num_cameras)])
        for b in range(batch)
    ]
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(batch, num_cameras, 3, *hw_px, generator=generator)
    return CameraFrames(images, torch.stack(matrices), torch.ones(batch, num_cameras, dtype=torch.bool))


def _make_motion(x_m: float, y_m: float, yaw_deg: float) -> Tensor:
    """`ego_from_previous` (4, 4) of a car that moved by (x, y) in its previous frame and turned left by `yaw_deg`."""
    moved = rigid(rotation_from_euler(0, 0, np.deg2rad(yaw_deg)), np.array([x_m, y_m, 0.0]))
    return torch.tensor(inverse(moved)).float()


def _make_clip(batch: int = 2, num_cameras: int = 3, history: int = 2, seed: int = 0) -> Clip:
    """Every item moves in its own way; all keyframes have a previous one."""
    frames = tuple(_make_frames(batch, num_cameras, seed * 100 + t) for t in range(history + 1))
    motions = tuple(
        torch.stack([_make_motion(2.0 + b + t, 0.5 * b, 10.0 * (b + 1)) for b in range(batch)]) for t in range(history)
    )
    return Clip(frames, motions, tuple(torch.ones(batch, dtype=torch.bool) for _ in range(history)))


def _make_config(**changes: object) -> BevFormerConfig:
    """A trunk of a few thousand parameters."""
    values: dict[str, object] = {
        "image_hw_px": HW_PX,
        "backbone": {
            "kind": "resnet",
            "shape": {"stem_channels": 8, "hidden_sizes": [8, 16], "depths": [1, 1]},
            "out_stages": [1, 2],
            "norm": "group",
        },
        "neck_channels": 16,
        "num_levels": 2,
        "embed_dim": 32,
        "ffn_dim": 32,
        "num_heads": 4,
        "num_layers": 2,
        "dropout": 0.0,
        "query_factor": 2,
        "history": 2,
        "drop_history_frame": False,
    }
    return BevFormerConfig.parse(values | changes)


def _make_trunk(seed: int = 0, grid: BevGrid = GRID, **changes: object) -> BevFormer:
    """A trunk in evaluation mode whose every part matters.

    Offsets and weights that do not depend on the queries, as freshly initialised, would hide mixed-up queries.
    """
    torch.manual_seed(seed)
    trunk = BevFormer(_make_config(**changes), grid)
    with torch.no_grad():
        for name, parameter in trunk.named_parameters():
            if "sampling" in name and name.endswith("weight"):
                parameter.normal_(std=0.1)
    return trunk.eval()


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def grid() -> BevGrid:
    """24 x 12 cells; the ego origin is not at its centre."""
    return GRID


@pytest.fixture
def make_image_from_ego() -> Any:
    return _make_image_from_ego


@pytest.fixture
def make_frames() -> Any:
    return _make_frames


@pytest.fixture
def make_motion() -> Any:
    return _make_motion


@pytest.fixture
def make_clip() -> Any:
    return _make_clip


@pytest.fixture
def make_config() -> Any:
    return _make_config


@pytest.fixture
def make_trunk() -> Any:
    return _make_trunk
