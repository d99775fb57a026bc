"""Where vehicles drive and when: routes through the lanes, speeds that slow down in bends, positions over time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from scene.errors import InputError
from synthetic.curves import Curve, Points
from synthetic.network import RoadNetwork

STEP_M = 0.25
MAX_ACCELERATION_MS2 = 1.6
MAX_LATERAL_MS2 = 2.2


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Motion along a path.

    Attributes:
        path: where the reference point goes.
        time_s, arc_m: (N,) increasing times and the arc length reached at each.
    """

    path: Curve
    time_s: NDArray[np.float64]
    arc_m: NDArray[np.float64]

    def at(self, time_s: NDArray[np.float64] | float) -> Points:
        """Pose (..., 3) as x, y in metres and heading in radians, clamped to the trajectory's time."""
        arc = np.interp(time_s, self.time_s, self.arc_m)
        heading = np.interp(arc, self.path.arc_m, self.path.headings)
        return np.concatenate([self.path.at(arc), np.asarray(heading)[..., None]], axis=-1)


def random_route(
    rng: np.random.Generator, network: RoadNetwork, lane: int, start_m: float, length_m: float
) -> tuple[Curve, bool]:
    """A smooth path that starts on a lane and turns at random, and whether it stays in the town.

    It leaves the town only if there is no other way, and is then shorter than `length_m` where the street ends.
    """
    pieces = [network.lanes[lane].path.part(start_m, np.inf).points]
    travelled = network.lanes[lane].path.length_m - start_m
    while travelled < length_m:
        exits = network.exits(lane)
        inner = [k for k in exits if network.exits(network.connectors[k].to_lane)]
        choices = inner or exits
        if not choices:
            break
        connector = network.connectors[choices[rng.integers(len(choices))]]
        lane = connector.to_lane
        pieces += [connector.path.points[1:], network.lanes[lane].path.points[1:]]
        travelled += connector.path.length_m + network.lanes[lane].path.length_m
    return _smooth(Curve(np.vstack(pieces))), bool(network.exits(lane))


def _smooth(curve: Curve) -> Curve:
    even = curve.resampled(STEP_M)
    if len(even.points) < 8:
        return even
    smooth = gaussian_filter1d(even.points, sigma=1.0 / STEP_M, axis=0, mode="nearest")
    keep = np.r_[True, np.linalg.norm(np.diff(smooth, axis=0), axis=1) > 1e-3]
    return Curve(smooth[keep])


def drive(path: Curve, cruise_ms: float, duration_s: float, min_ms: float) -> Trajectory:
    """Drives along a path at `cruise_ms`, slower in bends, within comfortable accelerations.

    The trajectory lasts `duration_s` or until the path ends.
    """
    arc = np.arange(0.0, path.length_m, STEP_M)
    curvature = np.abs(np.gradient(path.headings, path.arc_m))
    bend = np.interp(arc, path.arc_m, gaussian_filter1d(curvature, 1.0 / STEP_M, mode="nearest"))
    limit = np.clip(np.sqrt(MAX_LATERAL_MS2 / np.maximum(bend, 1e-4)), min_ms, cruise_ms)
    gain = 2 * MAX_ACCELERATION_MS2 * STEP_M
    squares = limit**2
    for i in range(len(arc) - 2, -1, -1):
        squares[i] = min(squares[i], squares[i + 1] + gain)
    for i in range(1, len(arc)):
        squares[i] = min(squares[i], squares[i - 1] + gain)
    speed = np.sqrt(squares)
    time = np.concatenate([[0.0], np.cumsum(2 * STEP_M / (speed[1:] + speed[:-1]))])
    count = int(np.searchsorted(time, duration_s)) + 1
    return Trajectory(path, time[:count], arc[:count])


def stand(path: Curve, at_m: float) -> Trajectory:
    """A vehicle that does not move."""
    return Trajectory(path, np.array([0.0, 1.0]), np.array([at_m, at_m]))


def ego_trajectory(
    rng: np.random.Generator, network: RoadNetwork, duration_s: float, speed_ms: tuple[float, float]
) -> Trajectory:
    """The ego vehicle's drive: somewhere in the town, through junctions, a little off the lane's centre.

    It does not end on a street that leads out of the town, if one of sixty tries avoids that.

    Raises:
        InputError: if no route of the town lasts that long.
    """
    length = duration_s * speed_ms[1]
    fallback: Trajectory | None = None
    for _ in range(60):
        lane = int(rng.integers(len(network.lanes)))
        start = float(rng.uniform(0.05, 0.6)) * network.lanes[lane].path.length_m
        path, stays = random_route(rng, network, lane, start, length + 5)
        sway = 0.18 * np.sin(path.arc_m / rng.uniform(9, 20) + rng.uniform(0, 2 * np.pi)) + rng.normal(0, 0.1)
        path = Curve(path.points + sway[:, None] * path.normals)
        cruise = float(rng.uniform(0.6, 1.0)) * speed_ms[1]
        trajectory = drive(path, cruise, duration_s, speed_ms[0])
        if trajectory.time_s[-1] >= duration_s:
            if stays:
                return trajectory
            fallback = trajectory
    if fallback is None:
        what = f"no route through the town lasts {duration_s:.0f} s at {speed_ms[1]:g} m/s"
        raise InputError(what, where="the world's settings", fix="lower speed_ms, frames_per_scene or frame_interval_s")
    return fallback
