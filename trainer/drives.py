"""A model's predictions along whole drives: each keyframe's BEV features are handed on to the next, as on a car.

Training sees clips of a few keyframes; BEVFormer's own evaluation too goes through a scene from its start to its end.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.objectives.frames import FrameArrays
from trainer.batches import ahead, collate_frames
from trainer.reader import FrameReader
from trainer.segmenter import BevSegmenter


def lanes(rows: NDArray[np.int64], scenes: NDArray[np.int32], count: int) -> list[list[int]]:
    """Deals whole scenes to at most `count` lanes that are walked side by side; the longest lane comes first.

    Args:
        rows: of the dataset index (N,), scene after scene, each in the order of time.
        scenes: whose scene each row is (N,).
        count: lanes.
    """
    parts = np.split(rows, np.flatnonzero(np.diff(scenes)) + 1)
    dealt: list[list[int]] = [[] for _ in range(min(count, len(parts)))]
    for part in parts:
        min(dealt, key=len).extend(part.tolist())
    return sorted(dealt, key=len, reverse=True)


@torch.inference_mode()
def predict_drives(
    network: BevSegmenter, reader: FrameReader, rows: NDArray[np.int64], batch_size: int, device: torch.device
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Rows of the index with their class ids (X, Y) by arg-max, `batch_size` scenes at a time.

    Raises:
        InputError: if an image cannot be read.
    """
    walked = lanes(rows, reader.index.frame_scene[rows], batch_size)
    features: Tensor | None = None
    before = [-1] * len(walked)
    for now, frames in _moments(reader, walked):
        motions, has_previous = zip(*map(reader.motion_since_previous, now), strict=True)
        walked_on = reader.index.previous[now] == before[: len(now)]
        known = np.array(has_previous) & walked_on
        logits, features = network.advance(
            collate_frames(frames).map(lambda tensor: tensor.to(device)),
            torch.from_numpy(np.stack(motions)).float().to(device),
            torch.from_numpy(known).to(device),
            None if features is None else features[: len(now)],
        )
        before = now
        class_ids = logits.argmax(dim=1).to(torch.uint8).cpu().numpy()
        yield from zip(now, class_ids, strict=True)


def _moments(reader: FrameReader, walked: Sequence[Sequence[int]]) -> Iterator[tuple[list[int], list[FrameArrays]]]:
    """At each moment the rows of all lanes that go on, and their keyframes; `walked` has the longest lane first."""

    def read(moment: int) -> tuple[list[int], list[FrameArrays]]:
        now = [lane[moment] for lane in walked if moment < len(lane)]
        return now, [reader.frame(row) for row in now]

    return ahead(read, range(len(walked[0])))
