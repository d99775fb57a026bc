"""Drives and traffic: on the road, at sane speeds, never through each other."""

import numpy as np
import pytest
import shapely

from scene.errors import InputError
from synthetic.layout import plan_streets
from synthetic.network import RoadNetwork
from synthetic.roads import build_network
from synthetic.routes import Trajectory, ego_trajectory
from synthetic.seeds import generator
from synthetic.traffic import EGO_CENTRE_M, EGO_SIZE_M, Vehicle, populate

DURATION_S = 6.5


@pytest.fixture(scope="module")
def network() -> RoadNetwork:
    return build_network(plan_streets(generator(1, "streets"), np.array([200.0, 200.0])))


@pytest.fixture(scope="module")
def ego(network: RoadNetwork) -> Trajectory:
    return ego_trajectory(generator(1, "ego"), network, DURATION_S, (3.0, 12.0))


@pytest.fixture(scope="module")
def vehicles(network: RoadNetwork, ego: Trajectory) -> list[Vehicle]:
    return populate(generator(1, "traffic"), network, ego, DURATION_S, 500)


def _footprint(x: float, y: float, heading: float, length: float, width: float) -> shapely.Polygon:
    box = shapely.box(-length / 2, -width / 2, length / 2, width / 2)
    rotated = shapely.affinity.rotate(box, heading, origin=(0, 0), use_radians=True)
    return shapely.affinity.translate(rotated, x, y)


def test_the_ego_vehicle_stays_on_the_road_at_sane_speeds(network: RoadNetwork, ego: Trajectory) -> None:
    times = np.arange(0.0, DURATION_S, 0.05)
    poses = ego.at(times)
    assert all(network.drivable.contains(shapely.Point(p[:2])) for p in poses)
    step = np.diff(poses[:, :2], axis=0)
    speed = np.linalg.norm(step, axis=1) / 0.05
    assert speed.min() > 2.5
    assert speed.max() < 12.5
    assert np.abs(np.diff(speed)).max() / 0.05 < 2.5
    heading = np.stack([np.cos(poses[:-1, 2]), np.sin(poses[:-1, 2])], axis=1)
    assert np.sum(step * heading, axis=1).min() > 0.99 * np.linalg.norm(step, axis=1).min()


def test_no_vehicle_touches_another(ego: Trajectory, vehicles: list[Vehicle]) -> None:
    assert len(vehicles) > 5
    for time in np.arange(0.0, DURATION_S, 0.1):
        x, y, heading = ego.at(float(time))
        centre = np.array([x, y]) + EGO_CENTRE_M * np.array([np.cos(heading), np.sin(heading)])
        boxes = [_footprint(*centre, heading, *EGO_SIZE_M[:2])]
        boxes += [_footprint(*v.trajectory.at(float(time)), *v.size_m[:2]) for v in vehicles]
        tree = shapely.STRtree(boxes)
        first, second = tree.query(boxes, predicate="intersects")
        assert np.all(first == second)


def test_some_drive_and_some_stand(vehicles: list[Vehicle]) -> None:
    for vehicle in vehicles:
        moved = np.linalg.norm(vehicle.pose_at(DURATION_S)[:2, 3] - vehicle.pose_at(0.0)[:2, 3])
        assert (moved > 1.0) == (vehicle.attribute == "vehicle.moving")
    assert {"vehicle.moving", "vehicle.stopped"} <= {v.attribute for v in vehicles}
    assert [v.instance for v in vehicles] == list(range(500, 500 + len(vehicles)))


def test_a_drive_too_long_for_the_town_is_refused(network: RoadNetwork) -> None:
    stubs = [lane for i, lane in enumerate(network.lanes) if not network.exits(i)]
    assert stubs
    only_stubs = RoadNetwork(network.roads, {}, stubs, [], network.drivable, network.sidewalk)
    with pytest.raises(InputError, match="no route"):
        ego_trajectory(generator(1, "ego"), only_stubs, 60.0, (3.0, 12.0))
