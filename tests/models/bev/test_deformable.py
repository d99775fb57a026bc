import pytest
import torch
from transformers.models.deformable_detr.modeling_deformable_detr import MultiScaleDeformableAttention

from models.bev.deformable import SamplingHead, deformable_sample, sample_by_grid, softmax_over_samples


def inputs(dtype: torch.dtype = torch.float32) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
    """Two levels, 3 heads, 5 points; some locations lie outside."""
    torch.manual_seed(3)
    values = [torch.randn(2, 12, 6, 9, dtype=dtype), torch.randn(2, 12, 3, 5, dtype=dtype)]
    locations = torch.rand(2, 7, 3, 2, 5, 2, dtype=dtype) * 1.4 - 0.2
    weights = torch.randn(2, 7, 3, 2, 5, dtype=dtype).flatten(-2).softmax(-1).view(2, 7, 3, 2, 5)
    return values, locations, weights


def test_equals_that_of_transformers() -> None:
    values, locations, weights = inputs()
    shapes = [tuple(v.shape[-2:]) for v in values]
    flat = torch.cat([v.flatten(2) for v in values], dim=2).transpose(1, 2).unflatten(-1, (3, -1))
    expected = MultiScaleDeformableAttention()(flat, torch.tensor(shapes), shapes, None, locations, weights, 64)
    torch.testing.assert_close(deformable_sample(values, locations, weights), expected, rtol=1e-5, atol=1e-5)


def test_gradient_is_that_of_finite_differences() -> None:
    values, locations, weights = inputs(torch.float64)
    for tensor in (*values, locations, weights):
        tensor.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda fine, coarse, where, weight: deformable_sample([fine, coarse], where, weight),
        (*values, locations, weights),
    )


def gradients(sample, dtype, threads=1):
    values, *others = inputs(torch.float64)
    tensors = [tensor.to(dtype).requires_grad_() for tensor in (*values, *others)]
    *values, locations, weights = tensors
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        out = sample(values, locations, weights)
        (out * torch.linspace(-1, 2, out.numel(), dtype=dtype).view_as(out)).sum().backward()
    finally:
        torch.set_num_threads(before)
    return [out.detach(), *(tensor.grad for tensor in tensors)]


def test_shapes_that_do_not_fit_are_an_error_and_not_a_read_past_the_end() -> None:
    # jaxtyping, where these tests have switched it on, would find it first.
    unchecked = getattr(deformable_sample, "__wrapped__", deformable_sample)
    values, locations, weights = inputs()
    for maps, where in ((values, locations[:, :5]), ([value[:1] for value in values], locations)):
        with pytest.raises(ValueError, match="shapes"):
            unchecked(maps, where, weights)


def test_weights_sum_to_one_over_levels_and_points_as_softmax_has_it() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 7, 3, 2, 5)
    expected = torch.unflatten(logits.flatten(-2).softmax(-1), -1, (2, 5))
    torch.testing.assert_close(softmax_over_samples(logits), expected)


def test_on_a_cpu_one_pass_gives_what_pytorch_s_operations_give() -> None:
    exact = gradients(sample_by_grid, torch.float64)
    for found, expected in zip(gradients(deformable_sample, torch.float32), exact, strict=True):
        torch.testing.assert_close(found, expected.float(), rtol=1e-5, atol=1e-5)


def test_threads_change_no_bit() -> None:
    one, two = (gradients(deformable_sample, torch.float32, threads) for threads in (1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_location_of_a_cell_centre_reads_that_cell() -> None:
    value = torch.arange(12.0).view(1, 1, 3, 4)
    location = torch.tensor([(2 + 0.5) / 4, (1 + 0.5) / 3]).view(1, 1, 1, 1, 1, 2)
    assert deformable_sample([value], location, torch.ones(1, 1, 1, 1, 1)).item() == pytest.approx(6.0)


def test_initial_offsets_point_into_one_direction_per_head_and_repeat_for_each_group() -> None:
    head = SamplingHead(8, num_heads=4, num_levels=2, num_points=6, shared_by=3, spread_cells=0.5)
    offsets, logits = head(torch.randn(2, 5, 8))
    groups = offsets.unflatten(4, (3, 2))
    assert (groups == groups[:, :, :, :, :1]).all()
    expected = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
    torch.testing.assert_close(groups[0, 0, :, 0, 0, 0], 0.5 * expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(groups[0, 0, :, 1, 2, 1], expected, atol=1e-6, rtol=0)
    assert softmax_over_samples(logits).sum((-1, -2)).allclose(torch.ones(2, 5, 4))


def test_points_that_the_groups_cannot_share_are_refused() -> None:
    with pytest.raises(ValueError, match="shared"):
        SamplingHead(8, num_heads=4, num_levels=1, num_points=6, shared_by=4, spread_cells=1.0)
