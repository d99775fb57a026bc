"""The ground of a town as an image from above."""

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from synthetic.contents import Ground, Semantic
from synthetic.curves import Points
from synthetic.markings import Markings
from synthetic.network import RoadNetwork

MARGIN_M = 24.0
_SHIFT = 6


def rasterise(network: RoadNetwork, markings: Markings, resolution_m: float, seed: int) -> Ground:
    """Terrain, then sidewalks, roads and paint, later over earlier."""
    bounds = np.array(network.drivable.bounds).reshape(2, 2)
    origin = np.floor(bounds[0] - MARGIN_M)
    shape = np.ceil((np.ceil(bounds[1] + MARGIN_M) - origin) / resolution_m).astype(int)
    semantic = np.full((int(shape[0]), int(shape[1])), Semantic.TERRAIN, np.uint8)
    # Filling the paved whole first leaves no seam of terrain between a sidewalk and its road.
    paved = shapely.union(network.sidewalk, network.drivable)
    for geometry, value in ((paved, Semantic.SIDEWALK), (network.drivable, Semantic.ROAD)):
        _fill(semantic, geometry, value, origin, resolution_m)
    for value, ring in markings.painted:
        _fill(semantic, shapely.Polygon(ring), value, origin, resolution_m)
    return Ground(semantic, (float(origin[0]), float(origin[1])), resolution_m, seed)


def _fill(semantic: NDArray[np.uint8], geometry: BaseGeometry, value: int, origin: Points, resolution_m: float) -> None:
    """Fills polygons in place. OpenCV also fills the cells that an edge touches, so they are shrunk by half a cell."""
    shrunk = geometry.buffer(-0.5 * resolution_m, join_style="mitre")
    for polygon in shapely.get_parts(shrunk if not shrunk.is_empty else geometry):
        rings = [np.array(ring.coords) for ring in (polygon.exterior, *polygon.interiors)]
        # OpenCV takes (column, row) = (y, x) for an array that is indexed [x, y].
        cells = [((ring - origin) / resolution_m - 0.5)[:, ::-1] * 2**_SHIFT for ring in rings]
        cv2.fillPoly(semantic, [np.round(c).astype(np.int32) for c in cells], int(value), shift=_SHIFT)
