"""Deformable sampling on a CPU: gathers, weighs and sums in one pass, so that no sample is ever stored.

PyTorch's `grid_sample` writes every sample of every head to memory, channel by channel, and the weighted sum reads it
again. Here the channels of a head lie side by side and are added up in registers. `make bench-attention` compares.
"""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, no_type_check

import numba
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

HALF, ONE, TWO = np.float32(0.5), np.float32(1), np.float32(2)
REORDER = {"contract", "reassoc", "nsz"}
"""What a sum may be rearranged for; not where a sample lies: that is computed as `grid_sample` does, bit by bit."""


def sample_on_cpu(
    value: Float[Tensor, "N D H W"], locations: Float[Tensor, "N Q heads P 2"], weights: Float[Tensor, "N Q heads P"]
) -> Float[Tensor, "N Q D"]:
    """`models.bev.deformable.deformable_sample` for one level, all in float32.

    Each of the N maps is one thread's work from beginning to end: the result does not depend on the threads.
    """
    sampled: Tensor = _Sample.apply(value, locations, weights)  # type: ignore[no-untyped-call]
    return sampled


class _Sample(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, locations: Tensor, weights: Tensor) -> Float[Tensor, "N Q D"]:
        (num_maps, dim, height, width), num_heads = value.shape, locations.shape[2]
        rows = value.permute(0, 2, 3, 1).reshape(num_maps, height * width, num_heads, dim // num_heads).contiguous()
        locations, weights = locations.contiguous(), weights.contiguous()
        ctx.save_for_backward(rows, locations, weights)
        ctx.hw = (height, width)
        out = rows.new_zeros(num_maps, locations.shape[1], num_heads, dim // num_heads)
        _for_each_map(_gather, (rows, locations, weights, out), ctx.hw)
        return out.flatten(2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows, locations, weights = ctx.saved_tensors
        gradient = gradient.reshape(*gradient.shape[:2], *rows.shape[2:]).contiguous()
        found = tuple(torch.zeros_like(tensor) for tensor in (rows, locations, weights))
        _for_each_map(_scatter, (rows, locations, weights, gradient, *found), ctx.hw)
        value = torch.unflatten(found[0].flatten(2).transpose(1, 2), 2, ctx.hw)
        return value, found[1], found[2]


def _for_each_map(kernel: Callable[..., None], tensors: tuple[Tensor, ...], hw: tuple[int, int]) -> None:
    arrays = [tensor.detach().numpy() for tensor in tensors]
    threads = min(torch.get_num_threads(), len(arrays[0]))
    if threads == 1:
        kernel(*arrays, *hw)
        return
    parts = [[array[part::threads] for array in arrays] for part in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda part: kernel(*part, *hw), parts))


@numba.njit(nogil=True, cache=True)
@no_type_check
def _in_cells(location, size):
    return ((TWO * location - ONE) + ONE) * (np.float32(size) / TWO) - HALF


@numba.njit(nogil=True, cache=True, fastmath=REORDER)
@no_type_check
def _gather(values, locations, weights, out, height, width):
    num_maps, num_queries, num_heads, num_points, _ = locations.shape
    for n in range(num_maps):
        for q in range(num_queries):
            for h in range(num_heads):
                total = out[n, q, h]
                for p in range(num_points):
                    x, y = _in_cells(locations[n, q, h, p, 0], width), _in_cells(locations[n, q, h, p, 1], height)
                    if not (-1 < x < width and -1 < y < height):
                        continue
                    left, top = math.floor(x), math.floor(y)
                    right_share, low_share = x - np.float32(left), y - np.float32(top)
                    for j in range(2):
                        row = top + j
                        if row < 0 or row >= height:
                            continue
                        share_y = weights[n, q, h, p] * (low_share if j else ONE - low_share)
                        for i in range(2):
                            column = left + i
                            if column < 0 or column >= width:
                                continue
                            share = share_y * (right_share if i else ONE - right_share)
                            value = values[n, row * width + column, h]
                            for k in range(len(total)):
                                total[k] += share * value[k]


@numba.njit(nogil=True, cache=True, fastmath=REORDER)
@no_type_check
def _scatter(values, locations, weights, gradient, values_grad, locations_grad, weights_grad, height, width):
    num_maps, num_queries, num_heads, num_points, _ = locations.shape
    for n in range(num_maps):
        for q in range(num_queries):
            for h in range(num_heads):
                given = gradient[n, q, h]
                for p in range(num_points):
                    x, y = _in_cells(locations[n, q, h, p, 0], width), _in_cells(locations[n, q, h, p, 1], height)
                    if not (-1 < x < width and -1 < y < height):
                        continue
                    left, top = math.floor(x), math.floor(y)
                    right_share, low_share = x - np.float32(left), y - np.float32(top)
                    weight = weights[n, q, h, p]
                    by_weight, by_x, by_y = np.float32(0), np.float32(0), np.float32(0)
                    for j in range(2):
                        row = top + j
                        if row < 0 or row >= height:
                            continue
                        share_y, sign_y = (low_share, ONE) if j else (ONE - low_share, -ONE)
                        for i in range(2):
                            column = left + i
                            if column < 0 or column >= width:
                                continue
                            share_x, sign_x = (right_share, ONE) if i else (ONE - right_share, -ONE)
                            value = values[n, row * width + column, h]
                            value_grad = values_grad[n, row * width + column, h]
                            share, along = weight * share_x * share_y, np.float32(0)
                            for k in range(len(given)):
                                along += value[k] * given[k]
                                value_grad[k] += share * given[k]
                            by_weight += share_x * share_y * along
                            by_x += sign_x * share_y * along
                            by_y += sign_y * share_x * along
                    weights_grad[n, q, h, p] = by_weight
                    locations_grad[n, q, h, p, 0] = by_x * weight * np.float32(width)
                    locations_grad[n, q, h, p, 1] = by_y * weight * np.float32(height)
