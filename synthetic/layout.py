"""The street plan of a town: a jittered, turned grid of nodes, thinned, with curved streets between its junctions.

All of it is our own design; widths and lane counts follow common urban practice.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthetic.curves import Curve, Points, spline

SPACING_M = 82.0
STUB_M = 46.0
MIN_RADIUS_M = 24.0
"""Below this the outer offsets of a wide street would fold."""

_STEPS = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])


@dataclass(frozen=True)
class CrossSection:
    """What lies left and right of a street's reference line (the border between the two directions).

    Attributes:
        lanes_forward: lanes in the direction of the line, on its right.
        lanes_backward: oncoming lanes, on its left.
        parking_right, parking_left: whether a parking lane lies outside of the driving lanes.
    """

    lanes_forward: int
    lanes_backward: int
    lane_width_m: float
    parking_right: bool
    parking_left: bool
    parking_width_m: float
    sidewalk_m: float

    @property
    def drive_right_m(self) -> float:
        """Offset (negative) of the outer edge of the forward lanes."""
        return -self.lanes_forward * self.lane_width_m

    @property
    def drive_left_m(self) -> float:
        """Offset of the outer edge of the backward lanes."""
        return self.lanes_backward * self.lane_width_m

    @property
    def kerb_right_m(self) -> float:
        """Offset (negative) of the right kerb."""
        return self.drive_right_m - self.parking_width_m * self.parking_right

    @property
    def kerb_left_m(self) -> float:
        """Offset of the left kerb."""
        return self.drive_left_m + self.parking_width_m * self.parking_left


@dataclass(frozen=True, eq=False)
class Street:
    """A street between two junctions; node -1 is an open end at the edge of the town."""

    line: Curve
    start_node: int
    end_node: int
    section: CrossSection


def plan_streets(rng: np.random.Generator, centre_m: Points) -> list[Street]:
    """The streets of a town about 250 m across around `centre_m`."""
    nodes, frame = _nodes(rng, centre_m)
    arms = _arms(rng)
    streets = []
    for chain in _chains(arms):
        line = _line(rng, nodes, frame, arms, chain)
        streets.append(Street(line, *_ends(chain, arms), _section(rng, line.min_radius_m())))
    return streets


def _nodes(rng: np.random.Generator, centre_m: Points) -> tuple[Points, NDArray[np.float64]]:
    """Node positions (9, 2) and the heading (9,) of each node's own first axis."""
    turn_rad = rng.uniform(0, 2 * np.pi)
    rotation = np.array([[np.cos(turn_rad), -np.sin(turn_rad)], [np.sin(turn_rad), np.cos(turn_rad)]])
    shear = np.array([[1.0, rng.uniform(-0.15, 0.15)], [0.0, 1.0]])
    columns, rows = (np.cumsum([0.0, *rng.uniform(0.86, 1.2, 2)]) * SPACING_M for _ in range(2))
    grid = np.array([[columns[i], rows[j]] for i in range(3) for j in range(3)])
    grid = grid - grid.mean(axis=0) + rng.uniform(-8, 8, (9, 2))
    return centre_m + grid @ (rotation @ shear).T, turn_rad + rng.normal(0, np.radians(6), 9)


def _inside(node: int, side: int) -> int | None:
    """The neighbour of a node of the 3 x 3 grid in one of the four directions."""
    i, j = np.array(divmod(node, 3)) + _STEPS[side]
    return int(3 * i + j) if 0 <= i < 3 and 0 <= j < 3 else None


def _arms(rng: np.random.Generator) -> list[dict[int, int]]:
    """For each node {side: neighbour}, -1 for a stub that leaves the town; every node keeps at least two arms."""
    arms: list[dict[int, int]] = []
    for node in range(9):
        found = {side: _inside(node, side) for side in range(4)}
        arms.append({s: n for s, n in found.items() if n is not None})
    edges = [(node, side) for node in range(9) for side in (0, 1) if side in arms[node]]
    to_remove = int(rng.integers(0, 3))
    for k in rng.permutation(len(edges)):
        node, side = edges[k]
        other = arms[node][side]
        if to_remove and len(arms[node]) > 2 and len(arms[other]) > 2:
            del arms[node][side], arms[other][(side + 2) % 4]
            to_remove -= 1
    for node in range(9):
        for side in range(4):
            if _inside(node, side) is None and rng.random() < 0.35:
                arms[node][side] = -1
    return arms


def _chains(arms: list[dict[int, int]]) -> list[list[tuple[int, int]]]:
    """Walks from junction to junction through nodes with two arms, as lists of (node, side it leaves by)."""
    chains, seen = [], set()
    for node in range(9):
        if len(arms[node]) < 3:
            continue
        for side in sorted(arms[node]):
            if (node, side) in seen:
                continue
            chain = [(node, side)]
            while (following := arms[chain[-1][0]][chain[-1][1]]) >= 0:
                back = (chain[-1][1] + 2) % 4
                if len(arms[following]) != 2:
                    chain.append((following, back))
                    seen.add((following, back))
                    break
                chain.append((following, next(s for s in arms[following] if s != back)))
            chains.append(chain)
    return chains


def _ends(chain: list[tuple[int, int]], arms: list[dict[int, int]]) -> tuple[int, int]:
    last, side = chain[-1]
    stub = len(chain) == 1 or (len(arms[last]) == 2 and arms[last][side] == -1)
    return chain[0][0], -1 if stub else last


def _line(
    rng: np.random.Generator,
    nodes: Points,
    frame: NDArray[np.float64],
    arms: list[dict[int, int]],
    chain: list[tuple[int, int]],
) -> Curve:
    """The reference line of one chain: a spline that leaves each junction along its arm; retries are gentler."""

    def direction(node: int, side: int, jitter: float) -> Points:
        heading = frame[node] + side * np.pi / 2 + jitter
        return np.array([np.cos(heading), np.sin(heading)])

    _, end_node = _ends(chain, arms)
    jitters = rng.normal(0, np.radians(4), 2)
    start = direction(*chain[0], jitters[0])
    best: Curve | None = None
    for attempt in range(12):
        amplitude = 11.0 * (1 - attempt / 11)
        bends = [nodes[node] for node, _ in (chain[1:] if end_node < 0 else chain[1:-1])]
        if end_node < 0:
            last, side = chain[-1]
            end = direction(last, side, rng.normal(0, np.radians(12) * amplitude / 11))
            points = [nodes[chain[0][0]], *bends, nodes[last] + STUB_M * end]
        else:
            end = -direction(*chain[-1], jitters[1])
            points = [nodes[chain[0][0]], *bends, nodes[end_node]]
        if len(points) == 2 and end_node >= 0:
            along = points[1] - points[0]
            normal = np.array([-along[1], along[0]]) / np.linalg.norm(along)
            points.insert(1, 0.5 * (points[0] + points[-1]) + rng.uniform(-amplitude, amplitude) * normal)
        line = spline(np.array(points), start, end)
        if best is None or line.min_radius_m() > best.min_radius_m():
            best = line
        if best.min_radius_m() >= MIN_RADIUS_M:
            break
    assert best is not None
    return best


def _section(rng: np.random.Generator, radius_m: float) -> CrossSection:
    """A cross-section; a street with a tight bend is narrow, lest its outer offsets fold."""
    shares = {(1, 1): 0.36, (2, 2): 0.3, (1, 2): 0.17, (2, 1): 0.17}
    forward, backward = list(shares)[rng.choice(len(shares), p=list(shares.values()))]
    parking = rng.random(2) < (0.5 if forward + backward == 2 else 0.35)
    if radius_m < MIN_RADIUS_M:
        forward, backward, parking = 1, 1, np.array([False, False])
    return CrossSection(
        lanes_forward=forward,
        lanes_backward=backward,
        lane_width_m=float(rng.uniform(2.9, 3.7)),
        parking_right=bool(parking[0]),
        parking_left=bool(parking[1]),
        parking_width_m=2.3,
        sidewalk_m=float(rng.uniform(1.6, 3.6)) if rng.random() < 0.85 and radius_m > 9 else 0.0,
    )
