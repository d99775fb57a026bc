"""Runs a plan in this process, one step after the other, one printed line each. Prefect is never imported."""

from rich.console import Console

from cache.store import Artifact, Store
from pipeline.console import step_line
from pipeline.execute import Outcome, execute
from pipeline.plan import Plan
from stages.stage import Runtime


def run_inline(plan: Plan, store: Store, runtime: Runtime, console: Console) -> list[Outcome]:
    """The outcome of every step, in order; stops at the first that fails and leaves what is done in the cache."""
    artifacts: dict[str, Artifact] = {}
    outcomes = []
    for step in plan:
        outcome = execute(step, artifacts, store, runtime)
        artifacts[step.name] = outcome.artifact
        outcomes.append(outcome)
        console.print(step_line(outcome))
    return outcomes
