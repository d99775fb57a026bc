"""The Triton kernels: on a GPU where there is one, elsewhere in Triton's interpreter, which runs them on a CPU."""

import importlib.util
import os
import subprocess
import sys

import pytest

PROGRAM = """
import torch
from models.bev.deformable import sample_by_grid
from models.bev.sampling_cuda import sample_by_triton, usable

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
assert usable(device), "they do not agree with PyTorch on a small input"
torch.manual_seed(1)
value = torch.randn(3, 48, 9, 6, device=device)       # 3 heads of 16 channels
locations = torch.rand(3, 70, 3, 5, 2, device=device) * 1.4 - 0.2
weights = torch.randn(3, 70, 3, 5, device=device)
results = []
for way in (sample_by_triton, lambda v, *at: sample_by_grid([v], *(t.unsqueeze(3) for t in at))):
    tensors = [t.clone().requires_grad_() for t in (value, locations, weights)]
    out = way(*tensors)
    (out * torch.linspace(-1, 2, out.numel(), device=device).view_as(out)).sum().backward()
    results.append([out.detach(), *(t.grad for t in tensors)])
for found, expected in zip(*results, strict=True):
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
print("the same")
"""


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton comes with CUDA builds of PyTorch only")
def test_values_and_gradients_are_those_of_pytorch_s_operations():
    import torch

    interpreted = {} if torch.cuda.is_available() else {"TRITON_INTERPRET": "1"}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env={**os.environ, **interpreted}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "the same\n"


@pytest.mark.parametrize("mode", ["enable_grad", "no_grad", "inference_mode"])
def test_kernels_can_prove_themselves_wherever_they_are_first_asked_for(mode):
    """Here those for the CPU. Past keyframes are the first to ask in training, and they go without gradients."""
    import torch

    from models.bev.sampling_cpu import sample_on_cpu
    from models.bev.sampling_cuda import agrees

    with getattr(torch, mode)(), torch.autocast("cpu", torch.bfloat16):
        assert agrees(sample_on_cpu, torch.device("cpu"))
        assert not agrees(lambda *at: 1.01 * sample_on_cpu(*at), torch.device("cpu"))


def test_without_triton_it_is_not_used(monkeypatch):
    import torch

    from models.bev import sampling_cuda

    monkeypatch.setattr(sampling_cuda, "triton", None)
    sampling_cuda.usable.cache_clear()
    assert not sampling_cuda.usable(torch.device("cpu"))
    sampling_cuda.usable.cache_clear()
