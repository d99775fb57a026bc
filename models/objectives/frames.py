"""One sample before it becomes tensors: what a data loader read, as numpy arrays."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy.typing import NDArray

from models.objectives.points import GroundPoints

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class ImageLabels:
    """Teacher labels of C cameras at the label size.

    Attributes:
        class_id: class ids of the schema, STRUCTURE or IGNORE; all IGNORE where a camera is missing.
        confidence: the teacher's probability of that class.
        ground_from_pixel: homographies of the label pixels, see `scene.camera.ground_from_pixel`.
    """

    class_id: UInt8[Array, "C H W"]
    confidence: Float[Array, "C H W"]
    ground_from_pixel: Float[Array, "C 3 3"]


@dataclass(frozen=True, eq=False)
class LabelView:
    """What is known of one keyframe, for a sample whose place it shows: the sample's own or a neighbour.

    Attributes:
        frame: its row in the dataset index.
        read: gives the label images, where the objective needs `teacher_labels`.
        points: gives the points of its ground, where the objective needs `ground_points`.
        arrays: gives its row of every array of an artifact that the objective needs, by role and array. Like all that
            a view gives, they are as recorded, also where the sample is mirrored, rotated or resized.
        ego_from_view: maps (x, y, z, 1) of that keyframe's ego frame to the sample's, changed as that is.
    """

    frame: int
    read: Callable[[], ImageLabels]
    points: Callable[[], GroundPoints]
    arrays: Callable[[str], Mapping[str, Array]]
    ego_from_view: Float[Array, "4 4"]

    @property
    def ground_from_view(self) -> Float[Array, "3 3"]:
        """Maps (x, y, 1) on the ground likewise: there, ego frames differ by a motion in the plane."""
        planar: Float[Array, "3 3"] = self.ego_from_view[np.ix_([0, 1, 3], [0, 1, 3])]
        return planar


@dataclass(frozen=True, eq=False)
class FrameArrays:
    """One keyframe, C cameras.

    Attributes:
        images: RGB at the model's image size.
        image_from_ego: maps ego points (x, y, z, 1) to (u d, v d, d) of `images`, see `models.bev.inputs`.
        valid: False where a camera is missing; its image is black.
        seen: BEV cells in the view of any camera.
    """

    images: UInt8[Array, "C h w 3"]
    image_from_ego: Float[Array, "C 3 4"]
    valid: Bool[Array, " C"]
    seen: Bool[Array, "X Y"]


@dataclass(frozen=True, eq=False)
class ClipArrays:
    """T past keyframes and the current one.

    Attributes:
        frames: T + 1 keyframes, oldest first. A place before a scene's first frame repeats that first frame.
        ego_from_previous: T transforms (4, 4); [t] maps the ego frame of frames[t] into that of frames[t + 1].
        has_previous: T flags; False where frames[t] stands for a frame that does not exist.
        bev_class: BEV label of the current frame, IGNORE where a cell has none; None where the frame has none.
        views: the keyframes that show the current frame's place, its own first; empty where nobody asked.
    """

    frames: tuple[FrameArrays, ...]
    ego_from_previous: tuple[NDArray[np.float64], ...]
    has_previous: tuple[bool, ...]
    bev_class: UInt8[Array, "X Y"] | None = None
    views: tuple[LabelView, ...] = ()

    @property
    def current(self) -> FrameArrays:
        """The newest keyframe."""
        return self.frames[-1]
