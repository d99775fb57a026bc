"""Where a plan stands: which steps are cached, begun or missing, and why one would run again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cache.compare import SHORT, differences, ingredients
from cache.keys import KeySpec
from cache.sources import changed_sources
from cache.store import Artifact, Store
from pipeline.keys import keyed, missing_inputs
from pipeline.plan import Plan

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
    """The state of every step, in order. Reads manifests only and changes nothing."""
    known: dict[str, Artifact] = {}
    earlier = store.artifacts()
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
            note = source_note(changed_sources(artifact.manifest, step.stage.sources))
            result.append(StepStatus(step.name, step.stage.name, "cached", spec.key, note))
            continue
        progress = store.progress(spec)
        state: State = "partial" if progress.state == "partial" else "missing"
        units = f"{progress.done} of {progress.total or '?'} units done; " if state == "partial" else ""
        result.append(StepStatus(step.name, step.stage.name, state, spec.key, units + reason(spec, earlier)))
    return result


def reason(spec: KeySpec, earlier: Sequence[Artifact]) -> str:
    """What tells `spec` from the artifact of the same stage that is nearest to it."""
    same_stage = [a for a in earlier if a.stage == spec.stage]
    if not same_stage:
        return "never made here"
    wanted = ingredients(spec)
    changes = {a.key: differences(ingredients(a.manifest.spec), wanted) for a in same_stage}
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
