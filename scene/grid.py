"""The bird's-eye-view grid of the ego frame."""

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from scene.settings import Settings


class BevGrid(Settings):
    """A regular grid over the ego frame (x forward, y left, metres).

    Every BEV array is indexed [x, y], both increasing: shape (num_x, num_y), cell (i, j) has its centre at
    x_min + (i + 0.5) resolution, y_min + (j + 0.5) resolution. To show it with forward up and left on the left,
    flip both axes. The default is 60 x 30 m at 0.15 m (HDMapNet and its successors).
    """

    x_range_m: tuple[float, float] = (-30.0, 30.0)
    y_range_m: tuple[float, float] = (-15.0, 15.0)
    resolution_m: float = 0.15

    @model_validator(mode="after")
    def _whole_cells(self) -> "BevGrid":
        for low, high in (self.x_range_m, self.y_range_m):
            cells = (high - low) / self.resolution_m
            if self.resolution_m <= 0 or cells < 1 or abs(cells - round(cells)) > 1e-6:
                raise ValueError(f"the range {low} to {high} m is no whole number of {self.resolution_m} m cells")
        return self

    @property
    def shape(self) -> tuple[int, int]:
        """(num_x, num_y)."""
        (x0, x1), (y0, y1) = self.x_range_m, self.y_range_m
        return round((x1 - x0) / self.resolution_m), round((y1 - y0) / self.resolution_m)

    def centres(self) -> NDArray[np.float64]:
        """Cell centres (num_x, num_y, 2) as (x, y) in metres."""
        num_x, num_y = self.shape
        x = self.x_range_m[0] + (np.arange(num_x) + 0.5) * self.resolution_m
        y = self.y_range_m[0] + (np.arange(num_y) + 0.5) * self.resolution_m
        return np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1)

    def cell_from_ego(self, points_m: NDArray[np.float64]) -> NDArray[np.float64]:
        """Continuous cell coordinates (..., 2) of ego points (..., 2): the centre of cell (i, j) maps to (i, j)."""
        origin = np.array([self.x_range_m[0], self.y_range_m[0]])
        cells: NDArray[np.float64] = (points_m - origin) / self.resolution_m - 0.5
        return cells

    def cells_of(self, points_m: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The cells (..., 2) that ego points (..., 2) lie in, and whether (...) there is one: (0, 0) where not."""
        cells = np.floor(self.cell_from_ego(points_m) + 0.5)
        inside = ((cells >= 0) & (cells < self.shape)).all(axis=-1)
        return np.where(inside[..., None], cells, 0).astype(np.int64), inside

    def distance_m(self) -> NDArray[np.float64]:
        """Distance (num_x, num_y) of each cell's centre from the ego origin in metres."""
        distance: NDArray[np.float64] = np.linalg.norm(self.centres(), axis=-1)
        return distance

    def coarser(self, factor: int) -> "BevGrid":
        """The same area with cells `factor` times as large.

        Raises:
            ValueError: if the grid's shape is no multiple of `factor`.
        """
        return BevGrid(x_range_m=self.x_range_m, y_range_m=self.y_range_m, resolution_m=self.resolution_m * factor)
