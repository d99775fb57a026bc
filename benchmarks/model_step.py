"""What one training step of a BEV model costs, part by part, in CPU-seconds on one thread.

python -m benchmarks.model_step configs/models/demo.yaml --resolution-m 0.5 --batch 2
"""

import argparse
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
import yaml
from torch import Tensor, nn

from models.bev.config import BevFormerConfig
from models.bev.decoder import SegmentationDecoder
from models.bev.former import BevFormer
from models.bev.inputs import CameraFrames, Clip
from scene.grid import BevGrid
from scene.transform import inverse, rigid, rotation_from_euler

YAWS_DEG = (0.0, -55.0, -110.0, 180.0, 110.0, 55.0)
FOCAL_FRACTION = 0.79  # of the image's width: nuScenes, 1266 of 1600 px


def random_frames(batch: int, hw_px: tuple[int, int], seed: int) -> CameraFrames:
    """Noise images of a six-camera rig 1.5 m above the ground, much like that of nuScenes."""
    height_px, width_px = hw_px
    focal_px = FOCAL_FRACTION * width_px
    intrinsics = np.array([[focal_px, 0, width_px / 2 - 0.5], [0, focal_px, height_px / 2 - 0.5], [0, 0, 1]])
    optical = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    matrices = []
    for yaw_deg in YAWS_DEG:
        rotation = rotation_from_euler(0, 0, np.deg2rad(yaw_deg)) @ optical
        ego_from_camera = rigid(rotation, np.array([1.0, 0, 1.5]))
        matrices.append(intrinsics @ inverse(ego_from_camera)[:3])
    image_from_ego = torch.tensor(np.stack(matrices)).float().expand(batch, -1, -1, -1)
    images = torch.randn(batch, 6, 3, height_px, width_px, generator=torch.Generator().manual_seed(seed))
    return CameraFrames(images, image_from_ego, torch.ones(batch, 6, dtype=torch.bool))


def random_clip(batch: int, hw_px: tuple[int, int], history: int) -> Clip:
    """Keyframes 4 m apart."""
    motion = torch.tensor(rigid(np.eye(3), np.array([-4.0, 0, 0]))).float().expand(batch, 4, 4)
    frames = tuple(random_frames(batch, hw_px, seed) for seed in range(history + 1))
    return Clip(frames, (motion,) * history, (torch.ones(batch, dtype=torch.bool),) * history)


def main() -> None:
    """Prints the breakdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--resolution-m", type=float, default=0.5)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--classes", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    config = BevFormerConfig.parse(yaml.safe_load(arguments.config.read_text()))
    trunk = BevFormer(config, BevGrid(resolution_m=arguments.resolution_m))
    decoder = SegmentationDecoder(config.embed_dim, arguments.classes, config.query_factor)
    clip = random_clip(arguments.batch, config.image_hw_px, config.history)
    seconds = _time_forward(
        {"backbone": trunk.backbone, "neck": trunk.neck, "encoder": trunk.encoder, "decoder": decoder}
    )
    total: list[float] = []
    backward: list[float] = []
    for step in range(arguments.steps + 1):
        if step == 1:  # the first one pays for allocations
            seconds.clear()
            total.clear()
            backward.clear()
        start = time.process_time()
        loss = _loss(decoder(trunk(clip)[-1]))
        middle = time.process_time()
        loss.backward()
        total.append(time.process_time() - start)
        backward.append(time.process_time() - middle)
    parameters = sum(p.numel() for p in (*trunk.parameters(), *decoder.parameters()))
    print(f"{parameters / 1e6:.2f} M parameters, query grid {trunk.query_grid.shape}, batch {arguments.batch}")
    for name, spent in seconds.items():
        print(f"{name:>10} forward {spent / arguments.steps:.3f} s")
    print(f"{'all':>10} backward {np.median(backward):.3f} s")
    print(f"{'step':>10} {np.median(total):.3f} s (median of {arguments.steps})")


def _time_forward(modules: dict[str, nn.Module]) -> dict[str, float]:
    seconds: dict[str, float] = defaultdict(float)
    for name, module in modules.items():

        def before(*_: object, name: str = name) -> None:
            seconds[name] -= time.process_time()

        def after(*_: object, name: str = name) -> None:
            seconds[name] += time.process_time()

        module.register_forward_pre_hook(before)
        module.register_forward_hook(after)
    return seconds


def _loss(logits: Tensor) -> Tensor:
    target = torch.zeros(logits.shape[0], *logits.shape[2:], dtype=torch.long)
    return nn.functional.cross_entropy(logits, target)


if __name__ == "__main__":
    main()
