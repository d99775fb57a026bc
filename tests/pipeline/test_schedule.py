"""What starts next: first what fills the machine, alone; then the longest training; then what most steps wait for."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from pipeline.config import load_experiment
from pipeline.plan import Plan, Step
from pipeline.schedule import ready_steps, startable
from pipeline.steps import plan_experiment


def toys(toy: SimpleNamespace) -> Plan:
    """A step that no other reads, and two that a third one reads."""
    alone, one, two = (Step(f"numbers:{i}", toy.NUMBERS, toy.NumbersSettings(step=i)) for i in (0, 1, 2))
    inputs = {"numbers": "numbers:1", "extra": "numbers:2"}
    return Plan((alone, one, two, Step("total", toy.TOTAL, toy.TotalSettings(), inputs)))


def names(steps: list[Step]) -> list[str]:
    """Of steps."""
    return [step.name for step in steps]


def test_what_others_wait_for_starts_first(toy: SimpleNamespace) -> None:
    assert names(ready_steps(toys(toy), (), ())) == ["numbers:1", "numbers:2", "numbers:0"]
    assert names(ready_steps(toys(toy), ("numbers:1",), ("numbers:0",))) == ["numbers:2"]


@pytest.fixture(scope="module")
def experiment() -> Plan:
    """Three trainings from scratch, and a short one that follows a long pretraining."""
    arms = [
        {"name": name, "title": name, "label_fraction": 1.0, "pretrained": name == "pretrained",
         "changes": {"finetune": {"from_random": {"steps": steps}, "from_pretrained": {"steps": steps}},
                     "pretrain": {"optimiser": {"steps": 300}}}}
        for name, steps in {"short": 10, "long": 400, "middle": 20, "pretrained": 5}.items()
    ]  # fmt: skip
    return plan_experiment(*load_experiment("smoke", (f"arms={json.dumps(arms)}",)), "evaluate")


def test_the_longest_training_starts_first_and_pretraining_counts_what_follows(experiment: Plan) -> None:
    prepared = {step.name for step in experiment if step.stage.name not in ("pretrain", "finetune", "evaluate")}
    found = [name.split(":")[-2] for name in names(ready_steps(experiment, prepared, ()))]
    assert found == ["long", "pretrained", "middle", "short"]


def test_labelling_is_before_all_else_and_alone(experiment: Plan) -> None:
    done = {"world", "index"}
    ready = ready_steps(experiment, done, ())
    assert names(ready)[0] == "teacher_labels"
    assert len(ready) > 1
    assert names(startable(ready, [], 2, elsewhere=False)) == ["teacher_labels"]
    labelling, other = ready[:2]
    assert startable(ready[1:], [labelling], 2, elsewhere=False) == []
    assert startable(ready[:1], [other], 2, elsewhere=False) == []


def test_workers_on_other_machines_leave_this_one_free(experiment: Plan) -> None:
    ready = ready_steps(experiment, {"world", "index"}, ())
    assert startable(ready, [], 2, elsewhere=True) == ready[:2]
    assert startable(ready[1:], ready[:1], 2, elsewhere=True) == ready[1:2]


def test_no_more_start_than_there_are_jobs(toy: SimpleNamespace) -> None:
    first, *others = toys(toy).steps
    assert startable(others, [first], 3, elsewhere=False) == others[:2]
    assert startable(others, [first, replace(first, name="x")], 2, elsewhere=False) == []
