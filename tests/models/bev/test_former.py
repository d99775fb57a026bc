from dataclasses import replace
from typing import Any

import pytest
import torch

from models.bev.former import BevFormer
from models.bev.inputs import CameraFrames, Clip, normalised
from scene.grid import BevGrid


def item(clip: Clip, b: int) -> Clip:
    """Batch item `b` alone."""
    rows = slice(b, b + 1)
    return cut(clip, rows)


def cut(clip: Clip, rows: slice) -> Clip:
    frames = tuple(CameraFrames(f.images[rows], f.image_from_ego[rows], f.valid[rows]) for f in clip.frames)
    return Clip(frames, tuple(m[rows] for m in clip.ego_from_previous), tuple(h[rows] for h in clip.has_previous))


def with_cameras(clip: Clip, order: list[int]) -> Clip:
    frames = tuple(CameraFrames(f.images[:, order], f.image_from_ego[:, order], f.valid[:, order]) for f in clip.frames)
    return replace(clip, frames=frames)


@torch.no_grad()
def run(trunk: BevFormer, clip: Clip) -> tuple[torch.Tensor, ...]:
    features: tuple[torch.Tensor, ...] = trunk(clip)
    return features


def test_batch_of_two_equals_two_batches_of_one(make_trunk: Any, make_clip: Any) -> None:
    """Upstream mixes the items in temporal attention, and uses item 0's visibility for all (issue 96)."""
    clip = make_clip(batch=2)
    clip = replace(clip, has_previous=(torch.tensor([True, False]), torch.tensor([True, True])))
    first = clip.frames[0]
    valid = torch.tensor([[True, True, True], [True, False, True]])
    clip = replace(clip, frames=(replace(first, valid=valid), *clip.frames[1:]))
    trunk = make_trunk()
    together = run(trunk, clip)
    assert len(together) == 3
    for b in range(2):
        for whole, alone in zip(together, run(trunk, item(clip, b)), strict=True):
            torch.testing.assert_close(whole[b : b + 1], alone, rtol=1e-5, atol=1e-5)
    assert (together[-1][0] - together[-1][1]).abs().max() > 0.1


@pytest.mark.parametrize("num_cameras", [1, 3, 6])
@pytest.mark.parametrize(
    "grid",
    [
        BevGrid(x_range_m=(-6.0, 18.0), y_range_m=(-8.0, 4.0), resolution_m=1.0),
        BevGrid(x_range_m=(0.0, 6.0), y_range_m=(-9.0, 9.0), resolution_m=0.5),
    ],
)
def test_any_number_of_cameras_and_any_grid(make_trunk: Any, make_clip: Any, num_cameras: int, grid: BevGrid) -> None:
    trunk = make_trunk(grid=grid)
    features = run(trunk, make_clip(num_cameras=num_cameras, history=1))
    num_x, num_y = grid.shape
    assert [tuple(f.shape) for f in features] == [(2, 32, num_x // 2, num_y // 2)] * 2
    assert all(f.isfinite().all() for f in features)


def test_invalid_cameras_are_never_read(make_trunk: Any, make_clip: Any) -> None:
    clip = make_clip(num_cameras=3)
    valid = torch.tensor([[True, False, True], [True, True, False]])

    def spoiled(value: float) -> Clip:
        frames = []
        for f in clip.frames:
            images, matrix = f.images.clone(), f.image_from_ego.clone()
            images[~valid], matrix[~valid] = value, value
            frames.append(CameraFrames(images, matrix, valid))
        return replace(clip, frames=tuple(frames))

    trunk = make_trunk()
    expected = run(trunk, spoiled(0.0))
    for actual, reference in zip(run(trunk, spoiled(float("nan"))), expected, strict=True):
        assert torch.equal(actual, reference)
    everything = run(trunk, clip)
    assert not torch.equal(everything[-1], expected[-1])


def test_one_camera_alone_equals_it_among_invalid_ones(make_trunk: Any, make_clip: Any) -> None:
    clip = make_clip(num_cameras=3, history=0)
    valid = torch.tensor([[True, False, False]] * 2)
    masked = replace(clip, frames=(replace(clip.frames[0], valid=valid),))
    trunk = make_trunk()
    torch.testing.assert_close(run(trunk, masked)[0], run(trunk, with_cameras(clip, [0]))[0], rtol=1e-5, atol=1e-5)


def test_no_valid_camera_at_all_is_finite_in_both_directions(make_trunk: Any, make_clip: Any) -> None:
    clip = make_clip(batch=1, history=0)
    blind = replace(clip, frames=(replace(clip.frames[0], valid=torch.zeros(1, 3, dtype=torch.bool)),))
    trunk = make_trunk()
    features = trunk(blind)[0]
    features.sum().backward()
    assert features.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in trunk.backbone.parameters())


def test_order_of_cameras_does_not_matter_without_camera_embeddings(make_trunk: Any, make_clip: Any) -> None:
    clip = make_clip(num_cameras=3)
    trunk = make_trunk(max_cameras=0)
    expected, actual = run(trunk, clip), run(trunk, with_cameras(clip, [2, 0, 1]))
    torch.testing.assert_close(actual[-1], expected[-1], rtol=1e-4, atol=1e-5)


def test_order_of_cameras_does_not_matter_when_embeddings_follow(make_trunk: Any, make_clip: Any) -> None:
    clip = make_clip(num_cameras=3)
    trunk = make_trunk(max_cameras=3)
    expected = run(trunk, clip)[-1]
    permuted = with_cameras(clip, [2, 0, 1])
    assert (run(trunk, permuted)[-1] - expected).abs().max() > 1e-2
    with torch.no_grad():
        trunk.camera_embedding.copy_(trunk.camera_embedding[[2, 0, 1]].clone())
    torch.testing.assert_close(run(trunk, permuted)[-1], expected, rtol=1e-4, atol=1e-5)


def test_too_many_cameras_are_refused(make_trunk: Any, make_clip: Any) -> None:
    with pytest.raises(ValueError, match="max_cameras"):
        make_trunk(max_cameras=2)(make_clip(num_cameras=3))


def test_first_frame_of_a_scene_forgets_the_past(make_trunk: Any, make_clip: Any) -> None:
    clip = make_clip(history=1)
    cut_off = replace(clip, has_previous=(torch.tensor([False, True]),))
    alone = replace(clip, frames=clip.frames[-1:], ego_from_previous=(), has_previous=())
    trunk = make_trunk()
    features, expected = run(trunk, cut_off)[-1], run(trunk, alone)[-1]
    torch.testing.assert_close(features[0], expected[0], rtol=1e-5, atol=1e-5)
    assert (features[1] - expected[1]).abs().max() > 1e-3


def test_motion_of_the_past_matters_even_without_its_embedding(make_trunk: Any, make_clip: Any) -> None:
    clip = make_clip(history=1)
    still = replace(clip, ego_from_previous=(torch.eye(4).expand(2, 4, 4),))
    trunk = make_trunk(ego_motion=False)
    assert (run(trunk, clip)[-1] - run(trunk, still)[-1]).abs().max() > 1e-3


@pytest.mark.parametrize("max_cameras", [0, 6])
def test_only_the_current_frame_has_a_gradient_and_it_reaches_everything(
    make_trunk: Any, make_clip: Any, max_cameras: int
) -> None:
    trunk = make_trunk(max_cameras=max_cameras).train()
    clip = make_clip(history=1)
    for f in clip.frames:
        f.images.requires_grad_()
    past, current = trunk(clip)
    assert not past.requires_grad
    (current * torch.randn_like(current)).sum().backward()
    assert clip.frames[0].images.grad is None
    assert clip.frames[1].images.grad is not None
    without = [name for name, p in trunk.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []
    assert trunk.training
    assert trunk.encoder.training


def test_same_seed_same_bits(make_trunk: Any, make_clip: Any) -> None:
    def step() -> list[torch.Tensor]:
        trunk = make_trunk(seed=5, dropout=0.2).train()
        torch.manual_seed(1)
        features = trunk(make_clip(history=3))[-1]
        features.square().sum().backward()
        return [features.detach(), *(p.grad for p in trunk.parameters() if p.grad is not None)]

    assert all(torch.equal(a, b) for a, b in zip(step(), step(), strict=True))


def test_images_that_no_stride_divides_are_padded(make_trunk: Any, make_frames: Any) -> None:
    frames = make_frames(batch=1, num_cameras=3, seed=0, hw_px=(30, 61))
    trunk = make_trunk(image_hw_px=[30, 61])
    assert run(trunk, Clip((frames,), (), ()))[0].isfinite().all()
    assert trunk.backbone(torch.nn.functional.pad(frames.images[0], (0, 3, 0, 2)))[-1].shape[-2:] == (4, 8)


def test_levels_beyond_the_backbone_s_cover_the_padded_image_exactly(make_trunk: Any, make_frames: Any) -> None:
    trunk = make_trunk(image_hw_px=[30, 61], num_levels=4)
    frames = make_frames(batch=1, num_cameras=3, seed=0, hw_px=(30, 61))
    height_px, width_px = trunk._padded_hw_px(frames)
    levels = trunk._image_features(frames, (height_px, width_px))
    strides = {(height_px / level.shape[-2], width_px / level.shape[-1]) for level in levels}
    assert len(strides) == len(levels) == 4
    assert all(along_height == along_width for along_height, along_width in strides)


def test_the_trunk_normalises_images_of_bytes_per_channel(make_trunk: Any, make_clip: Any) -> None:
    images = torch.zeros(1, 3, 2, 2, dtype=torch.uint8)
    images[:, 0] = 255
    seen = normalised(images)
    assert float(seen[0, 0, 0, 0]) == pytest.approx((1 - 0.485) / 0.229)
    assert float(seen[0, 2, 0, 0]) == pytest.approx(-0.406 / 0.225)
    assert normalised(seen) is seen
    clip = make_clip(history=1)
    recorded = [replace(f, images=torch.randint(256, f.images.shape, dtype=torch.uint8)) for f in clip.frames]
    ready = [replace(f, images=normalised(f.images.flatten(0, 1)).view(f.images.shape)) for f in recorded]
    trunk = make_trunk()
    expected = run(trunk, replace(clip, frames=tuple(ready)))
    for found, wanted in zip(run(trunk, replace(clip, frames=tuple(recorded))), expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_state_dict_holds_weights_only(make_trunk: Any, make_clip: Any) -> None:
    """Geometry that follows from the settings is not saved; loading brings back the very features."""
    trunk, clip = make_trunk(seed=1), make_clip()
    state = trunk.state_dict()
    assert set(state) == {name for name, _ in trunk.named_parameters()}
    other = make_trunk(seed=2)
    other.load_state_dict(state)
    assert torch.equal(run(other, clip)[-1], run(trunk, clip)[-1])


def test_bfloat16_autocast_stays_close(make_trunk: Any, make_clip: Any) -> None:
    trunk, clip = make_trunk(), make_clip()
    expected = run(trunk, clip)[-1]
    with torch.autocast("cpu", torch.bfloat16):
        actual = run(trunk, clip)[-1]
    assert (actual.float() - expected).abs().mean() < 0.05


def test_bfloat16_leaves_no_parameter_without_a_gradient(make_trunk: Any, make_clip: Any) -> None:
    """The past goes through the same weights first, without gradients: what autocast keeps of that must not be used."""
    trunk = make_trunk().train()
    with torch.autocast("cpu", torch.bfloat16):
        loss = trunk(make_clip(history=1))[-1].square().mean()
    loss.backward()
    alone = [name for name, p in trunk.named_parameters() if p.requires_grad and p.grad is None]
    assert not alone
