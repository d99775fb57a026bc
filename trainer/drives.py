"""A model's predictions along whole drives: each keyframe's BEV features are handed on to the next, as on a car.

Training sees clips of a few keyframes; BEVFormer's own evaluation too goes through a scene from its start to its end.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.bev.former import BevFormer
from models.objectives.frames import FrameArrays
from trainer.batches import ahead, collate_frames
from trainer.learner import Learner
from trainer.reader import FrameReader


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
    network: Learner, reader: FrameReader, rows: NDArray[np.int64], batch_size: int, device: torch.device
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Rows of the index with their class ids (X, Y) by arg-max, `batch_size` scenes at a time.

    A model without history (`BevFormerConfig.history` 0) sees each keyframe alone.

    Raises:
        InputError: if an image cannot be read.
    """
    trunk, decoder = network.trunk, network.heads["decoder"]
    assert isinstance(trunk, BevFormer)
    walked = lanes(rows, reader.index.frame_scene[rows], batch_size)
    features: Tensor | None = None
    for now, before, frames in _moments(reader, walked):
        motions, known = [], []
        for row, row_before in zip(now, before, strict=True):
            motion, has_previous = reader.motion_since_previous(row)
            motions.append(motion)
            known.append(has_previous and reader.index.previous[row] == row_before and trunk.config.history > 0)
        features = trunk.advance(
            collate_frames(frames).to(device),
            torch.from_numpy(np.stack(motions)).float().to(device),
            torch.tensor(known, device=device),
            None if features is None else features[: len(now)],
        )
        for row, class_id in zip(now, decoder(features).argmax(dim=1).to(torch.uint8).cpu().numpy(), strict=True):
            yield row, class_id


def _moments(
    reader: FrameReader, walked: Sequence[Sequence[int]]
) -> Iterator[tuple[list[int], list[int], list[FrameArrays]]]:
    """At each moment the rows of all lanes that go on, the rows before them (-1: none), and their keyframes."""

    def read(moment: int) -> tuple[list[int], list[int], list[FrameArrays]]:
        going = [lane for lane in walked if moment < len(lane)]
        now = [lane[moment] for lane in going]
        return now, [lane[moment - 1] if moment else -1 for lane in going], [reader.frame(row) for row in now]

    return ahead(read, range(len(walked[0]) if walked else 0))
