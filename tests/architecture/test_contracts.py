"""Every stage keeps the promises of `tests/contracts/stage.py`, and tests in a folder of its own say so."""

from pathlib import Path

import pytest

from pipeline.table import STAGES

TESTS = Path(__file__).parents[1]
PROMISES = ("check_rerun_does_nothing(", "check_changed_setting(", "check_kill_and_resume(")


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_is_held_to_the_contract(name: str) -> None:
    folder = TESTS.joinpath(*STAGES[name].split("."))
    text = "".join(file.read_text() for file in folder.glob("test_*.py"))
    assert [promise for promise in PROMISES if promise not in text] == []
