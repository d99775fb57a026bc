"""The convex parts that a solid is made of, and where rays meet them: shared by the cameras and the LiDAR."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from scene.transform import Matrix
from synthetic.contents import Semantic, Solid
from synthetic.render_looks import Look, bark_look, building_look, foliage_look, pole_look, vehicle_look

TRUNK_M = 0.7
"""Vegetation thinner than this is a trunk."""


class Material(IntEnum):
    """How a part is coloured."""

    FACADE = 0
    FOLIAGE = 1
    METAL = 2
    BODY = 3
    CABIN = 4


@dataclass(frozen=True, eq=False)
class Part:
    """A box, or the ellipsoid inscribed in it, with its axes along those of its solid.

    Attributes:
        round: whether it is the ellipsoid.
        centre_m: (3,) in the solid's frame.
        half_m: (3,) half sizes.
        material, look: of its surface.
    """

    round: bool
    centre_m: NDArray[np.float64]
    half_m: NDArray[np.float64]
    material: Material
    look: Look


@lru_cache(maxsize=8192)
def _parts(semantic: Semantic, size_m: tuple[float, float, float], seed: int) -> tuple[Part, ...]:
    rng = np.random.default_rng((seed, int(semantic)))
    half = np.array(size_m) / 2
    if semantic == Semantic.BUILDING:
        return (Part(False, np.zeros(3), half, Material.FACADE, building_look(rng)),)
    if semantic == Semantic.POLE:
        return (Part(False, np.zeros(3), half, Material.METAL, pole_look(rng)),)
    if semantic == Semantic.VEHICLE:
        return _vehicle_parts(half, rng)
    return _foliage_parts(half, rng)


def _foliage_parts(half: NDArray[np.float64], rng: np.random.Generator) -> tuple[Part, ...]:
    """A trunk or a hedge stays a box; anything about as high as it is long becomes three lumps that fill the box."""
    if max(half[0], half[1]) < TRUNK_M / 2:
        return (Part(False, np.zeros(3), half, Material.METAL, bark_look(rng)),)
    look = foliage_look(rng)
    if half[2] < 0.6 * max(half[0], half[1]):
        return (Part(False, np.zeros(3), half, Material.FOLIAGE, look),)
    parts = []
    turn = rng.uniform(0, 2 * np.pi)
    for i in range(3):
        share = rng.uniform(0.62, 0.82, 3)
        angle = turn + i * 2 * np.pi / 3
        offset = np.array([np.cos(angle), np.sin(angle), (-0.9, 0.0, 0.9)[i]]) * (1 - share)
        parts.append(Part(True, offset * half, share * half, Material.FOLIAGE, look))
    return tuple(parts)


def _vehicle_parts(half: NDArray[np.float64], rng: np.random.Generator) -> tuple[Part, ...]:
    """A car is a body with a narrower cabin on it; long or high vehicles are one box, some with a lower cab."""
    look = vehicle_look(rng)
    length, _, height = 2 * half
    if length > 6.5:
        cab = rng.uniform(0.14, 0.25) * length if rng.random() < 0.5 else 0.0
        parts = [_slice(half, -1, 1 - cab / half[0], 1.0, 0, 1, Material.BODY if cab else Material.CABIN, look)]
        if cab:
            parts.append(_slice(half, 1 - cab / half[0], 1, 0.94, 0, rng.uniform(0.7, 0.85), Material.CABIN, look))
        return tuple(parts)
    if height > 1.95 or length < 3.0:
        return (_slice(half, -1, 1, 1.0, 0, 1, Material.CABIN, look),)
    waist = rng.uniform(0.55, 0.64)
    back, front = rng.choice([-0.98, -0.9, -0.75]), rng.uniform(0.3, 0.5)
    return (
        _slice(half, -1, 1, 1.0, 0, waist, Material.BODY, look),
        _slice(half, back, front, 0.86, waist, 1, Material.CABIN, look),
    )


def _slice(
    half: NDArray[np.float64],
    back: float,
    front: float,
    width: float,
    low: float,
    high: float,
    material: Material,
    look: Look,
) -> Part:
    """The piece of a box from `back` to `front` (of -1..1) and from `low` to `high` (of 0..1 of its height)."""
    centre = np.array([(back + front) / 2 * half[0], 0.0, (low + high - 1) * half[2]])
    return Part(False, centre, half * [(front - back) / 2, width, high - low], material, look)


def parts_of(solid: Solid) -> tuple[Part, ...]:
    """The parts of one solid; together they stay inside its box and touch all of its sides."""
    return _parts(solid.semantic, solid.size_m, solid.seed)


def unit_from_solid(part: Part) -> Matrix:
    """(4, 4) affine map that takes the part's box to the cube from -1 to 1."""
    matrix = np.diag([*(1 / part.half_m), 1.0])
    matrix[:3, 3] = -part.centre_m / part.half_m
    return matrix


Field = NDArray[np.float32]


def inverse_range(is_round: bool, origin: Sequence[float], direction: Sequence[Field] | Field) -> Field:
    """1 / t of the nearest point o + t d with t > 0 on the unit cube or unit sphere; <= 0 where the ray misses it.

    Inverse ranges make this cheap: for a pixel grid d is linear in (u, v), so the inverse range to each plane of the
    cube is linear too. The ray is inside the cube between the last plane that it enters and the first that it leaves.

    Args:
        is_round: sphere instead of cube.
        origin: o, three numbers. From inside nothing is hit.
        direction: d, three arrays of one shape (...), float32, or one array (3, ...).
    """
    return _sphere(origin, direction) if is_round else _cube(origin, direction)


def _cube(origin: Sequence[float], direction: Sequence[Field] | Field) -> Field:
    enter: Field | None = None
    leave: Field | None = None
    for o, d in zip(origin, direction, strict=True):
        sign = 1.0 if o >= 0 else -1.0
        near, far = sign - o, -sign - o  # signed distances to the nearer and the farther face
        near = near if abs(near) > 1e-5 else np.copysign(1e-5, near)
        to_near, to_far = d * np.float32(1 / near), d * np.float32(1 / far)
        if abs(o) > 1:
            enter = to_near if enter is None else np.minimum(enter, to_near, out=enter)
        else:
            np.maximum(to_far, to_near, out=to_far)
        leave = to_far if leave is None else np.maximum(leave, to_far, out=leave)
    if enter is None or leave is None:
        return np.zeros_like(direction[0])
    enter[enter < leave] = 0
    return enter


def _sphere(origin: Sequence[float], direction: Sequence[Field] | Field) -> Field:
    beyond = float(sum(o * o for o in origin)) - 1
    if beyond <= 0:
        return np.zeros_like(direction[0])
    along = sum(np.float32(o) * d for o, d in zip(origin, direction, strict=True))
    squared = sum(d * d for d in direction)
    discriminant = along * along - squared * np.float32(beyond)
    inverse: Field = (np.sqrt(np.maximum(discriminant, 0)) - along) / np.float32(beyond)
    inverse[discriminant < 0] = 0
    return inverse
