from dataclasses import replace
from typing import Any

import numpy as np
import torch

from models.bev.config import BevFormerConfig
from models.bev.projection import anchor_points, find_hits, project_anchors
from scene.camera import project
from scene.grid import BevGrid


def test_pixels_are_those_of_the_scene_camera(make_frames: Any, grid: BevGrid) -> None:
    frames = make_frames(batch=2, num_cameras=3, seed=0)
    points = anchor_points(grid, (-0.5, 0.0, 1.0))
    pixels, in_view = project_anchors(points, frames)
    for b in range(2):
        for c in range(3):
            matrix = frames.image_from_ego[b, c].double().numpy()
            homogeneous = np.concatenate([points.double().numpy(), np.ones((*points.shape[:2], 1))], axis=-1)
            expected, depth = project(np.eye(3), homogeneous @ matrix.T)
            seen = in_view[b, c].numpy()
            assert seen.any()
            assert np.abs(pixels[b, c].numpy()[seen] - expected[seen]).max() < 1e-3
            width_px, height_px = 64, 32
            inside = (
                (expected > -0.5).all(-1) & (expected[..., 0] < width_px - 0.5) & (expected[..., 1] < height_px - 0.5)
            )
            assert ((depth > 0.1) & inside == seen).mean() > 0.999


def test_cells_are_xmajor_and_heights_innermost(grid: BevGrid) -> None:
    points = anchor_points(grid, (-0.5, 0.0))
    assert points.shape == (24 * 12, 2, 3)
    np.testing.assert_allclose(points[1 * 12 + 3, 1].numpy(), [-6.0 + 1.5, -8.0 + 3.5, 0.0])


def test_hits_of_each_item_are_its_own(make_frames: Any, grid: BevGrid) -> None:
    """Upstream gives every batch item the visibility of item 0."""
    frames = make_frames(batch=2, num_cameras=3, seed=0)
    points = anchor_points(grid, (0.0, 0.5))
    hits = find_hits(points, frames, (32, 64))
    _, in_view = project_anchors(points, frames)
    sees = in_view.any(-1)
    assert (sees[0] != sees[1]).any()
    rebuilt = torch.zeros_like(sees).scatter_(2, hits.cell, hits.is_hit)
    assert (rebuilt == sees).all()
    assert (hits.num_cameras == sees.sum(1)).all()
    assert hits.cell.shape[-1] == sees.sum(-1).max()


def test_locations_are_fractions_of_the_padded_image(make_frames: Any, grid: BevGrid) -> None:
    frames = make_frames(batch=1, num_cameras=3, seed=0, hw_px=(30, 60))
    points = anchor_points(grid, (0.0,))
    pixels, _ = project_anchors(points, frames)
    hits = find_hits(points, frames, (32, 64))
    expected = pixels.gather(2, hits.cell[..., None, None].expand(-1, -1, -1, 1, 2))
    actual = hits.locations * torch.tensor([64.0, 32.0]) - 0.5
    torch.testing.assert_close(actual[hits.is_hit], expected[hits.is_hit], rtol=1e-5, atol=1e-4)


def test_invalid_cameras_and_points_behind_are_never_hit(make_frames: Any, grid: BevGrid) -> None:
    frames = make_frames(batch=1, num_cameras=3, seed=0)
    points = anchor_points(grid, (0.0,))
    _, before = project_anchors(points, frames)
    _, after = project_anchors(points, replace(frames, valid=torch.tensor([[True, False, True]])))
    assert before[0, 1].any()
    assert not after[0, 1].any()
    assert (after[0, [0, 2]] == before[0, [0, 2]]).all()
    # Camera 0 looks along x from x = 1 m.
    assert not before[0, 0, points[:, 0, 0] < 1.0].any()


def test_default_anchors_surround_the_road() -> None:
    """Upstream has none near the road surface, on which the markings lie."""
    heights = BevFormerConfig.model_fields["height_anchors_m"].default
    assert 0.0 in heights
    assert min(heights) < 0 < max(heights)
