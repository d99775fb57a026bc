import numpy as np
import pytest
from pydantic import ValidationError

from scene.grid import BevGrid


def test_the_default_is_60_by_30_m_at_15_cm():
    assert BevGrid().shape == (400, 200)


def test_indices_grow_forward_and_to_the_left():
    centres = BevGrid().centres()
    assert centres[0, 0] == pytest.approx([-29.925, -14.925])
    assert centres[-1, 0] == pytest.approx([29.925, -14.925])
    assert centres[0, -1] == pytest.approx([-29.925, 14.925])


def test_cell_from_ego_maps_centres_to_their_indices():
    grid = BevGrid(x_range_m=(-4, 8), y_range_m=(-3, 3), resolution_m=0.5)
    i, j = np.meshgrid(*map(np.arange, grid.shape), indexing="ij")
    assert grid.cell_from_ego(grid.centres()) == pytest.approx(np.stack([i, j], axis=-1), abs=1e-9)


@pytest.mark.filterwarnings("error")
def test_points_lie_in_the_cell_around_them_or_in_none():
    grid = BevGrid(x_range_m=(-4, 8), y_range_m=(-3, 3), resolution_m=0.5)
    cells, inside = grid.cells_of(np.array([[-4.0, -3.0], [-3.51, 2.99], [8.0, 0.0], [-4.01, 0.0], [np.nan, 0.0]]))
    assert inside.tolist() == [True, True, False, False, False]
    assert cells[:2].tolist() == [[0, 0], [0, 11]]
    assert (cells[2:] == 0).all()


def test_distance_is_from_the_ego_origin():
    grid = BevGrid(x_range_m=(0, 8), y_range_m=(-3, 3), resolution_m=1.0)
    assert grid.distance_m()[3, 3] == pytest.approx(np.hypot(3.5, 0.5))


def test_a_range_that_is_no_whole_number_of_cells_is_refused():
    with pytest.raises(ValidationError, match="whole number"):
        BevGrid(resolution_m=0.7)
    with pytest.raises(ValidationError, match="whole number"):
        BevGrid().coarser(3)
    assert BevGrid().coarser(4).shape == (100, 50)
