"""What a stage is, as data: its name, version, settings and inputs, and where its code is.

Importing a stage's description is cheap: nothing here or in a stage folder's `__init__` imports torch, Prefect or the
devkit. `entry` is resolved only when the stage runs.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from cache.build import Build
from cache.store import Artifact
from scene.settings import Settings


class Runtime(Settings):
    """How fast and where, never what: nothing here is in a cache key, or may change a result beyond rounding.

    But for `num_processes`: each draws dropout masks of its own (`trainer.loop.seed_step`), so a model with dropout
    is another draw, as of another seed. How many there were is in the provenance.

    Attributes:
        device: "auto" takes CUDA where there is one.
        num_workers: worker processes of data preparation (0 = as many as cores).
        num_jobs: steps of a plan that run at the same time, each in a process of its own (0 = as many as cores). Only
            the inline engine runs several: with Prefect, concurrency is a matter of its workers. Trainings that run
            side by side take one GPU after the other.
        num_processes: training processes (torchrun), one GPU each; 1 trains in this process. (The batch is split over
            them.)
        scheduler_address: a Dask scheduler to use; None starts a local cluster.
        checkpoint_seconds: at most this much training is lost to a kill.
        num_readers: threads that read a training process's batches ahead; more where a GPU waits for images.
        progress: show progress bars on stderr.
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    num_workers: int = 0
    num_jobs: int = 1
    num_processes: int = 1
    scheduler_address: str | None = None
    checkpoint_seconds: float = 20.0
    num_readers: Annotated[int, Field(ge=1)] = 3
    progress: bool = True


@dataclass(frozen=True)
class StageRun:
    """Everything a stage's entry function gets.

    Attributes:
        settings: the stage's own settings model.
        inputs: the artifacts it reads, by role.
        build: where it writes; see `cache.build.Build`. The caller commits after the entry returns.
        runtime: see `Runtime`.
        data_root: folder of the nuScenes-format data set, where the stage asked for it (`reads_data`).
    """

    settings: Any
    inputs: Mapping[str, Artifact]
    build: Build
    runtime: Runtime
    data_root: Path | None = None


@dataclass(frozen=True)
class Stage:
    """A stage's description.

    Attributes:
        name: unique, also the folder name in the cache.
        version: raise it whenever the code would give another result for the same key.
        settings: its settings model.
        inputs: roles of the artifacts it reads. A role that ends in "?" is optional.
        entry: "package.module:function", called with a `StageRun`. Returns the statistics kept in the manifest.
        reads_data: whether it opens files of the data set itself.
        fingerprint: optional "package.module:function" (settings, data_root) -> {name: digest} of what the stage
            reads from outside the cache (dataset tables, teacher weights); the digests join the key.
        shared: whether the entry function claims its units (`Build.units`), so that several processes may be in it at
            once; what it does after the last unit, one alone does.
        fills_machine: whether it takes every core or GPU for itself: it has processes of its own, and no other step of
            the run starts beside it.
        sources: packages whose source decides the result; a change under an unchanged version is warned about.
    """

    name: str
    version: int
    settings: type[Settings]
    inputs: tuple[str, ...]
    entry: str
    reads_data: bool = False
    fingerprint: str | None = None
    sources: tuple[str, ...] = field(default=())
    shared: bool = False
    fills_machine: bool = False

    def run(self, stage_run: StageRun) -> Mapping[str, Any]:
        """Imports the entry function and calls it."""
        statistics: Mapping[str, Any] = resolve(self.entry)(stage_run)
        return statistics


def resolve(target: str) -> Callable[..., Any]:
    """The function that "package.module:function" names."""
    module, _, name = target.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function
