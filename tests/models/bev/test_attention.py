from typing import Any

import pytest
import torch

from models.bev.attention import SpatialCrossAttention, TemporalSelfAttention
from models.bev.projection import anchor_points, find_hits
from scene.grid import BevGrid


def temporal(config: Any, shape: tuple[int, int]) -> TemporalSelfAttention:
    torch.manual_seed(0)
    attention = TemporalSelfAttention(config, shape)
    torch.nn.init.normal_(attention.sampling.offsets.weight, std=0.3)
    torch.nn.init.normal_(attention.sampling.weights.weight, std=0.3)
    return attention


@torch.no_grad()
def test_no_previous_map_means_the_queries_twice(make_config: Any) -> None:
    attention = temporal(make_config(), (5, 4))
    queries, position, previous = torch.randn(2, 20, 32), torch.randn(20, 32), torch.randn(2, 20, 32)
    everywhere, nowhere = torch.ones(2, 20, dtype=torch.bool), torch.zeros(2, 20, dtype=torch.bool)
    without = attention(queries, position, previous, nowhere)
    torch.testing.assert_close(without, attention(queries, position, queries, everywhere))
    assert (without - attention(queries, position, previous, everywhere)).abs().max() > 0.1


@torch.no_grad()
def test_the_two_values_are_averaged_at_the_very_cells(make_config: Any) -> None:
    """With zero offsets and identity projections, attention to a cell is the mean of its two values."""
    attention = TemporalSelfAttention(make_config(), (5, 4))
    attention.sampling.offsets.bias.zero_()
    attention.value.weight.copy_(torch.eye(32))
    attention.output.weight.copy_(torch.eye(32))
    queries, previous = torch.randn(2, 20, 32), torch.randn(2, 20, 32)
    attended = attention(queries, torch.zeros(20, 32), previous, torch.ones(2, 20, dtype=torch.bool))
    torch.testing.assert_close(attended, (queries + previous) / 2, rtol=1e-4, atol=1e-5)


@pytest.fixture
def level(make_config: Any) -> Any:
    """A trunk config with one pyramid level."""
    return make_config(num_levels=1, height_anchors_m=[0.0, 0.5])


@torch.no_grad()
def test_cameras_are_averaged_over_those_that_see_the_cell(level: Any, make_frames: Any, grid: BevGrid) -> None:
    """Constant maps: a cell reads the mean of its cameras' constants, however many see it."""
    frames = make_frames(batch=2, num_cameras=6, seed=0)
    points = anchor_points(grid, (0.0, 0.5))
    hits = find_hits(points, frames, (32, 64))
    attention = SpatialCrossAttention(level)
    attention.sampling.offsets.bias.zero_()
    attention.value.weight.fill_(1 / 16)
    attention.output.weight.copy_(torch.eye(32))
    constant = torch.arange(1.0, 13.0)
    maps = constant[:, None, None, None].expand(12, 16, 32, 64)
    num_cells = len(points)
    attended = attention(torch.zeros(2, num_cells, 32), torch.zeros(num_cells, 32), [maps], hits)
    expected = torch.zeros(2, num_cells)
    for b in range(2):
        for q in range(num_cells):
            reads = []
            for c in range(6):
                slot = ((hits.cell[b, c] == q) & hits.is_hit[b, c]).nonzero()
                if len(slot):
                    # Anchors out of view read zero. At the image's border, the outermost half pixel fades to zero.
                    reads.append(constant[b * 6 + c] * (hits.locations[b, c, slot[0, 0], :, 0] > 0).float().mean())
            expected[b, q] = torch.stack(reads).mean() if reads else 0.0
    assert set(hits.num_cameras.unique().tolist()) >= {0, 1, 2}
    wrong = (attended[..., 0] - expected).abs() > 1e-3
    assert wrong.float().mean() < 0.1
    assert (attended[hits.num_cameras == 0] == 0).all()
