"""The training processes: one, or several started by torchrun that share every batch."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

import psutil
import torch
import torch.distributed as dist
from torch import Tensor

from scene.errors import InputError


@dataclass(frozen=True)
class Process:
    """One training process.

    Attributes:
        device: where it computes.
        rank, world_size: its place among the processes; the first one writes.
        checkpoint_seconds: at most this much work is lost to a kill.
        progress: whether to show progress bars.
        launcher: the process that started torchrun, None in a single process.
    """

    device: torch.device
    rank: int = 0
    world_size: int = 1
    checkpoint_seconds: float = 20.0
    progress: bool = True
    launcher: psutil.Process | None = None

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def share(self, count: int) -> None:
        """Checks that samples can be split evenly.

        Raises:
            InputError: if `count` samples are no multiple of the number of processes.
        """
        if count % self.world_size:
            raise InputError(
                f"a batch of {count} samples cannot be split over {self.world_size} processes",
                fix="make batch_size a multiple of runtime.num_processes",
            )

    def check_launcher(self) -> None:
        """Ends this process when its launcher is gone: nobody would use what it writes, and a successor may write.

        Raises:
            SystemExit: if so.
        """
        if self.launcher is not None and not self.launcher.is_running():
            raise SystemExit("the launching process is gone")

    def mean(self, values: Mapping[str, Tensor]) -> dict[str, float]:
        """Scalars averaged over the processes."""
        stacked = torch.stack([v.float() for v in values.values()])
        if self.world_size > 1:
            dist.all_reduce(stacked)
            stacked /= self.world_size
        return dict(zip(values, stacked.tolist(), strict=True))


def choose_device(name: str) -> torch.device:
    """The device that "auto", "cpu" or "cuda" means here.

    Raises:
        InputError: if CUDA is asked for and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("no CUDA device", where="runtime.device", fix="set it to auto or cpu")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
