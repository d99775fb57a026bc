"""One sample before it becomes tensors: what a data loader read, as numpy arrays."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy.typing import NDArray

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
class FrameArrays:
    """One keyframe, C cameras.

    Attributes:
        images: RGB at the model's image size.
        image_from_ego: maps ego points (x, y, z, 1) to (u d, v d, d) of `images`, see `models.bev.inputs`.
        valid: False where a camera is missing; its image is black.
        seen: BEV cells in the view of any camera.
        labels: of the current frame, where the objective needs them.
    """

    images: UInt8[Array, "C h w 3"]
    image_from_ego: Float[Array, "C 3 4"]
    valid: Bool[Array, " C"]
    seen: Bool[Array, "X Y"]
    labels: ImageLabels | None = None


@dataclass(frozen=True, eq=False)
class ClipArrays:
    """T past keyframes and the current one.

    Attributes:
        frames: T + 1 keyframes, oldest first. A place before a scene's first frame repeats that first frame.
        ego_from_previous: T transforms (4, 4); [t] maps the ego frame of frames[t] into that of frames[t + 1].
        has_previous: T flags; False where frames[t] stands for a frame that does not exist.
        bev_class: BEV label of the current frame, None where it has none.
    """

    frames: tuple[FrameArrays, ...]
    ego_from_previous: tuple[NDArray[np.float64], ...]
    has_previous: tuple[bool, ...]
    bev_class: UInt8[Array, "X Y"] | None = None

    @property
    def current(self) -> FrameArrays:
        """The newest keyframe."""
        return self.frames[-1]
