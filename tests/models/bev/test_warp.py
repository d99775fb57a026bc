import numpy as np
import pytest
import torch

from models.bev.warp import warp_bev
from scene.grid import BevGrid
from scene.transform import apply, inverse, rigid, rotation_from_euler


def blob(grid: BevGrid, centre_m: np.ndarray) -> torch.Tensor:
    """(1, 1, X, Y): a bump of 2 m around a point."""
    distance = np.linalg.norm(grid.centres() - centre_m, axis=-1)
    return torch.tensor(np.exp(-((distance / 2.0) ** 2)))[None, None].float()


def peak_m(grid: BevGrid, features: torch.Tensor) -> np.ndarray:
    weights = features[0, 0].double().numpy() ** 2
    peak: np.ndarray = (grid.centres() * weights[..., None]).sum((0, 1)) / weights.sum()
    return peak


@pytest.mark.parametrize("yaw_deg", [25.0, -25.0, 90.0])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    "grid",
    [
        BevGrid(x_range_m=(-30.0, 30.0), y_range_m=(-15.0, 15.0), resolution_m=0.5),
        BevGrid(x_range_m=(-10.0, 26.0), y_range_m=(-14.0, 10.0), resolution_m=0.4),  # origin off centre
    ],
)
def test_static_landmark_stays_at_its_place(grid: BevGrid, yaw_deg: float, reverse: bool) -> None:
    """Upstream rotates about a hard-coded centre (issue 96), and its sign was questioned (issue 310)."""
    global_from_previous = rigid(rotation_from_euler(0, 0, 0.7), np.array([100.0, -40.0, 0]))
    step = rigid(rotation_from_euler(0, 0, np.deg2rad(yaw_deg)), np.array([3.0, -1.0, 0.0]))
    global_from_ego = global_from_previous @ step
    if reverse:
        global_from_previous, global_from_ego = global_from_ego, global_from_previous
    ego_from_previous = inverse(global_from_ego) @ global_from_previous
    landmark_previous = np.array([4.0, 2.0, 0.0])
    landmark_ego = apply(ego_from_previous, landmark_previous[None])[0]
    previous = blob(grid, landmark_previous[:2])
    warped, inside = warp_bev(previous, torch.tensor(ego_from_previous)[None].float(), grid)
    assert np.abs(peak_m(grid, warped) - landmark_ego[:2]).max() < 0.02
    cell = tuple(np.round(grid.cell_from_ego(landmark_ego[:2])).astype(int))
    assert inside[0][cell]


def test_whole_cells_are_copied_exactly_and_the_rest_is_outside() -> None:
    grid = BevGrid(x_range_m=(0.0, 6.0), y_range_m=(0.0, 4.0), resolution_m=1.0)
    previous = torch.rand(1, 3, 6, 4)
    ego_from_previous = torch.tensor(rigid(np.eye(3), np.array([-2.0, 1.0, 0.0])))[None]
    warped, inside = warp_bev(previous, ego_from_previous, grid)
    torch.testing.assert_close(warped[:, :, :4, 1:], previous[:, :, 2:, :3])
    assert inside[0, :4, 1:].all()
    assert int(inside.sum()) == 12
    assert (warped[0, :, ~inside[0]] == 0).all()


def test_each_item_moves_by_its_own_motion() -> None:
    """Upstream broadcasts one number over the quaternion (PR 285)."""
    grid = BevGrid(x_range_m=(-8.0, 8.0), y_range_m=(-4.0, 4.0), resolution_m=1.0)
    features = torch.rand(3, 2, *grid.shape)
    motions = torch.stack(
        [torch.tensor(rigid(rotation_from_euler(0, 0, yaw), np.array([yaw, 1.0, 0]))) for yaw in (0.0, 0.3, -0.8)]
    )
    together, _ = warp_bev(features, motions, grid)
    for b in range(3):
        alone, _ = warp_bev(features[b : b + 1], motions[b : b + 1], grid)
        torch.testing.assert_close(together[b : b + 1], alone)


def test_gradient_is_that_of_finite_differences() -> None:
    grid = BevGrid(x_range_m=(-3.0, 3.0), y_range_m=(-1.0, 3.0), resolution_m=1.0)
    motion = torch.tensor(rigid(rotation_from_euler(0, 0, 0.4), np.array([0.3, -0.6, 0])))[None]
    features = torch.rand(1, 1, *grid.shape, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda f: warp_bev(f, motion, grid)[0], (features,))


def test_autocast_does_not_round_metres() -> None:
    grid = BevGrid(x_range_m=(-30.0, 30.0), y_range_m=(-15.0, 15.0), resolution_m=0.5)
    features = torch.rand(1, 2, *grid.shape)
    motion = torch.tensor(rigid(rotation_from_euler(0, 0, 0.1), np.array([-4.123, 0.2, 0])))[None].float()
    expected, _ = warp_bev(features, motion, grid)
    with torch.autocast("cpu", torch.bfloat16):
        actual, _ = warp_bev(features, motion, grid)
    torch.testing.assert_close(actual, expected)
