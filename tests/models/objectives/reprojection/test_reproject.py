import numpy as np
import torch

from models.objectives.reprojection.reproject import inside_grid, sample_bev
from scene.grid import BevGrid

GRID = BevGrid(x_range_m=(-4.0, 6.0), y_range_m=(-2.0, 1.0), resolution_m=0.5)


def test_cell_centres_read_their_own_cell():
    bev = torch.arange(GRID.shape[0] * GRID.shape[1], dtype=torch.float64).reshape(1, 1, *GRID.shape)
    centres = torch.from_numpy(GRID.centres().reshape(1, -1, 2))
    sampled = sample_bev(bev, centres, GRID)
    torch.testing.assert_close(sampled[0, :, 0], bev.flatten())


def test_values_between_centres_are_linear_in_x_and_y():
    x, y = torch.from_numpy(np.moveaxis(GRID.centres(), -1, 0))
    bev = torch.stack([2 * x - 3 * y, x + 10 * y])[None]
    points = torch.tensor([[[0.13, -0.4], [-3.2, 0.7], [5.1, -1.6]]], dtype=torch.float64)
    expected = torch.stack([2 * points[..., 0] - 3 * points[..., 1], points[..., 0] + 10 * points[..., 1]], dim=-1)
    torch.testing.assert_close(sample_bev(bev, points, GRID), expected)


def test_gradient_reaches_the_neighbouring_cells_and_no_other():
    bev = torch.zeros(1, 1, *GRID.shape, requires_grad=True)
    sample_bev(bev, torch.tensor([[[0.3, -0.6]]]), GRID).sum().backward()
    touched = torch.nonzero(bev.grad[0, 0])
    cell = GRID.cell_from_ego(np.array([0.3, -0.6]))
    assert len(touched) == 4
    assert (np.abs(touched.numpy() - cell) < 1).all()


def test_grid_border_belongs_to_one_side():
    points = np.array([[-4.0, -2.0], [5.99, 0.99], [6.0, 0.0], [0.0, 1.0], [np.nan, 0.0]])
    assert inside_grid(points, GRID).tolist() == [True, True, False, False, False]
