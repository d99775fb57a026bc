"""Runs a plan without Prefect, one printed line per step: in this process, or several steps at the same time."""

import os

from rich.console import Console

from cache.store import Artifact, Store
from pipeline.console import step_line
from pipeline.execute import Outcome, execute
from pipeline.parallel import run_parallel
from pipeline.plan import Plan
from stages.stage import Runtime


def run_inline(plan: Plan, store: Store, runtime: Runtime, console: Console) -> list[Outcome]:
    """The outcome of every step, in order; stops at the first that fails and leaves what is done in the cache."""
    num_jobs = runtime.num_jobs or os.cpu_count() or 1
    if num_jobs > 1:
        return run_parallel(plan, store, runtime, console, num_jobs)
    artifacts: dict[str, Artifact] = {}
    outcomes = []
    for step in plan:
        outcome = execute(step, artifacts, store, runtime)
        artifacts[step.name] = outcome.artifact
        outcomes.append(outcome)
        console.print(step_line(outcome))
    return outcomes
