"""Deformable attention, forward and backward: ours beside that of transformers in PyTorch, in one run.

python -m benchmarks.attention [--json] [--device cuda]

Sizes are those of one layer of this project's models: spatial cross-attention of the demo (every camera of two clips)
and of BEVFormer-small, and temporal self-attention of the demo.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from rich.table import Table
from torch import Tensor
from transformers.models.deformable_detr.modeling_deformable_detr import MultiScaleDeformableAttention

from benchmarks.figures import Spread, answer
from models.bev.deformable import deformable_sample, sample_by_grid

TARGET = 1.5
Sample = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Size:
    """N maps of D channels, Q queries of some heads with P points each."""

    title: str
    maps: int
    queries: int
    height: int
    width: int
    dim: int
    heads: int
    points: int


SIZES = (
    Size("demo, spatial", 12, 420, 24, 48, 64, 4, 8),
    Size("demo, temporal", 4, 1800, 60, 30, 64, 4, 4),
    Size("small, spatial", 6, 5000, 23, 40, 256, 8, 8),
)


def by_transformers(value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
    height, width = value.shape[-2:]
    flat = value.flatten(2).transpose(1, 2).unflatten(-1, (locations.shape[2], -1))
    shapes = torch.tensor([[height, width]], device=value.device)
    found: Tensor = MultiScaleDeformableAttention()(flat, shapes, [(height, width)], None, locations, weights, 64)
    return found


WAYS: dict[str, Sample] = {
    "ours": lambda value, locations, weights: deformable_sample([value], locations, weights),
    "transformers": by_transformers,
    "grid_sample, points first": lambda value, locations, weights: sample_by_grid([value], locations, weights),
}


def inputs(size: Size, device: str) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    value = torch.randn(size.maps, size.dim, size.height, size.width, device=device)
    locations = torch.rand(size.maps, size.queries, size.heads, 1, size.points, 2, device=device) * 1.1 - 0.05
    weights = torch.rand(locations.shape[:-1], device=device)
    return value.requires_grad_(), locations.requires_grad_(), weights.requires_grad_()


def seconds(sample: Sample, tensors: tuple[Tensor, Tensor, Tensor]) -> float:
    """Of one forward and backward pass."""
    wait = torch.cuda.synchronize if tensors[0].is_cuda else (lambda: None)
    wait()
    start = time.perf_counter()
    sample(*tensors).sum().backward()
    wait()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    shown = Table("size", *(f"{way}, ms" for way in WAYS), "as fast as transformers' by", "largest difference")
    results = {}
    for size in SIZES:
        tensors = inputs(size, arguments.device)
        outputs = [sample(*tensors).detach() for sample in WAYS.values()]
        difference = float((outputs[0] - outputs[1]).abs().max() / outputs[1].abs().max())
        for sample in WAYS.values():
            seconds(sample, tensors)
        rounds = [[1e3 * seconds(sample, tensors) for sample in WAYS.values()] for _ in range(arguments.repetitions)]
        ratios = Spread.of([theirs / ours for ours, theirs, _ in rounds])
        spreads = [Spread.of(column) for column in zip(*rounds, strict=True)]
        shown.add_row(size.title, *(spread.text(1) for spread in spreads), ratios.text(2), f"{difference:.1e}")
        results[size.title] = {
            "ms": dict(zip(WAYS, (vars(spread) for spread in spreads), strict=True)),
            "ratio": vars(ratios),
            "relative_difference": difference,
        }
    least = min(result["ratio"]["median"] for result in results.values())
    verdict = f"at least {least:.2f} times as fast as transformers' own; wanted: {TARGET}: " + (
        "yes" if least >= TARGET else "NO"
    )
    answer(results, [shown], [verdict], as_json=arguments.json)


if __name__ == "__main__":
    main()
