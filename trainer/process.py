"""The training processes: one, or several started by torchrun that share every batch."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import psutil
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from scene.errors import InputError
from trainer.settings import JOB_SLOT


@dataclass(frozen=True)
class Process:
    """One training process.

    Attributes:
        device: where it computes.
        rank, world_size: its place among the processes; the first one writes.
        checkpoint_seconds: at most this much work is lost to a kill.
        num_readers: threads that read batches ahead.
        progress: whether to show progress bars.
        launcher: the process that started torchrun, None in a single process.
    """

    device: torch.device
    rank: int = 0
    world_size: int = 1
    checkpoint_seconds: float = 20.0
    num_readers: int = 3
    progress: bool = True
    launcher: psutil.Process | None = None

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def check_launcher(self) -> None:
        """Ends this process when its launcher is gone: nobody would use what it writes, and a successor may write.

        Raises:
            SystemExit: if so.
        """
        if self.launcher is not None and not self.launcher.is_running():
            raise SystemExit("the launching process is gone")

    def mean(self, values: Mapping[str, Tensor]) -> dict[str, float]:
        """Scalars averaged over the processes."""
        stacked = torch.stack([v.detach().float() for v in values.values()])
        if self.world_size > 1:
            dist.all_reduce(stacked)
            stacked /= self.world_size
        return dict(zip(values, stacked.tolist(), strict=True))

    def sum(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Counts summed over the processes, in each of them."""
        if self.world_size == 1:
            return counts
        total = torch.from_numpy(counts).to(self.device)
        dist.all_reduce(total)
        return total.cpu().numpy()


PLACE = {JOB_SLOT: "0", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
"""Environment variables: which training this is, which of its processes, and of how many; 0, 0 and 1 without them."""


def pin_threads(device: torch.device) -> None:
    """On the CPU one thread, whatever the machine has: sums that are split over threads depend on their number, and
    more processes or more steps at a time use the cores better."""
    if device.type == "cpu":
        torch.set_num_threads(1)


def choose_device(name: str) -> torch.device:
    """The device that "auto", "cpu" or "cuda" means here; a GPU becomes torch's current one, as Triton needs it.

    Each process of torchrun has a GPU of its own; so has each of the trainings that run side by side (`JOB_SLOT`), or
    as many as it has processes. Where trainings are more than GPUs they share them.

    Raises:
        InputError: if CUDA is asked for and there is none, or there are more processes than GPUs.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("no CUDA device", where="runtime.device", fix="set it to auto or cpu")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    num_gpus = torch.cuda.device_count()
    slot, rank, num_ranks = (int(os.environ.get(name, default)) for name, default in PLACE.items())
    if num_ranks > num_gpus:
        fix = f"set it to {num_gpus} at most, or runtime.device to cpu"
        raise InputError("there are more training processes than GPUs", where="runtime.num_processes", fix=fix)
    device = torch.device("cuda", (slot * num_ranks + rank) % num_gpus)
    torch.cuda.set_device(device)
    return device
