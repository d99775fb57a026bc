from dataclasses import replace

import numpy as np
import pytest
import torch

from models.objectives.reprojection.config import ReprojectionConfig
from models.objectives.reprojection.objective import ReprojectionObjective
from scene.labels import IGNORE
from tests.flat_world import GRID, IMAGE_HW_PX, SCHEMA
from trainer.batches import BatchMaker, Pool, ahead
from trainer.reader import FrameReader
from trainer.settings import AugmentSettings

FRAMES = np.arange(9)
LABELLED, UNLABELLED = Pool(FRAMES[:3], 2, True, False), Pool(FRAMES, 2, False, True)


def maker(reader, seed=0, rank=0, world_size=1, pools=(LABELLED, UNLABELLED)):
    objective = ReprojectionObjective(ReprojectionConfig(points_per_frame=100), SCHEMA, GRID)
    return BatchMaker(reader, pools, objective, AugmentSettings(), seed, rank, world_size)


def assert_same(a, b):
    for x, y in zip(a.clip.frames, b.clip.frames, strict=True):
        assert torch.equal(x.images, y.images)
    assert torch.equal(a.frame, b.frame)
    assert torch.equal(a.bev_class, b.bev_class)
    assert all(torch.equal(a.targets[name], b.targets[name]) for name in a.targets)


def test_batch_is_a_function_of_seed_and_step(reader):
    assert_same(maker(reader).batch(7), maker(reader).batch(7))
    frames = {tuple(maker(reader, seed=seed).batch(7).frame.tolist()) for seed in range(5)}
    assert len(frames) > 1


def test_every_epoch_visits_every_frame_once(reader):
    visited = [f for step in range(9) for f, pool in maker(reader).draws(step) if pool is UNLABELLED]
    assert sorted(visited[:9]) == sorted(visited[9:]) == list(FRAMES)
    assert visited[:9] != visited[9:]


def test_pools_keep_their_share_and_their_role(reader):
    batch = maker(reader).batch(0)
    assert batch.labelled.tolist() == [True, True, False, False]
    assert set(batch.frame[:2].tolist()) <= set(FRAMES[:3])
    assert (batch.targets["weight"][:2] == 0).all()
    assert (batch.targets["weight"][2:] == 1).all()
    assert (batch.bev_class[2:] == 0).all()
    assert batch.bev_class[:2].any()


def test_targets_are_of_the_colours_as_recorded(reader):
    class Painting(ReprojectionObjective):
        def prepare(self, clip, random):
            return {**super().prepare(clip, random), "images": clip.current.images}

    batches = []
    for photometric in (0.0, 1.0):
        objective = Painting(ReprojectionConfig(points_per_frame=100), SCHEMA, GRID)
        augment = AugmentSettings(flip=False, photometric=photometric)
        batches.append(BatchMaker(reader, (UNLABELLED,), objective, augment, 0).batch(4))
    assert not torch.equal(batches[0].clip.frames[-1].images, batches[1].clip.frames[-1].images)
    assert torch.equal(batches[0].targets["images"], batches[1].targets["images"])
    assert [batch.step for batch in batches] == [4, 4]


def test_processes_together_make_the_batch_of_one(reader):
    whole = maker(reader).batch(3)
    parts = [maker(reader, rank=rank, world_size=2).batch(3) for rank in (0, 1)]
    for rank, part in enumerate(parts):
        assert torch.equal(part.frame, whole.frame[rank::2])
        assert torch.equal(part.clip.current.images, whole.clip.current.images[rank::2])
        assert torch.equal(part.labelled, whole.labelled[rank::2])
        assert torch.equal(
            part.targets["points_m"][part.labelled.logical_not()],
            whole.targets["points_m"][rank::2][part.labelled.logical_not()],
        )


def test_every_clip_of_a_step_lacks_the_same_older_keyframe_and_never_the_newest_one(sources):
    reader = FrameReader(sources, IMAGE_HW_PX, GRID, SCHEMA, history=3)
    dropping = [replace(maker(reader), drop_history_frame=True, rank=rank, world_size=2) for rank in (0, 1)]
    left_out = [{process._left_out(step) for process in dropping} for step in range(20)]
    assert all(len(alike) == 1 for alike in left_out)
    assert set.union(*left_out) == {0, 1}
    for step in range(3):
        batch, whole = dropping[0].batch(step), replace(dropping[0], drop_history_frame=False).batch(step)
        assert (len(batch.clip.frames), len(whole.clip.frames)) == (3, 4)
        for a, b in zip(batch.clip.frames[-2:], whole.clip.frames[-2:], strict=True):
            assert torch.equal(a.images, b.images)
    assert maker(FrameReader(sources, IMAGE_HW_PX, GRID, SCHEMA, history=1))._left_out(0) is None


def test_calibration_samples_are_the_same_every_time_and_cover_the_pool(reader):
    first, second = maker(reader).calibration_samples(4), maker(reader).calibration_samples(4)
    assert len(first) == 4
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a["points_m"], b["points_m"])


def test_ahead_keeps_the_order_and_raises_where_the_value_is_due():
    def make(n):
        if n == 6:
            raise ValueError("six")
        return n * n

    assert list(ahead(make, range(6))) == [0, 1, 4, 9, 16, 25]
    values = ahead(make, range(10))
    assert [next(values) for _ in range(6)] == [0, 1, 4, 9, 16, 25]
    with pytest.raises(ValueError, match="six"):
        next(values)


def test_a_batch_is_rotated_and_resized_where_that_is_on(reader):
    plain = maker(reader).batch(0)
    moved = replace(maker(reader), augment=AugmentSettings(bev_rotation_deg=20.0, image_scale=0.2)).batch(0)
    unknown = (moved.bev_class[:2] == IGNORE).flatten(1).float().mean(dim=1)
    assert (unknown > 0).all()
    assert (unknown < 0.4).all()
    assert not (plain.bev_class == IGNORE).any()
    assert moved.clip.frames[-1].images.shape == plain.clip.frames[-1].images.shape
    assert not torch.equal(moved.clip.frames[-1].images, plain.clip.frames[-1].images)
    assert_same(moved, replace(maker(reader), augment=AugmentSettings(bev_rotation_deg=20.0, image_scale=0.2)).batch(0))
