"""Carries out one step: finds its artifact in the cache or makes it. The same for every engine."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cache.build import Build
from cache.sources import changed_sources
from cache.store import Artifact, Store
from pipeline.keys import Keyed, keyed
from pipeline.plan import Step
from stages.stage import Runtime, StageRun


@dataclass(frozen=True)
class Outcome:
    """What became of a step.

    Attributes:
        step: the step.
        artifact: its result.
        built: whether it had to be made (False: it was in the cache).
        wall_s: the seconds that took.
        changed_sources: source files that differ from those that made a cached result, under the same code version.
    """

    step: Step
    artifact: Artifact
    built: bool
    wall_s: float
    changed_sources: tuple[str, ...] = ()


def execute(step: Step, artifacts: Mapping[str, Artifact], store: Store, runtime: Runtime) -> Outcome:
    """The step's artifact, made now if the cache has none. A stage that was killed goes on from where it was.

    Raises:
        KeyError: if a step that this one needs has no artifact in `artifacts` (by step name).
        scene.errors.InputError: for what a user can mend.
    """
    start = time.monotonic()
    known = keyed(step, artifacts, store)
    artifact, found = make(known, None if step.data_step is None else artifacts[step.data_step], store, runtime)
    changed = changed_sources(artifact.manifest, step.stage.sources) if found else []
    return Outcome(step, artifact, not found, time.monotonic() - start, tuple(changed))


def make(known: Keyed, data: Artifact | None, store: Store, runtime: Runtime) -> tuple[Artifact, bool]:
    """The artifact of a step whose inputs are known, and whether it was there; `data` is the data set, if ours."""
    stage, settings = known.step.stage, known.step.settings

    def fill(build: Build) -> Mapping[str, Any]:
        inputs = {role: store.materialise(artifact) for role, artifact in known.inputs.items()}
        data_root = known.data_root if data is None else store.materialise(data).path
        return stage.run(StageRun(settings, inputs, build, runtime, data_root))

    parents = {role: artifact.key for role, artifact in known.inputs.items()}
    origin = {
        "settings": settings.model_dump(mode="json"),
        "data_root": str(known.data_root) if data is None and known.data_root is not None else None,
        "data_key": None if data is None else data.key,
    }
    return store.get_or_build(known.spec, parents, fill, sources=stage.sources, origin=origin, shared=stage.shared)
