"""Where a plan stands: which steps are cached, begun or missing, and why one would run again."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Literal

from cache.compare import SHORT, differences, ingredients
from cache.keys import KeySpec
from cache.sources import changed_sources, source_files
from cache.store import Artifact, Store
from pipeline.keys import keyed, missing_inputs
from pipeline.plan import Plan
from scene.errors import InputError

State = Literal["cached", "partial", "missing"]
LISTED = 4
"""Names in a list that a person is shown."""


@dataclass(frozen=True)
class StepStatus:
    """One step's state.

    Attributes:
        step: the step's name.
        stage: the stage's name.
        state: "partial" where a killed run left finished units of work.
        key: the cache key, None where an input is not known yet.
        why: for a step that is not cached, what keeps it from being so; for a cached one, whether its source changed.
    """

    step: str
    stage: str
    state: State
    key: str | None
    why: str


def survey(plan: Plan, store: Store) -> list[StepStatus]:
    """The state of every step, in order. Reads manifests only, and changes nothing in the cache."""
    known: dict[str, Artifact] = {}
    files_of, earlier = cache(source_files), cache(lambda stage: specs(store, stage))
    result = []
    for step in plan:
        if waiting := missing_inputs(step, known):
            why = "waits for " + _listed(waiting, ", ")
            result.append(StepStatus(step.name, step.stage.name, "missing", None, why))
            continue
        spec = keyed(step, known, store).spec
        artifact = store.get(spec.key)
        if artifact is not None:
            known[step.name] = artifact
            note = source_note(changed_sources(artifact.manifest, step.stage.sources, files_of))
            result.append(StepStatus(step.name, step.stage.name, "cached", spec.key, note))
            continue
        progress = store.progress(spec)
        state: State = "partial" if progress.state == "partial" else "missing"
        units = f"{progress.done} of {progress.total or '?'} units done; " if state == "partial" else ""
        result.append(
            StepStatus(step.name, step.stage.name, state, spec.key, units + reason(spec, earlier(spec.stage)))
        )
    return result


def specs(store: Store, stage: str) -> list[KeySpec]:
    """What the keys of a stage's artifacts are made of; those that cannot be read are `bevprior verify`'s business."""
    found = []
    for entry in store.entries():
        if entry.stage == stage:
            with suppress(InputError):
                found.append(store.open(entry).manifest.spec)
    return found


def reason(spec: KeySpec, same_stage: Sequence[KeySpec]) -> str:
    """What tells `spec` from that of the same stage which is nearest to it."""
    if not same_stage:
        return "never made here"
    wanted = ingredients(spec)
    changes = {earlier.key: differences(ingredients(earlier), wanted) for earlier in same_stage}
    nearest = min(changes, key=lambda key: (len(changes[key]), key))
    return f"differs from {nearest[:SHORT]} in " + _listed([str(change) for change in changes[nearest]], "; ")


def source_note(changed: Sequence[str]) -> str:
    """A warning where source files differ from those that made a cached result; empty where none does."""
    if not changed:
        return ""
    more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
    return f"made by other source ({changed[0]}{more}): raise the stage's version if results differ"


def _listed(items: Sequence[str], separator: str) -> str:
    shown = separator.join(items[:LISTED])
    return shown if len(items) <= LISTED else f"{shown}{separator}and {len(items) - LISTED} more"
