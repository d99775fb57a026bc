"""Label classes: what a BEV cell can be, and how a teacher's classes and the map's layers become it."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from scene.settings import Settings

STRUCTURE = 253
"""A pixel of something static that is not ground (building, sky, pole): its ray meets the ground far behind it."""
IGNORE = 254
"""A pixel that supervises nothing: movable things, their dilated surroundings, the ego vehicle."""
NEVER_WRITTEN = 255
"""The fill value of label stores: reading one means that a chunk is missing."""
NEVER_RASTERISED = 0xFFFF
"""The fill value of stores of map layers, likewise."""


class MapLayer(IntEnum):
    """Bits of the BEV label mask, one per layer of the extended schema (docs/methods.md, section 4, and more)."""

    DRIVABLE_AREA = 0
    ROAD_DIVIDER = 1
    LANE_DIVIDER = 2
    CROSSING_FILLED = 3
    CROSSING_OUTLINE = 4
    BOUNDARY = 5
    STOP_LINE = 6
    DIVIDER_SOLID = 7
    DIVIDER_DASHED = 8


class BevClass(Settings):
    """One class of the BEV prediction.

    Attributes:
        name: the class's name, also the target name in a `TeacherMap`.
        layers: map layers (lower-case names of `MapLayer`) whose union is this class; empty for the background.
        scored: whether the class counts in mIoU.
        edge_of: classes on whose border with other *ground* classes this class lies; the pseudo-label of such a
            class is computed from the image (where road meets non-road), never read off the teacher.
        colour: display colour, RGB 0-255.
    """

    name: str
    layers: tuple[str, ...] = ()
    scored: bool = False
    edge_of: tuple[str, ...] = ()
    colour: tuple[int, int, int] = (128, 128, 128)

    @model_validator(mode="after")
    def _known_layers(self) -> "BevClass":
        known = {layer.name.lower() for layer in MapLayer}
        if unknown := sorted(set(self.layers) - known):
            raise ValueError(f"unknown map layers {unknown}; known: {sorted(known)}")
        return self


class LabelSchema(Settings):
    """The ordered classes of a BEV task. Id = position; where layers overlap, the later class wins."""

    name: str
    classes: tuple[BevClass, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _distinct(self) -> "LabelSchema":
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"class names repeat: {self.names}")
        if unknown := [e for c in self.classes for e in c.edge_of if e not in self.names]:
            raise ValueError(f"edge_of names no class of the schema: {unknown}")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Class names by id."""
        return tuple(c.name for c in self.classes)

    @property
    def scored_ids(self) -> tuple[int, ...]:
        """Ids of the classes that count in mIoU."""
        return tuple(i for i, c in enumerate(self.classes) if c.scored)

    def colours(self) -> NDArray[np.uint8]:
        """Display colours (256, 3): classes by id, the special ids in greys."""
        table = np.zeros((256, 3), np.uint8)
        for i, c in enumerate(self.classes):
            table[i] = c.colour
        table[STRUCTURE], table[IGNORE] = (60, 60, 60), (110, 110, 110)
        return table

    def classes_from_layers(self, layers: NDArray[np.uint16]) -> NDArray[np.uint8]:
        """Class ids (..., X, Y) of BEV label masks (..., X, Y), bit i set where layer i covers the cell."""
        result = np.zeros(layers.shape, np.uint8)
        for i, c in enumerate(self.classes):
            bits = sum(1 << MapLayer[layer.upper()] for layer in c.layers)
            result[(layers & np.uint16(bits)) != 0] = i
        return result


class TeacherMap(Settings):
    """Which of a teacher's class ids become which class of ours.

    Attributes:
        teacher: the teacher's class set, for messages.
        num_classes: how many classes the teacher must have.
        ids: teacher ids by target: a class name of the schema, "ignore" (movable things) or "structure".
            Ids that are not listed are structure.
        dilate_px: by how many pixels of the label image ignored regions grow (docs/methods.md section 3, item 5).
    """

    teacher: str
    num_classes: int
    ids: dict[str, tuple[int, ...]]
    dilate_px: int = 2

    def lookup(self, schema: LabelSchema) -> NDArray[np.uint8]:
        """Our id (num_classes,) for each teacher id.

        Raises:
            ValueError: if a target is no class of the schema, or an id is out of range or listed twice.
        """
        table = np.full(self.num_classes, STRUCTURE, np.uint8)
        seen: set[int] = set()
        for target, ids in self.ids.items():
            special = {"ignore": IGNORE, "structure": STRUCTURE}
            if target not in special and target not in schema.names:
                raise ValueError(f"{target!r} is no class of the schema {schema.name!r}: {list(schema.names)}")
            value = special[target] if target in special else schema.names.index(target)
            for i in ids:
                if not 0 <= i < self.num_classes or i in seen:
                    raise ValueError(f"teacher id {i} is out of range or listed twice in the map for {self.teacher!r}")
                seen.add(i)
                table[i] = value
        return table
