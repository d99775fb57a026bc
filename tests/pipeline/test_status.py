"""What a plan says about each step, and why it would run."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from cache.store import Store
from pipeline.inline import run_inline
from pipeline.plan import Plan, Step
from pipeline.status import survey
from stages.stage import Runtime


def toy_plan(toy: SimpleNamespace, count: int = 3, step: int = 1, offset: int = 0) -> Plan:
    return Plan(
        (
            Step("numbers", toy.NUMBERS, toy.NumbersSettings(count=count, step=step)),
            Step("total", toy.TOTAL, toy.TotalSettings(offset=offset), {"numbers": "numbers"}),
        )
    )


def run(plan: Plan, store: Store) -> list[bool]:
    """Which steps had to be made."""
    return [o.built for o in run_inline(plan, store, Runtime(), Console(quiet=True))]


def test_nothing_made_yet(toy: SimpleNamespace, store: Store) -> None:
    first, second = survey(toy_plan(toy), store)
    assert (first.state, first.why) == ("missing", "never made here")
    assert (second.state, second.key, second.why) == ("missing", None, "waits for numbers")
    assert not store.root.exists()


def test_a_run_caches_every_step_and_a_rerun_makes_none(toy: SimpleNamespace, store: Store) -> None:
    assert run(toy_plan(toy), store) == [True, True]
    assert run(toy_plan(toy), store) == [False, False]
    assert [s.state for s in survey(toy_plan(toy), store)] == ["cached", "cached"]


def test_a_changed_setting_is_named_with_old_and_new_value(toy: SimpleNamespace, store: Store) -> None:
    made = run_inline(toy_plan(toy), store, Runtime(), Console(quiet=True))
    status = survey(toy_plan(toy, count=4), store)[0]
    assert status.state == "missing"
    assert status.why == f"differs from {made[0].artifact.key[:12]} in count: 3 -> 4"


def test_a_changed_input_is_named(toy: SimpleNamespace, store: Store) -> None:
    run(toy_plan(toy), store)
    run(toy_plan(toy, step=2).until("numbers"), store)
    assert "input numbers: " in survey(toy_plan(toy, step=2), store)[1].why


def test_equal_output_stops_the_ripple(toy: SimpleNamespace, store: Store) -> None:
    run(toy_plan(toy, count=1, step=1), store)
    # Another setting, the same bytes: the only number is 0 times the step.
    assert run(toy_plan(toy, count=1, step=2), store) == [True, False]


def test_a_killed_step_is_partial_and_goes_on(
    toy: SimpleNamespace, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_FAILS_AT", "2")
    with pytest.raises(RuntimeError, match="power cut"):
        run(toy_plan(toy), store)
    status = survey(toy_plan(toy), store)[0]
    assert status.state == "partial"
    assert status.why.startswith("2 of 3 units done")
    monkeypatch.delenv("TOY_FAILS_AT")
    assert run(toy_plan(toy), store) == [True, True]


def test_what_a_stage_reads_from_outside_is_part_of_the_key(toy: SimpleNamespace, store: Store, tmp_path: Path) -> None:
    data = tmp_path / "data.txt"
    data.write_text("a" * 64)
    numbers = Step("numbers", toy.NUMBERS, toy.NumbersSettings())
    reader = Step("reader", toy.READER, toy.TotalSettings(), {"numbers": "numbers"}, data_root=tmp_path)
    plan = Plan((numbers, reader))
    run(plan, store)
    data.write_text("b" * 64)
    assert survey(plan, store)[1].why.endswith("external data: aaaaaaaaaaaa -> bbbbbbbbbbbb")


def test_damage_to_another_artifact_is_no_matter_of_a_plan(toy: SimpleNamespace, store: Store) -> None:
    made = run_inline(toy_plan(toy), store, Runtime(), Console(quiet=True))
    run(toy_plan(toy, count=4), store)
    (made[0].artifact.path / "manifest.json").write_text("{}")
    changed, total = survey(toy_plan(toy, count=4, offset=1), store)
    assert (changed.state, total.state) == ("cached", "missing")
    assert "offset: 0 -> 1" in survey(toy_plan(toy, count=4, offset=1), store)[1].why
