import numpy as np
import pytest

from scene.ground import ground_from_plane
from scene.transform import apply


@pytest.mark.parametrize("plane", [(0.0, 0.0, 0.0), (0.02, -0.01, 0.3), (-0.3, 0.4, -1.0)])
def test_the_plane_becomes_z_0_by_the_smallest_turn(plane):
    a, b, c = plane
    ground_from_ego = ground_from_plane(np.array(plane))
    xy = np.random.default_rng(0).uniform(-20, 20, (50, 2))
    on_plane = np.column_stack([xy, xy @ [a, b] + c])
    assert apply(ground_from_ego, on_plane)[:, 2] == pytest.approx(0, abs=1e-12)
    rotation = ground_from_ego[:3, :3]
    assert rotation @ rotation.T == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)
    angle = np.arctan(np.hypot(a, b))
    assert np.arccos(min(1.0, (np.trace(rotation) - 1) / 2)) == pytest.approx(angle, abs=1e-7)
    assert ground_from_ego[:2, 3] == pytest.approx([0, 0])
    assert apply(ground_from_ego, np.array([[0, 0, c + 1.0]]))[0, 2] > 0, "above stays above"
