"""Areas of a town to masks on the BEV grid: exactly the cells whose centre is inside."""

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon, STRtree
from shapely.geometry.base import BaseGeometry

from scene.grid import BevGrid
from scene.transform import Matrix

_MAX_VERTICES = 128
_MIN_EXTENT_M = 20.0


class AreaRaster:
    """One layer of a town, ready to be rasterised at any pose.

    The area is cut into small pieces once, so that a frame touches what lies around it and not the whole town. Cuts
    leave no trace: a cell's centre lies in one piece or the other.
    """

    def __init__(self, area: BaseGeometry) -> None:
        pieces = [piece for part in polygons_of(area) for piece in cut(part)]
        self._tree = STRtree(pieces)
        self._edges = [_edges(piece) for piece in pieces]

    def mask(self, grid: BevGrid, ego_from_global_xy: Matrix) -> NDArray[np.bool_]:
        """The cells (X, Y) whose centres the area covers.

        Args:
            grid: the cells, in the ego frame.
            ego_from_global_xy: planar rigid transform (3, 3).
        """
        (x0, x1), (y0, y1) = grid.x_range_m, grid.y_range_m
        corners = np.array([(x0, y0, 1.0), (x1, y0, 1.0), (x1, y1, 1.0), (x0, y1, 1.0)])
        patch = Polygon((corners @ np.linalg.inv(ego_from_global_xy).T)[:, :2])
        near = self._tree.query(patch, predicate="intersects")
        if not len(near):
            return np.zeros(grid.shape, np.bool_)
        edges = np.concatenate([self._edges[i] for i in near])
        ego = edges @ ego_from_global_xy[:2, :2].T + ego_from_global_xy[:2, 2]
        return fill(grid.cell_from_ego(ego), grid.shape)


def fill(edges: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The even-odd interior of closed rings, at whole-number points.

    Each row i is a scan line: an edge that crosses it at j flips the state of all cells from j on. OpenCV's polygon
    filling would also paint every cell that the outline touches, half a cell too much on each side.

    Args:
        edges: (N, 2, 2) start and end of each edge as (i, j); together closed rings that do not overlap.
        shape: number of rows and columns.
    """
    edges = edges[edges[:, 0, 0] != edges[:, 1, 0]]
    rises = (edges[:, 0, 0] < edges[:, 1, 0])[:, None]
    lower, upper = np.where(rises, edges[:, 0], edges[:, 1]), np.where(rises, edges[:, 1], edges[:, 0])
    first, last = (np.clip(np.ceil(end[:, 0]), 0, shape[0]).astype(np.int64) for end in (lower, upper))
    num_rows = last - first
    edge = np.repeat(np.arange(len(edges)), num_rows)
    row = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(num_rows) - num_rows, num_rows)
    slope = (upper[:, 1] - lower[:, 1]) / (upper[:, 0] - lower[:, 0])
    crossing = lower[edge, 1] + (row - lower[edge, 0]) * slope[edge]
    column = np.clip(np.ceil(crossing), 0, shape[1]).astype(np.int64)
    width = shape[1] + 1
    flips = np.bincount(row * width + column, minlength=shape[0] * width).reshape(shape[0], width)
    inside: NDArray[np.bool_] = np.cumsum(flips[:, :-1], axis=1) % 2 == 1
    return inside


def polygons_of(area: BaseGeometry) -> list[Polygon]:
    """The polygons of a geometry; lines and points, which repairs and unions may leave, have no area."""
    parts = shapely.get_parts(shapely.get_parts(area))  # twice: a collection may hold a multi-polygon
    return [part for part in parts if isinstance(part, Polygon)]


def cut(polygon: Polygon) -> list[Polygon]:
    """A polygon in pieces of few vertices, by halving its bounding box."""
    x0, y0, x1, y1 = polygon.bounds
    if shapely.get_num_coordinates(polygon) <= _MAX_VERTICES or max(x1 - x0, y1 - y0) < _MIN_EXTENT_M:
        return [polygon]
    if x1 - x0 > y1 - y0:
        middle = (x0 + x1) / 2
        halves = shapely.box(x0, y0, middle, y1), shapely.box(middle, y0, x1, y1)
    else:
        middle = (y0 + y1) / 2
        halves = shapely.box(x0, y0, x1, middle), shapely.box(x0, middle, x1, y1)
    parts = [part for half in halves for part in polygons_of(shapely.intersection(polygon, half))]
    return [piece for part in parts for piece in cut(part)]


def _edges(polygon: Polygon) -> NDArray[np.float64]:
    """Edges (N, 2, 2) of all rings of a polygon."""
    rings = [np.asarray(ring.coords)[:, :2] for ring in (polygon.exterior, *polygon.interiors)]
    return np.concatenate([np.stack([ring[:-1], ring[1:]], axis=1) for ring in rings])
