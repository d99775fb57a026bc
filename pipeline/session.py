"""One inline run from request to report."""

from dataclasses import replace

from rich.console import Console

from pipeline.console import result_table
from pipeline.execute import Outcome
from pipeline.inline import run_inline
from pipeline.publish import publish, summary_of
from pipeline.request import ExperimentRequest
from pipeline.runlog import RunLog


def run_and_report(request: ExperimentRequest, console: Console) -> list[Outcome]:
    """Runs the request in this process; prints one line per step, then the result table and where the report is.

    Raises:
        scene.errors.InputError: for what a user can mend.
    """
    experiment, plan = request.load()
    store = request.open_cache()
    log = RunLog(store, experiment.name)
    outcomes = run_inline(plan, store, experiment.runtime, console, log.finished)
    outcomes[-1] = replace(outcomes[-1], artifact=store.materialise(outcomes[-1].artifact))
    last = outcomes[-1]
    if last.step.stage.name == "report":
        page = publish(experiment.name, last.artifact, [(o.step, o.artifact) for o in outcomes])
        console.print()
        console.print(result_table(summary_of(last.artifact)))
        console.print(f"\nreport: {page}", highlight=False)
    else:
        console.print(f"\n{last.step.stage.name}: {last.artifact.path}", highlight=False)
    return outcomes
