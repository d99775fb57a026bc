"""Plane curves as dense polylines (N, 2) float64 in metres: the shape of every road, lane and route."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Curve:
    """A polyline with its arc length, tangents and left normals.

    Attributes:
        points: (N, 2) vertices, N >= 2, none repeated.
    """

    points: Points

    @cached_property
    def arc_m(self) -> Points:
        """(N,) arc length at each vertex."""
        steps = np.linalg.norm(np.diff(self.points, axis=0), axis=1)
        return np.concatenate([[0.0], np.cumsum(steps)])

    @property
    def length_m(self) -> float:
        """Total length."""
        return float(self.arc_m[-1])

    @cached_property
    def tangents(self) -> Points:
        """(N, 2) unit tangents by central differences."""
        gradient = np.gradient(self.points, self.arc_m, axis=0)
        unit: Points = gradient / np.linalg.norm(gradient, axis=1, keepdims=True)
        return unit

    @property
    def normals(self) -> Points:
        """(N, 2) unit normals, to the left of the direction of travel."""
        return np.stack([-self.tangents[:, 1], self.tangents[:, 0]], axis=1)

    @cached_property
    def headings(self) -> Points:
        """(N,) continuous heading in radians."""
        return np.unwrap(np.arctan2(self.tangents[:, 1], self.tangents[:, 0]))

    def at(self, arc_m: Points | float) -> Points:
        """Points (..., 2) at arc lengths (...), clamped to the curve."""
        return np.stack([np.interp(arc_m, self.arc_m, self.points[:, i]) for i in (0, 1)], axis=-1)

    def frame_at(self, arc_m: float) -> tuple[Points, Points, Points]:
        """Point, unit tangent and left normal, (2,) each, at one arc length."""
        heading = float(np.interp(arc_m, self.arc_m, self.headings))
        tangent = np.array([np.cos(heading), np.sin(heading)])
        return self.at(arc_m), tangent, np.array([-tangent[1], tangent[0]])

    def part(self, start_m: float, end_m: float) -> "Curve":
        """The piece between two arc lengths; its ends are exact, its inner vertices those of this curve."""
        start_m, end_m = max(start_m, 0.0), min(end_m, self.length_m)
        inside = (self.arc_m > start_m + 1e-3) & (self.arc_m < end_m - 1e-3)
        return Curve(np.vstack([self.at(start_m), self.points[inside], self.at(end_m)]))

    def offset(self, left_m: float) -> "Curve":
        """The parallel curve `left_m` to the left; valid while |left_m| stays below the radius of curvature."""
        return Curve(self.points + left_m * self.normals)

    def reversed(self) -> "Curve":
        """The same curve travelled backwards."""
        return Curve(self.points[::-1].copy())

    def resampled(self, step_m: float) -> "Curve":
        """Vertices at equal steps of about `step_m`."""
        count = max(2, round(self.length_m / step_m) + 1)
        return Curve(self.at(np.linspace(0.0, self.length_m, count)))

    def min_radius_m(self) -> float:
        """Smallest radius of curvature."""
        curvature = np.abs(np.gradient(self.headings, self.arc_m))
        return float(1.0 / max(curvature.max(), 1e-9))


def spline(points: Points, start_direction: Points, end_direction: Points, step_m: float = 1.0) -> Curve:
    """A C2 cubic spline through points (N, 2) with given unit directions at both ends."""
    knots = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    smooth = CubicSpline(knots, points, bc_type=((1, start_direction), (1, end_direction)))
    return Curve(smooth(np.linspace(0.0, knots[-1], max(8, int(knots[-1] / 0.25))))).resampled(step_m)


def turn(start: Points, start_direction: Points, end: Points, end_direction: Points, step_m: float = 0.5) -> Curve:
    """A cubic Bezier curve between two poses, close to a circular arc for a 90 degree turn."""
    chord = float(np.linalg.norm(end - start))
    bend = float(np.arccos(np.clip(start_direction @ end_direction, -1.0, 1.0)))
    # Handles of a circular arc of this bend: (4/3) tan(bend/4) R, with chord = 2 R sin(bend/2).
    handle = chord / 3 if bend < 0.05 else chord * (4 / 3) * np.tan(bend / 4) / (2 * np.sin(bend / 2))
    t = np.linspace(0.0, 1.0, max(8, int(chord / 0.2)))[:, None]
    a, b = start + handle * start_direction, end - handle * end_direction
    points = (1 - t) ** 3 * start + 3 * (1 - t) ** 2 * t * a + 3 * (1 - t) * t**2 * b + t**3 * end
    return Curve(points).resampled(step_m)


def strip(curve: Curve, right_m: float, left_m: float) -> Points:
    """Exterior (M, 2) of the ribbon between two lateral offsets (left positive), counter-clockwise."""
    return np.vstack([curve.offset(right_m).points, curve.offset(left_m).points[::-1]])


def quad(curve: Curve, start_m: float, end_m: float, right_m: float, left_m: float) -> Points:
    """Four corners (4, 2) of a straight rectangle set square to the curve around the middle of [start_m, end_m]."""
    origin, tangent, normal = curve.frame_at(0.5 * (start_m + end_m))
    half = 0.5 * (end_m - start_m)
    corners = [(-half, right_m), (half, right_m), (half, left_m), (-half, left_m)]
    return np.array([origin + along * tangent + across * normal for along, across in corners])
