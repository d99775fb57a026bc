import numpy as np
import pytest

from scene.camera import project
from scene.transform import apply, inverse, rigid, rotation_from_euler
from synthetic.contents import Semantic
from synthetic.lidar import ELEVATION_DEG, NUM_BEAMS, RANGE_M, scan_lidar
from synthetic.render import render_camera

WH_PX = (384, 192)


@pytest.fixture
def solids(street):
    return [
        street.box(Semantic.BUILDING, 1, (50, 45), (14, 8, 9), 0.1),
        street.box(Semantic.VEHICLE, 2, (46, 27), (4.5, 1.9, 1.6)),
        street.box(Semantic.BUILDING, 3, (30, 12), (30, 6, 12)),
    ]


@pytest.fixture
def global_from_lidar():
    return rigid(rotation_from_euler(0.01, 0.02, -np.pi / 2), np.array([130.9, 230.0, 1.84]))


def test_points_lie_on_the_ground_or_on_a_solid(street, solids, global_from_lidar):
    cloud = scan_lidar(street.surface, solids, global_from_lidar, 0)
    points = apply(global_from_lidar, cloud[:, :3].astype(np.float64))
    off = [np.abs(points[:, 2])]
    for solid in solids:
        local = np.abs(apply(inverse(solid.global_from_solid), points)) - np.array(solid.size_m) / 2
        outside = np.linalg.norm(np.maximum(local, 0), axis=1)
        # Inside a building there is nothing: distance to its surface. A car's parts fill its box only partly.
        off.append(
            outside if solid.semantic == Semantic.VEHICLE else np.where(outside > 0, outside, -local.max(axis=1))
        )
    assert np.quantile(np.min(off, axis=0), 0.999) < 0.06
    nearest = np.argmin(off, axis=0)
    assert all(np.sum(nearest == i) > 50 for i in range(4))


def test_rings_are_elevations_from_the_lowest_up(street, solids, global_from_lidar):
    cloud = scan_lidar(street.surface, solids, global_from_lidar, 0)
    assert cloud.dtype == np.float32
    assert set(np.unique(cloud[:, 4])) == set(range(NUM_BEAMS))
    elevation = np.rad2deg(np.arctan2(cloud[:, 2], np.linalg.norm(cloud[:, :2], axis=1)))
    assert np.allclose(elevation, np.linspace(*ELEVATION_DEG, NUM_BEAMS)[cloud[:, 4].astype(int)], atol=1e-3)
    distance = np.linalg.norm(cloud[:, :3], axis=1)
    assert RANGE_M[0] - 0.1 < distance.min()
    assert distance.max() < RANGE_M[1] + 0.1


def test_points_fall_on_the_instance_that_a_camera_at_the_same_place_sees(street, solids, noon):
    image_from_camera, camera_from_global = street.camera((30, 30), wh_px=WH_PX)
    truth = render_camera(street.surface, solids, noon, image_from_camera, camera_from_global, WH_PX, 0)
    global_from_camera = inverse(camera_from_global)
    turned = rigid(rotation_from_euler(0, 0, -np.pi / 2), global_from_camera[:3, 3])
    cloud = scan_lidar(street.surface, solids, turned, 0)
    points = apply(turned, cloud[:, :3].astype(np.float64))
    pixels, depth = project(image_from_camera, apply(camera_from_global, points))
    u, v = np.rint(pixels).astype(int).T
    kept = (depth > 0) & (u >= 3) & (v >= 3) & (u < WH_PX[0] - 3) & (v < WH_PX[1] - 3)
    agree = compared = 0
    for point, column, row in zip(points[kept], u[kept], v[kept], strict=True):
        around = truth.instance[row - 3 : row + 4, column - 3 : column + 4]
        if np.all(around == around[0, 0]):
            hit = [s.instance for s in solids if _touches(s, point)]
            agree += (hit[0] if hit else 0) == around[0, 0]
            compared += 1
    assert compared > 500
    assert agree / compared > 0.995


def _touches(solid, point):
    local = apply(inverse(solid.global_from_solid), point[None])[0]
    return bool(np.all(np.abs(local) < np.array(solid.size_m) / 2 + 0.06)) and point[2] > 0.06


def test_paint_is_brighter_than_the_road(street, global_from_lidar):
    cloud = scan_lidar(street.surface, [], global_from_lidar, 0, num_azimuth=4000)
    points = apply(global_from_lidar, cloud[:, :3].astype(np.float64))
    classes = street.surface.semantic_at(points[:, :2])
    paint, road = (cloud[classes == c, 3] for c in (Semantic.CROSSING, Semantic.ROAD))
    assert len(paint) > 20
    assert paint.mean() > 1.5 * road.mean()
    assert cloud[:, 3].min() >= 0
    assert cloud[:, 3].max() <= 255


def test_same_seed_same_bytes_other_seed_other_noise(street, solids, global_from_lidar):
    first, again, other = (scan_lidar(street.surface, solids, global_from_lidar, seed) for seed in (4, 4, 5))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()
    assert abs(len(first) - len(other)) < 0.05 * len(first)
