"""Which steps start next where several run at the same time."""

from collections.abc import Collection, Container, Sequence

from pipeline.plan import Plan, Step


def ready_steps(plan: Plan, done: Container[str], running: Container[str]) -> list[Step]:
    """Steps whose inputs are made, the most urgent first.

    That is what fills the machine, as everything else waits for it. Then what has the most training behind it, its own
    included, for what starts last should be short: at the end, the others wait for it. Then what has the longest chain
    of steps behind it.
    """
    samples = {step.name: 0 for step in plan}
    chain = {step.name: 0 for step in plan}
    for step in reversed(plan.steps):
        samples[step.name] += getattr(step.settings, "num_samples", 0)
        for name in step.needs:
            samples[name] = max(samples[name], samples[step.name])
            chain[name] = max(chain[name], chain[step.name] + 1)
    ready = [s for s in plan if s.name not in done and s.name not in running and all(n in done for n in s.needs)]
    return sorted(ready, key=lambda s: (not s.stage.fills_machine, -samples[s.name], -chain[s.name]))


def startable(ready: Sequence[Step], running: Collection[Step], num_jobs: int, *, elsewhere: bool) -> list[Step]:
    """Those of the `ready` steps that start now, at most `num_jobs` at a time, and what fills the machine alone.

    Args:
        ready: the most urgent first.
        running: steps under way.
        num_jobs: how many may be.
        elsewhere: whether what fills a machine does so with machines of its own.
    """
    if not elsewhere:
        if any(step.stage.fills_machine for step in running):
            return []
        if ready and ready[0].stage.fills_machine:
            return [] if running else [ready[0]]
    return list(ready[: num_jobs - len(running)])
