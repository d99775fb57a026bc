"""Which scenes are labelled: nested subsets, the same ones for everybody who names the same seed."""

import hashlib
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scene.errors import InputError
from scene.frames import FrameIndex


def nested_subset(scene_tokens: Sequence[str], fraction: float, seed: int) -> list[int]:
    """Positions of the first `fraction` of the scenes in the order of hash(seed, token), at least one, sorted.

    A smaller fraction is always inside a larger one, whatever other scenes there are in between. Our choice.
    """
    order = sorted(range(len(scene_tokens)), key=lambda i: _rank(scene_tokens[i], seed))
    return sorted(order[: max(1, math.floor(fraction * len(order) + 0.5))])


def _rank(token: str, seed: int) -> tuple[bytes, str]:
    return hashlib.sha256(f"{seed}:{token}".encode()).digest(), token


def evenly_spaced(frames: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """At most `count` of the frames (N,), the first and the last among them."""
    chosen: NDArray[np.int64] = frames[np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int)]
    return chosen


def frames_of_fraction(index: FrameIndex, split: str, fraction: float, seed: int) -> NDArray[np.int64]:
    """Frames of a nested subset of a split's scenes.

    Raises:
        InputError: if the split has no scenes.
    """
    scenes = index.scenes_of_split(split)
    if len(scenes) == 0:
        raise InputError(f"no scene is in the split {split!r}", where="dataset index", fix="check the splits")
    chosen = scenes[nested_subset([str(index.scene_token[s]) for s in scenes], fraction, seed)]
    return np.flatnonzero(np.isin(index.frame_scene, chosen))
