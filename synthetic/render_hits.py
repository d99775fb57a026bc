"""The points at which rays meet solids, with what their colours depend on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from synthetic.contents import Solid
from synthetic.render_light import Rgb
from synthetic.render_shapes import Part
from synthetic.render_visibility import RayGrid, Visibility
from synthetic.surface_noise import TILE

Field = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class PartTable:
    """Properties of P parts as arrays: see `Part`, `Look` and `Solid`. `height_m` is that of the whole solid."""

    material: NDArray[np.int64]
    round: NDArray[np.bool_]
    centre_m: Field
    half_m: Field
    height_m: Field
    colour: Rgb
    accent: Rgb
    pattern: Field
    texture_seed: NDArray[np.int64]

    @classmethod
    def of(cls, parts: Sequence[tuple[Solid, Part]]) -> Self:
        """The table of parts and their solids."""
        return cls(
            np.array([part.material for _, part in parts], np.int64),
            np.array([part.round for _, part in parts], np.bool_),
            np.array([part.centre_m for _, part in parts], np.float32),
            np.array([part.half_m for _, part in parts], np.float32),
            np.array([solid.size_m[2] for solid, _ in parts], np.float32),
            np.array([part.look.colour for _, part in parts], np.float32),
            np.array([part.look.accent for _, part in parts], np.float32),
            np.array([part.look.pattern for _, part in parts], np.float32),
            np.array([part.look.texture_seed for _, part in parts], np.int64),
        )


@dataclass(frozen=True, eq=False)
class Hits:
    """N points on parts. Coordinates are separate rows, which is twice as fast as (N, 3).

    Attributes:
        table: of all parts in view.
        grain: the surface's tile of noise.
        part: (N,) index into the table.
        on: (3, N) place on the part's unit cube or sphere.
        along_m, up_m: (N,) metres along the wall from the solid's middle, and above the solid's foot.
        face: (N,) 0 or 1 on walls whose normal is the solid's x or y axis, 2 on top and bottom.
        footprint_m: (N,) what one ray covers at this distance.
    """

    table: PartTable
    grain: NDArray[np.uint8]
    part: NDArray[np.intp]
    on: Field
    along_m: Field
    up_m: Field
    face: NDArray[np.int64]
    footprint_m: Field

    def where(self, chosen: NDArray[np.int64]) -> "Hits":
        """The chosen ones."""
        names = ("part", "along_m", "up_m", "face", "footprint_m")
        return replace(self, on=self.on[:, chosen], **{name: getattr(self, name)[chosen] for name in names})

    @property
    def colour(self) -> Rgb:
        """(N, 3) main colour."""
        return self.table.colour[self.part]

    @property
    def accent(self) -> Rgb:
        """(N, 3) second colour."""
        return self.table.accent[self.part]

    @property
    def seed(self) -> NDArray[np.int64]:
        """(N,) of the texture."""
        return self.table.texture_seed[self.part]

    def noise(self, a: Field, b: Field, scale: float) -> Field:
        """The tile's noise (N,), about -1..1, at coordinates times `scale`."""
        i, j = ((c * np.float32(scale)).astype(np.int32) & (TILE - 1) for c in (a, b))
        values: Field = self.grain[i, j].astype(np.float32) * np.float32(1 / 128) - 1
        return values


def find_hits(grid: RayGrid, seen: Visibility, grain: NDArray[np.uint8], where: NDArray[np.int64]) -> Hits:
    """Points that the rays with flat grid indices `where` (N,) hit; each must hit a part."""
    table = PartTable.of(seen.parts)
    part = seen.owner.ravel()[where].astype(np.intp)
    row, column = np.divmod(where, len(grid.u))
    u, v, depth = grid.u[column], grid.v[row], 1 / seen.inverse_depth.ravel()[where]
    unit_from_ray = (seen.unit_from_camera[:, :3, :3] @ grid.camera_from_pixel).astype(np.float32)
    origin = seen.unit_from_camera[:, :3, 3].astype(np.float32)
    on, local = np.empty((3, len(where)), np.float32), np.empty((3, len(where)), np.float32)
    for axis in range(3):
        a, b, c = unit_from_ray[:, axis].T
        on[axis] = (a[part] * u + b[part] * v + c[part]) * depth + origin[part, axis]
        local[axis] = on[axis] * table.half_m[part, axis] + table.centre_m[part, axis]
    x, y, z = np.abs(on)
    face = np.where(z > np.maximum(x, y), 2, np.where(y > x, 1, 0))
    along_m = np.where(face == 0, local[1], local[0])
    spacing = np.float32(np.linalg.norm(grid.camera_from_pixel[:, 0]) / 2)
    return Hits(table, grain, part, on, along_m, local[2] + table.height_m[part] / 2, face, depth * spacing)
