"""A camera's view of the world: picture, exact classes and exact instances from the same rays."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scene.transform import Matrix
from synthetic.contents import CameraTruth, Light, Semantic, Solid
from synthetic.render_ground import shade_ground
from synthetic.render_light import Radiance, Rgb
from synthetic.render_sensor import average_rays, expose
from synthetic.render_shadow import CELL_M as SHADOW_CELL_M
from synthetic.render_shadow import NUM_CELLS, cast_shadows
from synthetic.render_sky import shade_sky
from synthetic.render_solids import semantic_of, shade_solids
from synthetic.render_visibility import RayGrid, Visibility, see
from synthetic.surface import Surface


def render_camera(
    surface: Surface,
    solids: Sequence[Solid],
    light: Light,
    image_from_camera: Matrix,
    camera_from_global: Matrix,
    image_wh: tuple[int, int],
    seed: int,
) -> CameraTruth:
    """Renders one camera frame. The same arguments give the same bytes.

    The class and instance of a pixel are those of what its centre ray meets first. For ground that is the class of the
    cell that the ray hits, worn and shaded as it may look; beyond the raster it is TERRAIN. Solids have the shapes of
    `render_shapes.parts_of`, which lie inside their boxes.

    Args:
        surface: of the town.
        solids: everything that stands in it now, except what carries the camera; culled here.
        light: of the scene.
        image_from_camera: (3, 3).
        camera_from_global: (4, 4), camera x right, y down, z forward, at the moment of exposure.
        image_wh: width and height in px.
        seed: of the exposure and the sensor noise.

    Raises:
        ValueError: if the camera's centre is not above the ground plane z = 0.
    """
    grid = RayGrid.of(image_from_camera, camera_from_global, image_wh)
    seen = see(grid, solids)
    semantic, instance = _truth(surface, grid, seen)
    colour = _shade(surface, solids, Radiance.of(light), grid, seen)
    rng = np.random.default_rng((seed, 0xCA3E4A))
    return CameraTruth(expose(average_rays(colour), light.noise, rng), semantic, instance)


def _truth(surface: Surface, grid: RayGrid, seen: Visibility) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """Class (h, w) and instance (h, w) of the pixels' centre rays; the ground in double precision."""
    owner = seen.owner[1::2, 1::2]
    u, v = np.meshgrid(grid.u[1::2].astype(np.float64), grid.v[1::2].astype(np.float64))
    x, y, w = (row[0] * u + row[1] * v + row[2] for row in grid.ground_from_pixel)
    depth = 1 / np.maximum(w, 1e-9)
    semantic = surface.semantic_at(np.stack([x * depth, y * depth], axis=-1))
    semantic[w <= 0] = Semantic.SKY
    part_semantic, part_instance = semantic_of(seen)
    solid = owner >= 0
    semantic[solid] = part_semantic[owner[solid]]
    instance = np.zeros(owner.shape, np.uint16)
    instance[solid] = part_instance[owner[solid]]
    return semantic, instance


def _shade(surface: Surface, solids: Sequence[Solid], light: Radiance, grid: RayGrid, seen: Visibility) -> Rgb:
    """Linear colour (H, W, 3) of every ray."""
    shadows = cast_shadows(solids, light.sun_direction, _shadow_centre(grid))
    colour = np.zeros((*grid.shape, 3), np.float32)
    rows, ground = shade_ground(surface, shadows, light, grid)
    colour[rows] = ground
    flat, owner = colour.reshape(-1, 3), seen.owner.ravel()
    if len(where := np.flatnonzero(owner >= 0)):
        flat[where] = shade_solids(surface.grain, light, shadows, grid, seen, where)
    distance_m = _ray_lengths(grid) / np.maximum(seen.inverse_depth, np.float32(1e-4))
    light.apply_haze(colour, distance_m)
    sky = np.flatnonzero(seen.inverse_depth.ravel() <= 0)
    flat[sky] = shade_sky(surface, light, _directions(grid, sky) @ grid.directions_from_pixel.T.astype(np.float32))
    return colour


def _ray_lengths(grid: RayGrid) -> NDArray[np.float32]:
    """Length (H, W) of the rays whose camera z is 1."""
    x, y = grid.linear(grid.camera_from_pixel[0]), grid.linear(grid.camera_from_pixel[1])
    lengths: NDArray[np.float32] = np.sqrt(x * x + y * y + 1)
    return lengths


def _directions(grid: RayGrid, where: NDArray[np.int64]) -> NDArray[np.float32]:
    """Homogeneous pixels (N, 3) of flat grid indices."""
    row, column = np.divmod(where, len(grid.u))
    return np.stack([grid.u[column], grid.v[row], np.ones(len(where), np.float32)], axis=-1)


def _shadow_centre(grid: RayGrid) -> NDArray[np.float64]:
    """The middle of the ground that the shadow map shall cover: ahead of the camera, which stays near its border."""
    forward = grid.global_from_camera[:2, 2]
    ahead_m = 0.35 * NUM_CELLS * SHADOW_CELL_M
    centre: NDArray[np.float64] = grid.global_from_camera[:2, 3] + ahead_m * forward / max(
        float(np.linalg.norm(forward)), 1e-6
    )
    return centre
