"""Runs a plan without Prefect, one printed line per step: in this process, or several steps at the same time."""

import os
from collections.abc import Callable

from rich.console import Console

from cache.store import Artifact, Store
from pipeline.console import step_line
from pipeline.execute import Outcome, execute
from pipeline.parallel import run_parallel
from pipeline.plan import Plan
from stages.stage import Runtime


def run_inline(
    plan: Plan,
    store: Store,
    runtime: Runtime,
    console: Console,
    finished: Callable[[Outcome], object] = lambda _: None,
) -> list[Outcome]:
    """The outcome of every step, in order; stops at the first that fails and leaves what is done in the cache.

    `finished` is told of each step as soon as it is done.
    """

    def tell(outcome: Outcome) -> None:
        finished(outcome)
        console.print(step_line(outcome))

    num_jobs = runtime.num_jobs or os.cpu_count() or 1
    if num_jobs > 1:
        return run_parallel(plan, store, runtime, tell, num_jobs)
    artifacts: dict[str, Artifact] = {}
    outcomes = []
    for step in plan:
        outcome = execute(step, artifacts, store, runtime)
        artifacts[step.name] = outcome.artifact
        outcomes.append(outcome)
        tell(outcome)
    return outcomes
