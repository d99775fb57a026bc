"""A spinning 32-beam LiDAR like the one of nuScenes, cast against the same ground and parts as the cameras."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scene.transform import Matrix, apply, inverse
from synthetic.contents import Semantic, Solid
from synthetic.render_light import decode
from synthetic.render_shapes import Part, inverse_range, parts_of, unit_from_solid
from synthetic.surface import Surface

ELEVATION_DEG = (-30.67, 10.67)
"""Of the lowest and the highest beam (HDL-32E, the LiDAR of nuScenes); the beams between are evenly spaced."""
NUM_BEAMS = 32
RANGE_M = (1.0, 70.0)
RANGE_NOISE_M = 0.015
"""Standard deviation along the ray, our choice; the maker states 2 cm accuracy."""
DROPOUT = 0.04

_REFLECTANCE = {Semantic.BUILDING: 22.0, Semantic.VEGETATION: 14.0, Semantic.POLE: 34.0, Semantic.VEHICLE: 24.0}


@dataclass(frozen=True, eq=False)
class _Sweep:
    """Rays of a turn, beams by azimuth steps: global directions 3 x (A, 32), 1 / range and owner (A, 32)."""

    origin: NDArray[np.float64]
    direction: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
    inverse_range: NDArray[np.float32]
    owner: NDArray[np.int32]


def scan_lidar(
    surface: Surface, solids: Sequence[Solid], global_from_lidar: Matrix, seed: int, num_azimuth: int = 1080
) -> NDArray[np.float32]:
    """One sweep, taken at one instant (moving things are not smeared, as if the sweep were already corrected).

    Args:
        surface: of the town; painted ground returns more than bare.
        solids: everything that stands in it now, except the vehicle that carries the LiDAR.
        global_from_lidar: (4, 4), z along the axis of rotation.
        seed: of noise and dropouts.
        num_azimuth: firings per turn.

    Returns:
        (N, 5) float32: x, y, z in the LiDAR's frame in metres, intensity 0-255, ring 0 (lowest beam) to 31; ordered by
        azimuth, then ring. Rays that meet nothing within the range are left out.
    """
    rng = np.random.default_rng((seed, 0x11DA2))
    in_lidar = _beam_directions(num_azimuth)
    sweep = _sweep(in_lidar, global_from_lidar)
    hit_parts = _cast(sweep, solids)
    distance_m = 1 / np.maximum(sweep.inverse_range, np.float32(1e-3))
    intensity = _intensity(surface, sweep, hit_parts, distance_m)
    noisy_m = distance_m + rng.normal(0, RANGE_NOISE_M, distance_m.shape)
    noisy_intensity = np.clip(intensity * rng.gamma(14, 1 / 14, intensity.shape), 0, 255)
    # Weak echoes get lost first: dark things, far away.
    lost = DROPOUT + 0.5 * np.clip(distance_m / RANGE_M[1], 0, 1) ** 2 * np.exp(-intensity / 12)
    kept = (distance_m > RANGE_M[0]) & (distance_m < RANGE_M[1]) & (rng.random(distance_m.shape) > lost)
    rings = np.broadcast_to(np.arange(NUM_BEAMS, dtype=np.float32), kept.shape)
    points = in_lidar * noisy_m[..., None]
    cloud = np.concatenate([points, np.rint(noisy_intensity)[..., None], rings[..., None]], axis=-1)
    echoes: NDArray[np.float32] = cloud[kept].astype(np.float32)
    return echoes


def _beam_directions(num_azimuth: int) -> NDArray[np.float64]:
    """Unit rays (A, 32, 3) in the LiDAR's frame."""
    azimuth = -2 * np.pi * np.arange(num_azimuth)[:, None] / num_azimuth  # it turns clockwise, seen from above
    elevation = np.deg2rad(np.linspace(*ELEVATION_DEG, NUM_BEAMS))[None, :]
    flat = np.cos(elevation)
    x, y, z = np.broadcast_arrays(np.cos(azimuth) * flat, np.sin(azimuth) * flat, np.sin(elevation))
    return np.stack([x, y, z], axis=-1)


def _sweep(in_lidar: NDArray[np.float64], global_from_lidar: Matrix) -> _Sweep:
    direction = in_lidar @ global_from_lidar[:3, :3].T
    x, y, z = np.moveaxis(direction.astype(np.float32), -1, 0)
    origin = global_from_lidar[:3, 3]
    ground = np.maximum(z * np.float32(-1 / origin[2]), 0)
    return _Sweep(origin, (x.copy(), y.copy(), z.copy()), ground, np.full(ground.shape, -1, np.int32))


def _cast(sweep: _Sweep, solids: Sequence[Solid]) -> list[tuple[Solid, Part]]:
    """Enters every solid within range into the sweep; returns what `owner` indexes."""
    pairs: list[tuple[Solid, Part]] = []
    for solid in solids:
        radius = float(np.linalg.norm(solid.size_m)) / 2
        offset = solid.global_from_solid[:3, 3] - sweep.origin
        if np.linalg.norm(offset) - radius > RANGE_M[1]:
            continue
        columns = _columns(sweep, offset, radius)
        solid_from_global = inverse(solid.global_from_solid)
        some = [d[columns] for d in sweep.direction]
        for part in parts_of(solid):
            _enter(sweep, unit_from_solid(part) @ solid_from_global, part.round, columns, some, len(pairs))
            pairs.append((solid, part))
    return pairs


def _columns(sweep: _Sweep, offset: NDArray[np.float64], radius: float) -> NDArray[np.int64]:
    """Azimuth steps whose rays may meet a ball at `offset`, by the angle seen from above."""
    distance = float(np.linalg.norm(offset[:2]))
    num = sweep.owner.shape[0]
    if distance <= radius:
        return np.arange(num)
    middle = sweep.direction[0][:, NUM_BEAMS // 2], sweep.direction[1][:, NUM_BEAMS // 2]
    cosine = (middle[0] * offset[0] + middle[1] * offset[1]) / (distance * np.hypot(*middle))
    # The beams of one firing lie in a plane that leans with the LiDAR, by a few degrees at most.
    half_angle = np.arcsin(radius / distance) + np.deg2rad(4)
    return np.flatnonzero(cosine > np.cos(min(half_angle, np.pi)))


def _enter(
    sweep: _Sweep,
    unit_from_global: Matrix,
    is_round: bool,
    columns: NDArray[np.int64],
    direction: Sequence[NDArray[np.float32]],
    index: int,
) -> None:
    origin = apply(unit_from_global, sweep.origin[None])[0]
    rows = unit_from_global[:3, :3].astype(np.float32)
    local = [row[0] * direction[0] + row[1] * direction[1] + row[2] * direction[2] for row in rows]
    found = inverse_range(is_round, origin.tolist(), local)
    before = sweep.inverse_range[columns]
    nearer = (found > before) & (found > 0)
    sweep.inverse_range[columns] = np.where(nearer, found, before)
    sweep.owner[columns] = np.where(nearer, index, sweep.owner[columns])


def _intensity(
    surface: Surface, sweep: _Sweep, hit_parts: Sequence[tuple[Solid, Part]], distance_m: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Mean intensity (A, 32) of each echo. Paint is retro-reflective; surfaces seen flat return less."""
    x, y = (sweep.origin[i] + sweep.direction[i] * np.minimum(distance_m, 100) for i in (0, 1))
    texture = surface.texture_at(np.stack([x, y], axis=-1))
    flat = np.clip(-sweep.direction[2] * 4, 0.25, 1)
    ground = (4 + 45 * decode(texture[..., :3]).mean(axis=-1)) * flat + 0.22 * texture[..., 3]
    bright = [
        _REFLECTANCE[solid.semantic] * (0.3 + 2.2 * float(decode(np.array(part.look.colour, np.float32)).mean()))
        for solid, part in hit_parts
    ]
    table = np.array([*bright, 0.0])
    return np.where(sweep.owner >= 0, table[sweep.owner], ground)
