"""The Prefect engine: a flow for an experiment, a task for each step. A thin skin over the plan.

Whether a step runs is decided by our cache, below Prefect, so its own caching and result storage stay off. Tasks take
and return keys, never arrays.
"""

from collections.abc import Mapping

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Failed

from pipeline.execute import execute
from pipeline.publish import publish, summary_of
from pipeline.request import ExperimentRequest
from pipeline.runlog import RunLog
from scene.errors import InputError
from stages.learn.report.table import Score

BAD_INPUT = "BadInput"
"""Name of the failed state of a run that the user can mend: its message is the one line, and there is no traceback."""


def bad_input(line: object) -> State[str]:
    """The final state of a task or a flow that met bad input."""
    return Failed(name=BAD_INPUT, message=str(line))


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="{step}")
def run_step(request: ExperimentRequest, step: str, keys: Mapping[str, str]) -> str | State[str]:
    """Makes the artifact of one step, or finds it, and returns its key; for bad input, that state.

    Args:
        request: the experiment that the step belongs to.
        step: its name in the plan.
        keys: of the artifacts made before it, by step name.
    """
    try:
        experiment, plan = request.load()
        store = request.open_cache()
        wanted = next(s for s in plan if s.name == step)
        artifacts = {name: store.find(keys[name]) for name in wanted.needs}
        outcome = execute(wanted, artifacts, store, experiment.runtime)
    except InputError as error:
        return bad_input(error)
    state = f"made in {outcome.wall_s:.1f} s" if outcome.built else "cached"
    get_run_logger().info("%s: %s, %s", step, state, outcome.artifact.path)
    return outcome.artifact.key


@flow(name="bevprior", flow_run_name="{request.config}", persist_result=False)
def run_experiment(request: ExperimentRequest) -> dict[str, str] | State[str]:
    """Runs an experiment; the key of every step's artifact by the step's name, or the state that bad input left."""
    try:
        experiment, plan = request.load()
        log = RunLog(request.open_cache(), experiment.name)
    except InputError as error:
        return bad_input(error)
    keys: dict[str, str] = {}
    for step in plan:
        named = run_step.with_options(name=step.stage.name)
        state = named(request, step.name, {name: keys[name] for name in step.needs}, return_state=True)
        if state.name == BAD_INPUT:
            return bad_input(state.message)
        keys[step.name] = state.result()  # raises what is not the user's to mend
        log.add(step.name, keys[step.name])
    show_in_ui(request, keys)
    return keys


def run_here(request: ExperimentRequest) -> dict[str, str]:
    """Runs the flow in this process.

    Raises:
        scene.errors.InputError: for what the user can mend.
    """
    state = run_experiment(request, return_state=True)
    if state.name == BAD_INPUT:
        raise InputError(state.message or BAD_INPUT)
    keys: dict[str, str] = state.result()
    return keys


def show_in_ui(request: ExperimentRequest, keys: Mapping[str, str]) -> None:
    """Prefect artifacts of a finished run: the artifacts made, and the result table with a link to the report."""
    experiment, plan = request.load()
    store = request.open_cache()
    made = [(step, store.find(keys[step.name])) for step in plan]
    create_table_artifact(
        key="artifacts",
        table=[{"step": step.name, "key": artifact.key, "path": str(artifact.path)} for step, artifact in made],
        description=f"What `{experiment.name}` left in the cache",
    )
    last_step, last = made[-1]
    if last_step.stage.name == "report":
        last = store.materialise(last)
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
