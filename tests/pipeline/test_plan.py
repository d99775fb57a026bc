"""Plans: order, roles, pruning."""

from types import SimpleNamespace

import pytest

from pipeline.plan import Plan, Step
from scene.errors import InputError


def toy_plan(toy: SimpleNamespace) -> Plan:
    numbers = Step("numbers", toy.NUMBERS, toy.NumbersSettings())
    unused = Step("numbers:2", toy.NUMBERS, toy.NumbersSettings(step=2))
    return Plan((numbers, unused, Step("total", toy.TOTAL, toy.TotalSettings(), {"numbers": "numbers"})))


def test_until_keeps_a_stage_and_its_ancestors_only(toy: SimpleNamespace) -> None:
    plan = toy_plan(toy)
    assert [s.name for s in plan.until("total")] == ["numbers", "total"]
    assert [s.name for s in plan.until("numbers")] == ["numbers", "numbers:2"]


def test_the_step_that_makes_the_data_set_is_an_ancestor(toy: SimpleNamespace) -> None:
    reader = Step("reader", toy.READER, toy.TotalSettings(), {"numbers": "numbers"}, data_step="numbers:2")
    plan = Plan((*toy_plan(toy).steps[:2], reader))
    assert [s.name for s in plan.until("reader")] == ["numbers", "numbers:2", "reader"]


def test_until_an_unknown_stage_names_the_known_ones(toy: SimpleNamespace) -> None:
    with pytest.raises(InputError, match="numbers, total"):
        toy_plan(toy).until("totl")


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({}, "no input for"),
        ({"numbers": "total"}, "no earlier step"),
        ({"numbers": "numbers", "x": "numbers"}, "no 'x'"),
    ],
)
def test_inputs_must_be_made_before_and_declared(toy: SimpleNamespace, inputs: dict[str, str], says: str) -> None:
    numbers = Step("numbers", toy.NUMBERS, toy.NumbersSettings())
    with pytest.raises(ValueError, match=says):
        Plan((numbers, Step("total", toy.TOTAL, toy.TotalSettings(), inputs)))
