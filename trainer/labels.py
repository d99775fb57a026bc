"""Random access to what is said about the frames of a data set: teacher labels, ground points, BEV labels."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cache.reading import GroupReader
from models.objectives.frames import ImageLabels
from models.objectives.points import GroundPoints, in_metres
from models.teachers.confidence import CONFIDENCE_STEPS, CONFIDENCE_STRIDE
from scene.errors import InputError
from scene.frames import FrameIndex
from scene.grid import BevGrid
from scene.labels import IGNORE, NEVER_RASTERISED, NEVER_WRITTEN, LabelSchema
from trainer.memory import ByteCache

CACHE_BYTES = 1 << 29
"""How much of what was read stays in memory, our choice: the whole of a small data set."""


@dataclass(frozen=True)
class Sources:
    """Folders of the artifacts that samples are read from, and of the data set; None where not needed.

    Attributes:
        by_role: all that a stage was given, among it artifacts that only an objective knows.
    """

    index: Path
    geometry: Path
    data_root: Path
    teacher_labels: Path | None = None
    ground_points: Path | None = None
    bev_labels: Path | None = None
    by_role: Mapping[str, Path] = field(default_factory=dict)

    @classmethod
    def of(cls, inputs: Mapping[str, Path], data_root: Path) -> "Sources":
        """From a stage's inputs by role."""
        known = {f.name: inputs[f.name] for f in fields(cls) if f.name in inputs}
        return cls(data_root=data_root, by_role=inputs, **known)


class LabelReader:
    """Reads what is said about keyframes. Safe to use from several threads.

    Args:
        sources: where to read.
        index: of the data set.
        grid, schema: of the BEV labels.
        cache_bytes: how much of what was read is remembered.

    Raises:
        InputError: if the BEV labels are not of this grid, or the teacher labels not of the geometry's size.
    """

    def __init__(
        self,
        sources: Sources,
        index: FrameIndex,
        grid: BevGrid,
        schema: LabelSchema,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self._sources, self._index, self._grid, self._schema = sources, index, grid, schema
        self._cache = ByteCache(cache_bytes)
        self._groups: dict[str, GroupReader] = {}
        self._opening = Lock()
        geometry = GroupReader(sources.geometry / "geometry.zarr")
        self._ground_from_pixel = geometry["ground_from_pixel"].read(slice(None))
        self._labels = GroupReader(sources.teacher_labels / "labels.zarr") if sources.teacher_labels else None
        if self._labels is not None and list(self._labels["class_id"].shape[2:]) != geometry.attributes["label_hw_px"]:
            raise InputError(
                f"teacher labels have {self._labels['class_id'].shape[2:]} px, geometry is for labels of "
                f"{tuple(geometry.attributes['label_hw_px'])}",
                where=str(sources.teacher_labels),
                fix="set label_hw_px once, for the whole experiment",
            )
        self._points = GroupReader(sources.ground_points / "points.zarr") if sources.ground_points else None
        self._layers = GroupReader(sources.bev_labels / "bev.zarr")["layers"] if sources.bev_labels else None
        if self._layers is not None and self._layers.shape[1:] != grid.shape:
            raise another_grid("BEV labels are", grid, sources.bev_labels)

    def image_labels(self, row: int) -> ImageLabels:
        """Teacher labels of a keyframe; confidence is stored at a quarter of the resolution."""
        class_id, coarse = self._cache.get(("labels", row), lambda: self._read_labels(row))
        height, width = class_id.shape[1:]
        confidence = coarse.repeat(CONFIDENCE_STRIDE, axis=1).repeat(CONFIDENCE_STRIDE, axis=2)[:, :height, :width]
        return ImageLabels(class_id, confidence.astype(np.float32) / CONFIDENCE_STEPS, self._ground_from_pixel[row])

    def ground_points(self, row: int) -> GroundPoints:
        """What the teacher's labels of a keyframe say of the ground, as points."""
        points: GroundPoints = self._cache.get(("points", row), lambda: self._read_points(row))
        return points

    def bev_class(self, row: int) -> NDArray[np.uint8]:
        """The BEV label (X, Y) of a keyframe."""
        bev_class: NDArray[np.uint8] = self._cache.get(("bev", row), lambda: self._read_bev(row))
        return bev_class

    def arrays(self, row: int, role: str) -> dict[str, NDArray[Any]]:
        """A keyframe's row of every array of an artifact: of its one Zarr group, whose arrays all begin with keyframes.

        Raises:
            InputError: if the artifact has no such group, or an array has no such row.
        """
        group = self._group(role)
        rows = self._cache.get(("arrays", role, row), lambda: tuple(array.read(row) for array in group.values()))
        return dict(zip(group, rows, strict=True))

    def _group(self, role: str) -> GroupReader:
        with self._opening:
            if role not in self._groups:
                where = self._sources.by_role.get(role)
                if where is None:
                    raise ValueError(f"the reader was made without {role}: name it in the objective's `needs`")
                found = sorted(where.glob("*.zarr"))
                if len(found) != 1:
                    raise InputError(f"{len(found)} Zarr groups and not one", where=str(where))
                self._groups[role] = GroupReader(found[0])
            return self._groups[role]

    def _read_labels(self, row: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        if self._labels is None:
            raise ValueError("the reader was made without teacher labels")
        class_id, confidence = (self._labels[name].read(row) for name in ("class_id", "confidence"))
        valid = self._index.camera_valid[row]
        if (class_id[valid] == NEVER_WRITTEN).any():
            raise InputError(
                f"teacher labels of frame {row} were never written", where=str(self._sources.teacher_labels)
            )
        class_id[~valid] = IGNORE
        return class_id, np.minimum(confidence, CONFIDENCE_STEPS)

    def _read_points(self, row: int) -> GroundPoints:
        if self._points is None:
            raise ValueError("the reader was made without ground points")
        points, class_id, weight = (self._points[name].read(row) for name in ("points", "class_id", "weight"))
        if np.isnan(weight):
            raise InputError(
                f"there are no ground points of frame {row}",
                where=str(self._sources.ground_points),
                fix="give `ground_points` the split that is trained on",
            )
        return GroundPoints(in_metres(points, self._grid), class_id, float(weight))

    def _read_bev(self, row: int) -> NDArray[np.uint8]:
        if self._layers is None:
            raise ValueError("the reader was made without BEV labels")
        layers = self._layers.read(row)
        if (layers == NEVER_RASTERISED).any():
            raise InputError(f"the BEV label of frame {row} was never written", where=str(self._sources.bev_labels))
        return self._schema.classes_from_layers(layers)


def another_grid(what: str, grid: BevGrid, where: Path | None) -> InputError:
    """The error for artifacts that were made for another grid than `grid`."""
    num_x, num_y = grid.shape
    return InputError(
        f"{what} not of the grid of {num_x} x {num_y} cells", where=str(where), fix="give the stages one grid"
    )
