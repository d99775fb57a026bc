"""The workers: a Dask cluster on this machine, or any whose scheduler's address is given."""

import logging
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager

import dask
import torch
from distributed import Client, LocalCluster, Worker, WorkerPlugin, as_completed, get_worker

from cache.units import Units
from scene.errors import InputError
from stages.interrupts import interrupts_held
from stages.prepare.teacher_labels.labelling import Labeller, Receipt, Shard
from stages.stage import Runtime

PLUGIN = "bevprior-labeller"
SHARDS_IN_FLIGHT_PER_WORKER = 2
CONNECT_TIMEOUT_S = 5
IMAGES_WORTH_A_WORKER = 50
"""Starting one more process costs as much as labelling about so many images with a small teacher."""


class LabellerPlugin(WorkerPlugin):  # type: ignore[misc]
    """Gives a worker its labeller; a worker that is started anew after a crash gets one too."""

    def __init__(self, labeller: Labeller) -> None:
        self.labeller = labeller

    def setup(self, worker: Worker) -> None:  # noqa: ARG002 (Dask's signature)
        """One thread per process, so that bits do not depend on how many cores there are."""
        torch.set_num_threads(1)


def label_in_worker(shard: Shard) -> Receipt:
    """The task."""
    torch.set_num_threads(1)  # OpenMP counts threads per thread: the plugin was set up in another one
    worker = get_worker()
    plugin: LabellerPlugin = worker.plugins[PLUGIN]
    if plugin.labeller.device.startswith("cuda"):
        torch.cuda.set_device(gpu_of_worker(worker.name, torch.cuda.device_count()))  # a thread's own, as above
    return plugin.labeller.label(shard)


def gpu_of_worker(name: object, num_gpus: int) -> int:
    """The GPU that a worker computes on: workers of our own cluster are numbered, and each number has its GPU.

    A worker of another cluster takes the first GPU that it was started with (`CUDA_VISIBLE_DEVICES`).
    """
    return name % num_gpus if isinstance(name, int) else 0


def label_shards(
    labeller: Labeller, shards: Mapping[str, Shard], units: Units, runtime: Runtime, workers: int
) -> Generator[Receipt, None, None]:
    """Labels what others do not; receipts in the order in which shards are finished, a few shards per worker in flight.

    Args:
        labeller: does the work, in the workers.
        shards: by unit.
        units: of the build; each receipt's unit is to be marked done before the next receipt is asked for.
        runtime: see `Runtime`.
        workers: processes on this machine, where no scheduler is given.

    Raises:
        InputError: from the workers; or if no scheduler answers at `runtime.scheduler_address`.
    """
    needs = {"GPU": 1} if labeller.device.startswith("cuda") else {}
    with _client(runtime, workers, needs) as client:
        client.register_plugin(LabellerPlugin(labeller), name=PLUGIN)
        running = as_completed()
        while not units.finished:
            for unit in units.take(in_flight(client) - running.count()):
                key = f"label-{unit}"
                running.add(client.submit(label_in_worker, shards[unit], key=key, pure=False, resources=needs))
            if running.count():
                receipt: Receipt = next(running).result()
                yield receipt
            else:
                units.wait()


def in_flight(client: Client) -> int:
    """How many shards are to be with the workers; asked again each time, for workers may join, or be lost."""
    return SHARDS_IN_FLIGHT_PER_WORKER * max(1, len(client.scheduler_info(n_workers=-1)["workers"]))


def num_workers(runtime: Runtime, shards: Sequence[Shard]) -> int:
    """Workers on this machine: as many as asked for, or else cores (GPUs) as far as the job is worth them."""
    wanted = runtime.num_workers
    if not wanted:
        available = torch.cuda.device_count() if pick_device(runtime) != "cpu" else len(os.sched_getaffinity(0))
        wanted = min(available, -(-sum(shard.num_images for shard in shards) // IMAGES_WORTH_A_WORKER))
    return max(1, min(wanted, len(shards)))


def pick_device(runtime: Runtime) -> str:
    """Where the workers compute."""
    if runtime.device == "cpu" or (runtime.device == "auto" and not torch.cuda.is_available()):
        return "cpu"
    return "cuda"


@contextmanager
def _client(runtime: Runtime, workers: int, resources: dict[str, int]) -> Iterator[Client]:
    if runtime.scheduler_address is not None:
        try:
            client = Client(runtime.scheduler_address, timeout=CONNECT_TIMEOUT_S)
        except (OSError, ValueError) as error:
            raise InputError(
                "no Dask scheduler answers",
                where=f"runtime.scheduler_address = {runtime.scheduler_address}",
                fix="start one with `dask scheduler`, or leave the address out for workers on this machine",
            ) from error
        with client:
            yield client
        return
    # A single worker is a thread of this process: starting a process and importing torch in it takes longer than a
    # small job. Its one task at a time runs the same code.
    settings = {
        "distributed.worker.memory.terminate": False,
        "distributed.admin.system-monitor.disk": False,
        # Dask would have its workers give every freed block of memory back at once (MALLOC_TRIM_THRESHOLD_): on a CPU
        # two thirds of an image's time then go into fetching fresh pages.
        "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
    }
    with dask.config.set(settings):
        with interrupts_held():  # the cluster ends with this process, in order
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=workers > 1,
                protocol="tcp://",
                host="127.0.0.1",  # without it the workers' diagnostic pages are open to the network
                dashboard_address="127.0.0.1:0",  # None would take port 8787, and warn where that is in use
                memory_limit=0,
                resources=resources,
                silence_logs=logging.CRITICAL,  # a failed task raises here; its traceback would come twice
            )
        with cluster, Client(cluster) as client:
            yield client
