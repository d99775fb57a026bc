"""A plane through the road points of one LiDAR sweep."""

from dataclasses import dataclass

import numpy as np

from scene.ground import ground_from_plane
from scene.transform import Matrix
from stages.prepare.ground import GroundSettings

NEAR_M = 4.0
"""Nearer points lie on the vehicle itself, or under it."""

FIRST_HALF_WIDTH_M, FIRST_RADIUS_M = 4.0, 12.0
"""Where the first rounds look: the lane that the vehicle drives in, and its neighbours. Banks beside a road may fill
most of a sweep and agree on another plane."""

FIRST_SCALE_M = 0.3
"""Residual at which a point counts for nothing in the first round: before anything is known of the tilt."""

FIRST_ROUNDS, GROWING_ROUNDS = 6, 8


@dataclass(frozen=True)
class Fit:
    """The ground around a keyframe.

    Attributes:
        ground_from_ego: (4, 4) from the ego frame to the one whose z = 0 is the plane; the smallest turn that does it.
        num_points: points that counted.
        residual_m: their weighted root mean square distance from the plane.
        found: False where nothing could be fitted; then `ground_from_ego` is the identity.
    """

    ground_from_ego: Matrix
    num_points: int
    residual_m: float
    found: bool


NOT_FOUND = Fit(np.eye(4), 0, 0.0, found=False)


def fit_plane(points_m: Matrix, settings: GroundSettings) -> Fit:
    """Fits z = a x + b y + c by iteratively re-weighted least squares (Tukey's biweight), from the lane outwards.

    The first rounds look at the lane alone, with a scale that shrinks; then the radius grows, and only what lies on the
    plane found so far joins in. Rings of a spinning LiDAR are dense near the vehicle: a point counts in proportion to
    its distance, so that a metre of road does, whether near or far (our choices).

    Args:
        points_m: (N, 3) in the ego frame.
        settings: see `GroundSettings`.
    """
    points = np.asarray(points_m, np.float64)
    distance_m = np.hypot(points[:, 0], points[:, 1])
    reach_m = settings.max_offset_m + distance_m * np.tan(np.radians(settings.max_tilt_deg))
    near = (distance_m > NEAR_M) & (distance_m < settings.radius_m) & (np.abs(points[:, 2]) < reach_m)
    points, distance_m = points[near], distance_m[near]
    terms = np.vstack([points[:, :2].T, np.ones(len(points)), points[:, 2]])
    plane, weight = np.zeros(3), np.zeros(len(points))
    lane = (np.abs(points[:, 1]) < FIRST_HALF_WIDTH_M) & (distance_m < FIRST_RADIUS_M)
    rounds = [(scale_m, lane) for scale_m in np.geomspace(FIRST_SCALE_M, settings.scale_m, FIRST_ROUNDS)]
    radii_m = np.linspace(FIRST_RADIUS_M, settings.radius_m, GROWING_ROUNDS)
    rounds += [(settings.scale_m, distance_m < radius_m) for radius_m in radii_m]
    for scale_m, chosen in rounds:
        residual_m = _residual_m(points, plane)
        weight = chosen * distance_m * np.clip(1 - (residual_m / scale_m) ** 2, 0, None) ** 2
        if np.count_nonzero(weight) < settings.min_points:
            return NOT_FOUND
        # Not `@`: a BLAS shares long sums among its threads, and the last bits would depend on the number of cores.
        sums = np.einsum("in,jn,n->ij", terms[:3], terms, weight)
        plane = np.linalg.solve(sums[:, :3] + 1e-9 * np.eye(3), sums[:, 3])
    if (
        np.hypot(plane[0], plane[1]) > np.tan(np.radians(settings.max_tilt_deg))
        or abs(plane[2]) > settings.max_offset_m
    ):
        return NOT_FOUND
    residual_m = _residual_m(points, plane)
    rms_m = float(np.sqrt(np.average(residual_m**2, weights=weight)))
    return Fit(ground_from_plane(plane), int(np.count_nonzero(weight)), rms_m, found=True)


def _residual_m(points: Matrix, plane: Matrix) -> Matrix:
    height_m: Matrix = points[:, 2] - (plane[0] * points[:, 0] + plane[1] * points[:, 1] + plane[2])
    return height_m
