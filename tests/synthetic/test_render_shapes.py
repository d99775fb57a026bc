import numpy as np
import pytest

from synthetic.contents import Semantic, Solid
from synthetic.render_shapes import inverse_range, parts_of


def reference(is_round, origin, direction):
    """1 / t of the first point of a fine walk along the ray that lies inside; 0 without one."""
    t = np.arange(1, 60_000) * 2e-4
    points = origin + t[:, None] * direction
    inside = np.linalg.norm(points, axis=1) <= 1 if is_round else np.all(np.abs(points) <= 1, axis=1)
    return 1 / t[np.argmax(inside)] if inside.any() else 0.0


@pytest.mark.parametrize("is_round", [False, True])
def test_inverse_range_is_that_of_the_first_point_inside(is_round):
    rng = np.random.default_rng(4)
    hits = 0
    for _ in range(60):
        origin = rng.uniform(-3, 3, 3)
        if (np.linalg.norm(origin) if is_round else np.abs(origin).max()) < 1.1:
            continue
        direction = -origin + rng.uniform(-1.2, 1.2, 3)
        found = inverse_range(is_round, origin.tolist(), [np.array([d], np.float32) for d in direction])[0]
        expected = reference(is_round, origin, direction)
        hits += expected > 0
        # The walk is 2e-4 coarse: a ray that grazes the surface may be seen by one of the two only.
        grazes = expected == 0 and reference(is_round, origin / 1.002, direction / 1.002) > 0
        assert grazes or max(found, 0) == pytest.approx(expected, rel=2e-3, abs=1e-6)
    assert hits > 20


@pytest.mark.parametrize("is_round", [False, True])
def test_nothing_is_hit_behind_or_from_inside(is_round):
    ahead = [np.array([1.0], np.float32), np.array([0.1], np.float32), np.array([0.1], np.float32)]
    assert inverse_range(is_round, [2.0, 0.0, 0.0], ahead)[0] <= 0
    assert inverse_range(is_round, [0.2, 0.0, 0.1], ahead)[0] <= 0
    assert inverse_range(is_round, [-2.0, 0.0, 0.0], ahead)[0] > 0


@pytest.mark.parametrize(
    ("semantic", "size_m"),
    [
        (Semantic.BUILDING, (12.0, 9.0, 14.0)),
        (Semantic.POLE, (0.2, 0.2, 6.0)),
        (Semantic.VEGETATION, (3.0, 3.5, 4.0)),
        (Semantic.VEGETATION, (6.0, 1.0, 1.2)),
        (Semantic.VEGETATION, (0.3, 0.3, 2.5)),
        (Semantic.VEHICLE, (4.4, 1.8, 1.5)),
        (Semantic.VEHICLE, (5.2, 2.0, 2.3)),
        (Semantic.VEHICLE, (10.0, 2.5, 3.4)),
        (Semantic.VEHICLE, (2.0, 0.8, 1.5)),
    ],
)
def test_parts_stay_in_the_box_and_touch_all_of_its_sides(semantic, size_m):
    for seed in range(20):
        parts = parts_of(Solid(semantic, 1, np.eye(4), size_m, seed))
        low = np.min([p.centre_m - p.half_m for p in parts], axis=0)
        high = np.max([p.centre_m + p.half_m for p in parts], axis=0)
        half = np.array(size_m) / 2
        assert np.all(low >= -half - 1e-9)
        assert np.all(high <= half + 1e-9)
        round_parts = any(p.round for p in parts)
        assert np.allclose([low, high], [-half, half], atol=0.25 * half.max() if round_parts else 1e-9)
