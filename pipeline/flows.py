"""The Prefect engine: a flow for an experiment, a task for each step. A thin skin over the plan.

Whether a step runs is decided by our cache, below Prefect, so its own caching and result storage stay off. Tasks take
and return keys, never arrays.
"""

from collections.abc import Mapping

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from cache.store import Store
from pipeline.execute import execute
from pipeline.publish import publish, summary_of
from pipeline.request import ExperimentRequest
from stages.learn.report.table import Score


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="{step}")
def run_step(request: ExperimentRequest, step: str, keys: Mapping[str, str]) -> str:
    """Makes the artifact of one step, or finds it, and returns its key.

    Args:
        request: the experiment that the step belongs to.
        step: its name in the plan.
        keys: of the artifacts made before it, by step name.
    """
    experiment, plan = request.load()
    store = Store(request.cache_folder)
    wanted = next(s for s in plan if s.name == step)
    artifacts = {name: store.find(keys[name]) for name in wanted.needs}
    outcome = execute(wanted, artifacts, store, experiment.runtime)
    state = f"made in {outcome.wall_s:.1f} s" if outcome.built else "cached"
    get_run_logger().info("%s: %s, %s", step, state, outcome.artifact.path)
    return outcome.artifact.key


@flow(name="bevprior", flow_run_name="{request.config}", persist_result=False)
def run_experiment(request: ExperimentRequest) -> dict[str, str]:
    """Runs an experiment and returns the key of every step's artifact by the step's name."""
    _, plan = request.load()
    keys: dict[str, str] = {}
    for step in plan:
        named = run_step.with_options(name=step.stage.name)
        keys[step.name] = named(request, step.name, {name: keys[name] for name in step.needs})
    show_in_ui(request, keys)
    return keys


def show_in_ui(request: ExperimentRequest, keys: Mapping[str, str]) -> None:
    """Prefect artifacts of a finished run: the artifacts made, and the result table with a link to the report."""
    experiment, plan = request.load()
    store = Store(request.cache_folder)
    made = [(step, store.find(keys[step.name])) for step in plan]
    create_table_artifact(
        key="artifacts",
        table=[{"step": step.name, "key": artifact.key, "path": str(artifact.path)} for step, artifact in made],
        description=f"What `{experiment.name}` left in the cache",
    )
    last_step, last = made[-1]
    if last_step.stage.name == "report":
        page = publish(experiment.name, last, made).resolve()
        create_markdown_artifact(key="result", markdown=markdown_table(summary_of(last)))
        create_link_artifact(key="report", link=page.as_uri(), link_text=str(page))


def markdown_table(summary: Mapping[str, Mapping[str, object]]) -> str:
    """The result table: a row for each arm, mIoU in per cent with its spread over the seeds."""
    lines = ["| arm | labels | mIoU % |", "|---|---:|---:|"]
    for row in summary.values():
        miou = row["miou"]
        assert isinstance(miou, list)
        lines.append(f"| {row['title']} | {row['label_fraction']:.0%} | {Score(tuple(miou))} |")
    return "\n".join(lines)
