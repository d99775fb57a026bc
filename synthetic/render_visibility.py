"""Which part each ray of a camera meets first: a depth buffer of inverse depths, filled part by part."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from scene.camera import ground_from_pixel
from scene.transform import Matrix, inverse
from synthetic.contents import Solid
from synthetic.render_shapes import Part, inverse_range, parts_of, unit_from_solid

NEAR_M = 0.05
MAX_DISTANCE_M = 160.0
"""Solids whose centre is farther away than this are left out."""

# The twelve edges of the cube whose corners `_CORNERS` lists.
_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)
_EDGES = np.array([(a, b) for a in range(8) for b in range(a) if np.abs(_CORNERS[a] - _CORNERS[b]).sum() == 2])


@dataclass(frozen=True, eq=False)
class RayGrid:
    """Rays of one camera, two per pixel along each axis: every second one goes through a pixel's centre.

    The grid has 2 h + 1 rows and 2 w + 1 columns; ray [2 i + 1, 2 j + 1] is the centre ray of pixel (i, j), its
    neighbours lie half a pixel beside it. So exact masks and antialiased colours come from the same rays.

    Attributes:
        u, v: (W,), (H,) float32 pixel coordinates of columns and rows.
        camera_from_pixel: (3, 3) takes (u, v, 1) to the ray whose camera z is 1.
        global_from_camera: (4, 4).
        ground_from_pixel: (3, 3), see `scene.camera.ground_from_pixel`, onto the plane z = 0 of the global frame.
    """

    u: NDArray[np.float32]
    v: NDArray[np.float32]
    camera_from_pixel: Matrix
    global_from_camera: Matrix
    ground_from_pixel: Matrix

    @classmethod
    def of(cls, image_from_camera: Matrix, camera_from_global: Matrix, image_wh: tuple[int, int]) -> Self:
        """The grid of a camera; ValueError if its centre is not above the ground."""
        u, v = (np.arange(2 * extent + 1, dtype=np.float32) / 2 - np.float32(0.5) for extent in image_wh)
        homography = ground_from_pixel(image_from_camera, camera_from_global)
        return cls(u, v, np.linalg.inv(image_from_camera), inverse(camera_from_global), homography)

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return len(self.v), len(self.u)

    @property
    def directions_from_pixel(self) -> Matrix:
        """(3, 3) takes (u, v, 1) to the ray in the global frame, of camera z 1."""
        matrix: Matrix = self.global_from_camera[:3, :3] @ self.camera_from_pixel
        return matrix

    def linear(self, row: NDArray[np.float64]) -> NDArray[np.float32]:
        """(H, W) values of a u + b v + c."""
        a, b, c = row.astype(np.float32)
        field: NDArray[np.float32] = (b * self.v + c)[:, None] + (a * self.u)[None, :]
        return field


@dataclass(frozen=True, eq=False)
class Visibility:
    """What each ray of a grid meets first.

    Attributes:
        inverse_depth: (H, W) float32, 1 / camera z in 1/m; <= 0 in the sky.
        owner: (H, W) int16, index into `parts`, -1 where the ray meets the ground or the sky.
        parts: the parts in view with their solids.
        unit_from_camera: (P, 4, 4) map from the camera frame to each part's unit cube.
    """

    inverse_depth: NDArray[np.float32]
    owner: NDArray[np.int16]
    parts: tuple[tuple[Solid, Part], ...]
    unit_from_camera: Matrix


def see(grid: RayGrid, solids: Sequence[Solid]) -> Visibility:
    """Fills the buffer. The ground is the plane z = 0; the order of `solids` decides only exact ties."""
    inverse_depth = grid.linear(grid.ground_from_pixel[2])
    owner = np.full(grid.shape, -1, np.int16)
    pairs, rects, maps = _parts_in_view(grid, solids)
    for index, ((_, part), (top, bottom, left, right), unit_from_camera) in enumerate(
        zip(pairs, rects, maps, strict=True)
    ):
        u, v = grid.u[left:right], grid.v[top:bottom]
        a, b, c = (unit_from_camera[:3, :3] @ grid.camera_from_pixel).T.astype(np.float32)
        direction = (b[:, None] * v + c[:, None])[:, :, None] + (a[:, None] * u)[:, None, :]
        found = inverse_range(part.round, unit_from_camera[:3, 3].tolist(), direction)
        window = inverse_depth[top:bottom, left:right]
        nearer = (found > window) & (found > 0)
        np.copyto(window, found, where=nearer)
        owner[top:bottom, left:right][nearer] = index
    return Visibility(inverse_depth, owner, pairs, maps)


def _parts_in_view(
    grid: RayGrid, solids: Sequence[Solid]
) -> tuple[tuple[tuple[Solid, Part], ...], NDArray[np.int64], Matrix]:
    """Parts that may show, with their rectangles (P, 4) as grid rows and columns and their maps (P, 4, 4)."""
    camera_from_global = inverse(grid.global_from_camera)
    near = _solids_in_view(grid, solids, camera_from_global)
    pairs = [(solid, part) for solid in near for part in parts_of(solid)]
    if not pairs:
        return (), np.zeros((0, 4), np.int64), np.zeros((0, 4, 4))
    camera_from_solid = camera_from_global @ np.stack([solid.global_from_solid for solid, _ in pairs])
    scale = np.stack([part.half_m for _, part in pairs])
    centre = np.stack([part.centre_m for _, part in pairs])
    corners = _corners(camera_from_solid, centre, scale)
    rects, shown = _rectangles(grid, corners)
    kept = [pairs[i] for i in np.flatnonzero(shown)]
    solid_from_camera = inverse(camera_from_solid[shown])
    units = [unit_from_solid(part) @ matrix for (_, part), matrix in zip(kept, solid_from_camera, strict=True)]
    return tuple(kept), rects[shown], np.array(units).reshape(-1, 4, 4)


def _solids_in_view(grid: RayGrid, solids: Sequence[Solid], camera_from_global: Matrix) -> list[Solid]:
    if not solids:
        return []
    camera_from_solid = camera_from_global @ np.stack([solid.global_from_solid for solid in solids])
    half = np.array([solid.size_m for solid in solids]) / 2
    close = np.linalg.norm(camera_from_solid[:, :3, 3], axis=-1) < MAX_DISTANCE_M
    corners = _corners(camera_from_solid, np.zeros_like(half), half)
    _, shown = _rectangles(grid, corners)
    return [solids[i] for i in np.flatnonzero(shown & close)]


def _corners(camera_from_solid: Matrix, centre_m: Matrix, half_m: Matrix) -> Matrix:
    """Corners (P, 8, 3) in the camera frame."""
    local = centre_m[:, None] + half_m[:, None] * _CORNERS
    corners: Matrix = local @ np.swapaxes(camera_from_solid[:, :3, :3], -1, -2) + camera_from_solid[:, None, :3, 3]
    return corners


def _rectangles(grid: RayGrid, corners: Matrix) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Bounding rectangles (P, 4) as top, bottom, left, right of the grid, and which are not empty.

    A box that crosses the near plane is cut there: its outline then comes from the points where its edges meet it.
    """
    a, b = corners[:, _EDGES[:, 0]], corners[:, _EDGES[:, 1]]
    depth_a, depth_b = a[..., 2], b[..., 2]
    crosses = (depth_a > NEAR_M) != (depth_b > NEAR_M)
    span = np.where(crosses, depth_b - depth_a, 1)
    cuts = a + ((NEAR_M - depth_a) / span)[..., None] * (b - a)
    points = np.concatenate([corners, cuts], axis=1)
    usable = np.concatenate([corners[..., 2] > NEAR_M, crosses], axis=1)
    depth = np.where(usable, points[..., 2], 1)
    image_from_camera = np.linalg.inv(grid.camera_from_pixel)
    pixels = (points @ image_from_camera.T)[..., :2] / depth[..., None]
    limits = np.array(grid.shape[::-1])
    low = np.where(usable[..., None], pixels, np.inf).min(axis=1)
    high = np.where(usable[..., None], pixels, -np.inf).max(axis=1)
    # Grid column i lies at u = i / 2 - 1/2; the extra one on either side forgives rounding.
    first = np.clip(np.floor(2 * low + 1) - 1, 0, limits)
    stop = np.clip(np.ceil(2 * high + 1) + 2, 0, limits)
    shown = np.any(usable, axis=1) & np.all(stop > first, axis=1)
    rects = np.where(shown[:, None], np.stack([first[:, 1], stop[:, 1], first[:, 0], stop[:, 0]], axis=-1), 0)
    return rects.astype(np.int64), shown
