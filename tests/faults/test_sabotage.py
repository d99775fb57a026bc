"""The harness for kills notices every kind of broken promise; and says nothing where all are kept."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.test_quick import ENVIRONMENT, ROOT


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    command = [sys.executable, str(Path(__file__).with_name("sabotage.py")), str(tmp_path_factory.mktemp("sabotage"))]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found


def test_an_honest_stage_keeps_its_promises(verdicts: dict[str, dict[str, Any]]) -> None:
    assert verdicts["honest"] == {"kills": 1, "done": 1, "broken": []}


@pytest.mark.parametrize(
    ("stage", "told"),
    [
        ("forgetful", "was done, and is computed again"),
        ("inconstant", "instead of"),
        ("hasty", "half an artifact"),
        ("failing", "status 1"),
    ],
)
def test_broken_promises_are_told(verdicts: dict[str, dict[str, Any]], stage: str, told: str) -> None:
    assert verdicts[stage]["kills"] == 1
    assert any(told in line for line in verdicts[stage]["broken"])
