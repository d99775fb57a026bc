"""The other vehicles of a scene: driving, waiting and parked. None ever touches another or the ego vehicle."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scene.transform import Matrix, rigid, rotation_from_euler
from synthetic.contents import Semantic, Solid
from synthetic.curves import Points
from synthetic.network import RoadNetwork, parking_rows
from synthetic.routes import Trajectory, drive, random_route, stand

REACH_M = 90.0
"""Traffic farther than this from the ego vehicle's path is left out."""
CHECK_S = 0.25
EGO_SIZE_M = (4.1, 1.75, 1.6)
EGO_CENTRE_M = 1.4
"""The ego vehicle's centre ahead of its rear axle."""

KINDS: dict[str, tuple[float, tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    "vehicle.car": (0.82, (3.9, 5.0), (1.72, 1.98), (1.42, 1.85)),
    "vehicle.truck": (0.12, (5.4, 8.5), (2.1, 2.5), (2.3, 3.4)),
    "vehicle.bus.rigid": (0.06, (9.5, 11.5), (2.45, 2.6), (2.9, 3.3)),
}
"""Share and ranges of length, width and height in metres of each category."""


@dataclass(frozen=True, eq=False)
class Vehicle:
    """A vehicle; its trajectory is that of its centre.

    Attributes:
        instance: id in the instance masks, constant over the scene.
        attribute: nuScenes attribute name.
    """

    instance: int
    category: str
    attribute: str
    size_m: tuple[float, float, float]
    trajectory: Trajectory
    seed: int

    def pose_at(self, time_s: float) -> Matrix:
        """(4, 4) global_from_vehicle of the box's centre."""
        x, y, heading = self.trajectory.at(time_s)
        return rigid(rotation_from_euler(0, 0, heading), np.array([x, y, self.size_m[2] / 2]))

    def solid_at(self, time_s: float) -> Solid:
        """What the renderer sees of it."""
        return Solid(Semantic.VEHICLE, self.instance, self.pose_at(time_s), self.size_m, self.seed)


class _Occupied:
    """Discs over time that later vehicles must keep clear of."""

    def __init__(self, times_s: NDArray[np.float64]) -> None:
        self.times_s = times_s
        self.centres = np.zeros((len(times_s), 0, 2))
        self.radii = np.zeros(0)

    def discs(self, trajectory: Trajectory, size_m: tuple[float, float, float]) -> tuple[Points, Points]:
        """(T, n, 2) centres and (n,) radii of discs that cover a box moving with its centre on the trajectory."""
        length, width, _ = size_m
        n = max(2, int(np.ceil(length / width)))
        along = (np.arange(n) + 0.5) / n * length - length / 2
        x, y, heading = np.moveaxis(trajectory.at(self.times_s), -1, 0)
        axis = np.stack([np.cos(heading), np.sin(heading)], axis=-1)
        centres = np.stack([x, y], axis=-1)[:, None] + along[None, :, None] * axis[:, None]
        return centres, np.full(n, np.hypot(length / n, width) / 2)

    def admits(self, centres: Points, radii: Points, gap_m: float) -> bool:
        """Whether these discs stay `gap_m` away from all others; if so they are added."""
        if self.centres.shape[1]:
            apart = np.linalg.norm(self.centres[:, :, None] - centres[:, None], axis=-1)
            if np.any(apart < self.radii[None, :, None] + radii[None, None] + gap_m):
                return False
        self.centres = np.concatenate([self.centres, centres], axis=1)
        self.radii = np.concatenate([self.radii, radii])
        return True


def populate(
    rng: np.random.Generator, network: RoadNetwork, ego: Trajectory, duration_s: float, first_instance: int
) -> list[Vehicle]:
    """The vehicles of a scene, from sparse to dense traffic by the scene's own draw."""
    times = np.arange(-0.25, duration_s + 0.5, CHECK_S)
    occupied = _Occupied(times)
    # The ego path is that of the rear axle; shifting it forward along the path is accurate enough for a clearance.
    ego_ahead = Trajectory(ego.path, ego.time_s, ego.arc_m + EGO_CENTRE_M)
    occupied.admits(*occupied.discs(ego_ahead, EGO_SIZE_M), 0.0)
    ego_points = ego.at(times)[:, :2]
    candidates = _parked(rng, network) + _moving(rng, network, ego_points, duration_s)
    vehicles: list[Vehicle] = []
    for category, attribute, size, trajectory in candidates:
        centres, radii = occupied.discs(trajectory, size)
        near = np.linalg.norm(centres[::4, :1] - ego_points[None, ::4], axis=-1).min() < REACH_M
        gap = 0.1 if attribute == "vehicle.parked" else 0.8
        if near and occupied.admits(centres, radii, gap):
            instance = first_instance + len(vehicles)
            vehicles.append(Vehicle(instance, category, attribute, size, trajectory, int(rng.integers(1 << 31))))
    return vehicles


_Candidate = tuple[str, str, tuple[float, float, float], Trajectory]


def _draw_kind(rng: np.random.Generator) -> tuple[str, tuple[float, float, float]]:
    names = list(KINDS)
    name = names[rng.choice(len(names), p=[KINDS[n][0] for n in names])]
    length, width, height = (float(rng.uniform(*bounds)) for bounds in KINDS[name][1:])
    return name, (length, width, height)


def _parked(rng: np.random.Generator, network: RoadNetwork) -> list[_Candidate]:
    """Rows in the parking lanes, clear of the junctions and with gaps."""
    share = rng.uniform(0.15, 0.8)
    found: list[_Candidate] = []
    for _, row, _ in parking_rows(network):
        for along in np.arange(14.0, row.length_m - 14.0, 6.2):
            size = (float(rng.uniform(3.9, 4.9)), float(rng.uniform(1.72, 1.95)), float(rng.uniform(1.42, 1.8)))
            if rng.random() < share:
                place = stand(row, float(along + rng.uniform(-0.4, 0.4)))
                found.append(("vehicle.car", "vehicle.parked", size, place))
    return found


def _moving(rng: np.random.Generator, network: RoadNetwork, ego_points: Points, duration_s: float) -> list[_Candidate]:
    """Vehicles on lanes that begin near the ego vehicle's path: some wait, the others drive."""
    near = [
        i
        for i, lane in enumerate(network.lanes)
        if np.linalg.norm(lane.path.points[::8, None] - ego_points[None, ::4], axis=-1).min() < REACH_M
    ]
    found: list[_Candidate] = []
    for _ in range(int(rng.integers(25, 110))):
        category, size = _draw_kind(rng)
        lane = near[rng.integers(len(near))]
        length = network.lanes[lane].path.length_m
        if rng.random() < 0.25:
            place = stand(network.lanes[lane].path, float(rng.uniform(0.2, 0.95)) * length)
            found.append((category, "vehicle.stopped", size, place))
            continue
        start = float(rng.uniform(0, 0.9)) * length
        cruise = float(rng.uniform(4, 12))
        path, _ = random_route(rng, network, lane, start, cruise * (duration_s + 2))
        trajectory = drive(path, cruise, duration_s + 1, min_ms=2.5)
        if trajectory.time_s[-1] >= duration_s + 0.5:
            found.append((category, "vehicle.moving", size, trajectory))
    return found
