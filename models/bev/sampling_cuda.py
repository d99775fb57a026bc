"""Deformable sampling on CUDA by Triton: one pass as in `models.bev.sampling_cpu`, a program per map, head and queries.

Triton comes with the CUDA builds of PyTorch. The kernels prove themselves once per process against PyTorch's own
operations (`usable`); where Triton is missing, does not compile, or disagrees, those are used instead.
"""

import logging
from collections.abc import Callable
from functools import cache
from typing import Any, no_type_check

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

try:
    import triton
    import triton.language as tl
except ImportError:  # a CPU build of PyTorch
    triton = None

BLOCK_QUERIES = 32
LOG = logging.getLogger(__name__)


def sample_by_triton(
    value: Float[Tensor, "N D H W"], locations: Float[Tensor, "N Q heads P 2"], weights: Float[Tensor, "N Q heads P"]
) -> Float[Tensor, "N Q D"]:
    """`models.bev.deformable.deformable_sample` for one level, all in float32. Gradients are summed in any order."""
    sampled: Tensor = _Sample.apply(value, locations, weights)  # type: ignore[no-untyped-call]
    return sampled


@cache
def usable(device: torch.device) -> bool:
    """Whether the kernels compile for a device and give, with gradients, what PyTorch's own operations give."""
    if triton is None:
        return False
    try:
        agree = agrees(sample_by_triton, device)
    except Exception as error:  # whatever a compiler may raise
        LOG.warning("deformable attention without Triton: %s: %s", type(error).__name__, str(error).partition("\n")[0])
        return False
    if not agree:
        LOG.warning("deformable attention without Triton: its result differs on this device")
    return agree


def agrees(sample: Callable[[Tensor, Tensor, Tensor], Tensor], device: torch.device) -> bool:
    """Whether a way of sampling gives, with gradients, what PyTorch's own operations give on a small input.

    The caller may be anywhere: past keyframes go without gradients, evaluation in inference mode, all under autocast.
    """
    from models.bev.deformable import sample_by_grid

    shapes = ((2, 24, 5, 7), (2, 40, 3, 4, 2), (2, 40, 3, 4))
    scales = (1.0, 1.2, 1.0)
    found = []
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device.type, enabled=False):
        for way in (sample, lambda value, *at: sample_by_grid([value], *(t.unsqueeze(3) for t in at))):
            random = torch.Generator().manual_seed(0)
            tensors = [torch.rand(shape, generator=random) * scale for shape, scale in zip(shapes, scales, strict=True)]
            tensors = [tensor.to(device).requires_grad_() for tensor in tensors]
            out = way(*tensors)
            torch.autograd.backward(out.square().sum())
            found.append([out.detach(), *(tensor.grad for tensor in tensors)])
    return all(torch.allclose(a, b, rtol=1e-4, atol=1e-4) for a, b in zip(*found, strict=True))


class _Sample(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        (num_maps, dim, height, width), num_heads = value.shape, locations.shape[2]
        rows = value.permute(0, 2, 3, 1).reshape(num_maps, height * width, num_heads, dim // num_heads).contiguous()
        locations, weights = locations.contiguous(), weights.contiguous()
        ctx.save_for_backward(rows, locations, weights)
        ctx.hw = (height, width)
        out = torch.empty(num_maps, locations.shape[1], num_heads, dim // num_heads, device=value.device)
        _launch(_gather, (rows, locations, weights, out), ctx.hw)
        return out.flatten(2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows, locations, weights = ctx.saved_tensors
        gradient = gradient.reshape(*gradient.shape[:2], *rows.shape[2:]).contiguous()
        found = (torch.zeros_like(rows), torch.empty_like(locations), torch.empty_like(weights))
        _launch(_scatter, (rows, locations, weights, gradient, *found), ctx.hw)
        return torch.unflatten(found[0].flatten(2).transpose(1, 2), 2, ctx.hw), found[1], found[2]


def _launch(kernel: Any, tensors: tuple[Tensor, ...], hw: tuple[int, int]) -> None:
    num_maps, num_queries, num_heads, num_points = tensors[2].shape
    dim = tensors[0].shape[-1]
    kernel[triton.cdiv(num_queries, BLOCK_QUERIES), num_maps * num_heads](
        *tensors,
        num_queries,
        num_heads,
        *hw,
        POINTS=num_points,
        DIM=dim,
        BLOCK=BLOCK_QUERIES,
        CHANNELS=triton.next_power_of_2(dim),
    )


if triton is not None:

    @triton.jit
    @no_type_check
    def _gather(
        values, locations, weights, out, num_queries, num_heads, height, width,
        POINTS: tl.constexpr, DIM: tl.constexpr, BLOCK: tl.constexpr, CHANNELS: tl.constexpr,
    ):  # fmt: skip
        map_number, head = tl.program_id(1) // num_heads, tl.program_id(1) % num_heads
        query = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        channel = tl.arange(0, CHANNELS)
        counted, is_channel = query < num_queries, channel < DIM
        place = (map_number * num_queries + query) * num_heads + head
        total = tl.zeros((BLOCK, CHANNELS), tl.float32)
        for point in range(POINTS):
            at = place * POINTS + point
            x = tl.load(locations + 2 * at, counted, 0.0) * width - 0.5
            y = tl.load(locations + 2 * at + 1, counted, 0.0) * height - 0.5
            weight = tl.load(weights + at, counted, 0.0)
            left, top = tl.floor(x), tl.floor(y)
            for j in tl.static_range(2):
                for i in tl.static_range(2):
                    column, row = left + i, top + j
                    inside = counted & (column >= 0) & (column < width) & (row >= 0) & (row < height)
                    share = weight * (1 - tl.abs(x - column)) * (1 - tl.abs(y - row))
                    cell = map_number * height * width + row.to(tl.int32) * width + column.to(tl.int32)
                    start = (cell * num_heads + head) * DIM
                    mask = inside[:, None] & is_channel[None, :]
                    value = tl.load(values + start[:, None] + channel[None, :], mask, 0.0)
                    total += share[:, None] * value
        tl.store(out + (place * DIM)[:, None] + channel[None, :], total, counted[:, None] & is_channel[None, :])

    @triton.jit
    @no_type_check
    def _scatter(
        values, locations, weights, gradient, values_grad, locations_grad, weights_grad,
        num_queries, num_heads, height, width,
        POINTS: tl.constexpr, DIM: tl.constexpr, BLOCK: tl.constexpr, CHANNELS: tl.constexpr,
    ):  # fmt: skip
        map_number, head = tl.program_id(1) // num_heads, tl.program_id(1) % num_heads
        query = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        channel = tl.arange(0, CHANNELS)
        counted, is_channel = query < num_queries, channel < DIM
        place = (map_number * num_queries + query) * num_heads + head
        at_channels = counted[:, None] & is_channel[None, :]
        given = tl.load(gradient + (place * DIM)[:, None] + channel[None, :], at_channels, 0.0)
        for point in range(POINTS):
            at = place * POINTS + point
            x = tl.load(locations + 2 * at, counted, 0.0) * width - 0.5
            y = tl.load(locations + 2 * at + 1, counted, 0.0) * height - 0.5
            weight = tl.load(weights + at, counted, 0.0)
            left, top = tl.floor(x), tl.floor(y)
            by_weight = tl.zeros((BLOCK,), tl.float32)
            by_x = tl.zeros((BLOCK,), tl.float32)
            by_y = tl.zeros((BLOCK,), tl.float32)
            for j in tl.static_range(2):
                for i in tl.static_range(2):
                    column, row = left + i, top + j
                    inside = counted & (column >= 0) & (column < width) & (row >= 0) & (row < height)
                    share_x, share_y = 1 - tl.abs(x - column), 1 - tl.abs(y - row)
                    cell = map_number * height * width + row.to(tl.int32) * width + column.to(tl.int32)
                    start = ((cell * num_heads + head) * DIM)[:, None] + channel[None, :]
                    mask = inside[:, None] & is_channel[None, :]
                    along = tl.sum(tl.load(values + start, mask, 0.0) * given, axis=1)
                    tl.atomic_add(values_grad + start, (weight * share_x * share_y)[:, None] * given, mask)
                    by_weight += share_x * share_y * along
                    by_x += (2 * i - 1) * share_y * along
                    by_y += (2 * j - 1) * share_x * along
            tl.store(weights_grad + at, by_weight, counted)
            tl.store(locations_grad + 2 * at, by_x * weight * width, counted)
            tl.store(locations_grad + 2 * at + 1, by_y * weight * height, counted)
