import os
import subprocess
import sys

import numpy as np
import pytest

from scene.transform import apply
from stages.prepare.ground import GroundSettings
from stages.prepare.ground.plane import NOT_FOUND, fit_plane

SETTINGS = GroundSettings()


def street(plane, seed=0, noise_m=0.01):
    """LiDAR rings on a road of that plane, kerbs and lawns 0.12 m higher beside it, a car on it and walls along it."""
    rng = np.random.default_rng(seed)
    radius_m = np.repeat(np.geomspace(4.5, 40, 14), 360)
    angle = np.tile(np.linspace(0, 2 * np.pi, 360, endpoint=False), 14)
    x, y = radius_m * np.cos(angle), radius_m * np.sin(angle)
    z = plane[0] * x + plane[1] * y + plane[2] + rng.normal(0, noise_m, x.shape)
    z[np.abs(y) > 7] += 0.12
    car = (np.abs(x - 12) < 2.5) & (np.abs(y - 2) < 1)
    z[car] += rng.uniform(0.2, 1.4, car.sum())
    wall = np.abs(y) > 11
    z[wall] += rng.uniform(0, 6, wall.sum())
    return np.column_stack([x, y, z])


@pytest.mark.parametrize("plane", [(0.0, 0.0, 0.0), (0.008, -0.005, 0.05), (-0.03, 0.02, -0.2)])
def test_the_road_is_found_among_kerbs_cars_and_walls(plane):
    fit = fit_plane(street(plane), SETTINGS)
    assert fit.found
    xy = np.random.default_rng(1).uniform(-20, 20, (100, 2)) * [1, 0.3]
    road = np.column_stack([xy, xy @ plane[:2] + plane[2]])
    assert np.abs(apply(fit.ground_from_ego, road)[:, 2]).max() < 0.03
    assert fit.residual_m < 0.05
    assert 500 < fit.num_points < 14 * 360


def test_banks_beside_the_road_do_not_tilt_it():
    points = street((0.0, 0.0, 0.0))
    beside = np.abs(points[:, 1]) > 5
    points[beside, 2] = 0.06 * points[beside, 1]  # up on the left, down on the right, as on a hillside
    fit = fit_plane(points, SETTINGS)
    assert fit.found
    road = np.column_stack([np.tile(np.linspace(-15, 15, 7), 3), np.repeat([-4.0, 0.0, 4.0], 7), np.zeros(21)])
    assert np.abs(apply(fit.ground_from_ego, road)[:, 2]).max() < 0.03


def plane_of_a_street():
    fit = fit_plane(street((0.01, -0.004, 0.1), noise_m=0.03), SETTINGS)
    return [float(value).hex() for value in (*fit.ground_from_ego.ravel(), fit.residual_m)]


def test_the_number_of_threads_changes_no_bit():
    script = "from tests.stages.prepare.ground.test_plane import *; print(plane_of_a_street())"
    found = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
            check=True,
            capture_output=True,
        ).stdout
        for threads in ("1", "2")
    ]
    assert found[0] == found[1] == f"{plane_of_a_street()}\n".encode()


def test_what_is_no_road_is_not_fitted():
    few = street((0, 0, 0))[:100]
    assert fit_plane(few, SETTINGS) is NOT_FOUND
    assert fit_plane(np.empty((0, 3)), SETTINGS) is NOT_FOUND
    assert fit_plane(street((0.2, 0, 0)), SETTINGS) is NOT_FOUND, "a ramp of 11 degrees under a level vehicle"
    assert fit_plane(street((0, 0, 3.0)), SETTINGS) is NOT_FOUND
    assert np.array_equal(NOT_FOUND.ground_from_ego, np.eye(4))
