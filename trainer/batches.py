"""The batch of every step: a pure function of (seed, step), made ahead of time by threads.

Threads, because all that takes time here (JPEG and Zstandard decoding, resizing, numpy) releases the interpreter lock,
and because nothing then has to be forked, spawned, pickled or read twice: one memory cache serves all.
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.bev.inputs import CameraFrames, Clip
from models.objectives.base import Batch, Objective, Targets
from models.objectives.frames import ClipArrays, FrameArrays
from trainer.augment import mirrored_at_random, recoloured
from trainer.geometric import resized_at_random, rotated_at_random
from trainer.reader import FrameReader
from trainer.settings import AugmentSettings
from trainer.subset import evenly_spaced

STEPS_AHEAD = 3

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Pool:
    """Frames that samples are drawn from.

    Attributes:
        frames: rows of the dataset index.
        per_batch: samples of each batch that come from here.
        labelled: whether their BEV labels are used.
        prepared: whether the objective prepares targets for them.
    """

    frames: NDArray[np.int64]
    per_batch: int
    labelled: bool
    prepared: bool


@dataclass(frozen=True, eq=False)
class BatchMaker:
    """Makes the batch of any step.

    Attributes:
        reader: where frames come from.
        pools: what a batch consists of, in this order.
        objective: prepares targets; None where none takes part.
        augment: random changes.
        seed: of draws and changes.
        rank, world_size: this process makes samples rank, rank + world_size, ... of the batch, so that all processes
            together make the batch that one would.
        drop_history_frame: see `BevFormerConfig`.
    """

    reader: FrameReader
    pools: tuple[Pool, ...]
    objective: Objective | None
    augment: AugmentSettings
    seed: int
    rank: int = 0
    world_size: int = 1
    drop_history_frame: bool = False

    def draws(self, step: int) -> list[tuple[int, Pool]]:
        """(frame, pool) of every sample of a step: each pool is walked through in a new random order every epoch."""
        drawn = []
        for number, pool in enumerate(self.pools):
            for place in range(step * pool.per_batch, (step + 1) * pool.per_batch):
                epoch, position = divmod(place, len(pool.frames))
                order = _order(self.seed, number, epoch, len(pool.frames))
                drawn.append((int(pool.frames[order[position]]), pool))
        return drawn

    def batch(self, step: int) -> Batch:
        """This process's part of the batch of a step."""
        samples = []
        left_out = self._left_out(step)
        for place, (frame, pool) in enumerate(self.draws(step)):
            if place % self.world_size == self.rank:
                random = np.random.default_rng([self.seed, step, place])
                samples.append(self._sample(frame, pool, left_out, random))
        targets = [t for _, t, _ in samples if t]
        # A sample without targets borrows the shapes of one that has them; the loss leaves it out.
        filled = [t or {k: np.zeros_like(v) for k, v in targets[0].items()} if targets else {} for _, t, _ in samples]
        return collate([c for c, _, _ in samples], filled, [f for _, _, f in samples], step)

    def _left_out(self, step: int) -> int | None:
        """Which past keyframe no clip of a step has: the same in every process, so that they can be stacked."""
        num_past = self.reader.history
        if not self.drop_history_frame or num_past < 2:
            return None
        # Four numbers: three are a sample's own stream, and one that is two numbers and zeros.
        return int(np.random.default_rng([self.seed, step, 0, 1]).integers(num_past - 1))

    def _sample(
        self, frame: int, pool: Pool, left_out: int | None, random: np.random.Generator
    ) -> tuple[ClipArrays, Targets, int]:
        clip = self._clip(frame, pool.prepared, pool.labelled, random, left_out)
        clip = mirrored_at_random(clip, list(self.reader.index.camera_names), self.augment, random)
        clip = rotated_at_random(clip, self.reader.grid, self.augment, random)
        clip = resized_at_random(clip, self.reader.grid, self.augment, random)
        seen = recoloured(clip, self.augment, random)
        # Targets are of the colours as recorded: an objective that paints images is not to paint the changes.
        targets = self.objective.prepare(clip, random) if self.objective is not None and pool.prepared else {}
        return seen, targets, frame

    def _clip(
        self, frame: int, prepared: bool, labelled: bool, random: np.random.Generator, left_out: int | None = None
    ) -> ClipArrays:
        views: Sequence[int] = ()
        if self.objective is not None and prepared:
            views = self.objective.choose_views(*self.reader.scene_around(frame), random)
        return self.reader.clip(frame, views=views, with_bev=labelled, left_out=left_out)

    def calibration_samples(self, count: int) -> list[Targets]:
        """Targets of frames evenly spaced over the pools with an objective, not augmented; the same on every call."""
        if self.objective is None:
            return []
        frames = np.concatenate([p.frames for p in self.pools if p.prepared])
        targets = []
        for i, frame in enumerate(evenly_spaced(frames, count)):
            random = np.random.default_rng([self.seed, i])
            targets.append(self.objective.prepare(self._clip(int(frame), True, False, random), random))
        return targets


@lru_cache(maxsize=64)
def _order(seed: int, pool: int, epoch: int, length: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, pool, epoch]).permutation(length)


def prefetched(
    maker: BatchMaker, first_step: int, num_steps: int, num_readers: int = STEPS_AHEAD, *, pinned: bool = False
) -> Generator[Batch, None, None]:
    """The batches of steps `first_step` to `num_steps` - 1, made ahead of time by `num_readers` threads.

    Where they are `pinned`, for a GPU, the step need not wait until they are copied to it.
    """

    def make(step: int) -> Batch:
        batch = maker.batch(step)
        return batch.map(Tensor.pin_memory) if pinned else batch

    return ahead(make, range(first_step, num_steps), num_readers)


def ahead(make: Callable[[int], T], numbers: Iterable[int], num_threads: int = STEPS_AHEAD) -> Generator[T, None, None]:
    """`make(n)` for every number in order, computed by threads ahead of where it is needed: as far ahead as there are
    threads asked for, by as many of them as there are cores.

    An error is raised where its value is due.
    """
    pool = ThreadPoolExecutor(max_workers=min(num_threads, os.cpu_count() or 1), thread_name_prefix="ahead")
    waiting: deque[Future[T]] = deque()
    try:
        for number in numbers:
            waiting.append(pool.submit(make, number))
            if len(waiting) > num_threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def collate(clips: Sequence[ClipArrays], targets: Sequence[Targets], frames: Sequence[int], step: int = 0) -> Batch:
    """Stacks samples into the tensors of a step."""
    unlabelled = np.zeros_like(clips[0].current.seen, dtype=np.uint8)
    bev = [unlabelled if clip.bev_class is None else clip.bev_class for clip in clips]
    return Batch(
        clip=collate_clip(clips),
        targets={name: _stack([t[name] for t in targets]) for name in targets[0]},
        bev_class=_stack(bev),
        labelled=torch.tensor([clip.bev_class is not None for clip in clips]),
        frame=torch.tensor(list(frames)),
        step=step,
    )


def collate_clip(clips: Sequence[ClipArrays]) -> Clip:
    """Clips of equal length as one batch."""
    times = range(len(clips[0].frames))
    return Clip(
        frames=tuple(collate_frames([clip.frames[t] for clip in clips]) for t in times),
        ego_from_previous=tuple(_stack([c.ego_from_previous[t] for c in clips]).float() for t in times[:-1]),
        has_previous=tuple(torch.tensor([c.has_previous[t] for c in clips]) for t in times[:-1]),
    )


def collate_frames(frames: Sequence[FrameArrays]) -> CameraFrames:
    """Keyframes of equally many cameras as one batch."""
    return CameraFrames(
        images=_stack([frame.images for frame in frames]).permute(0, 1, 4, 2, 3),
        image_from_ego=_stack([frame.image_from_ego for frame in frames]).float(),
        valid=_stack([frame.valid for frame in frames]),
    )


def _stack(arrays: Sequence[NDArray[np.generic]]) -> Tensor:
    return torch.from_numpy(np.stack(arrays))
