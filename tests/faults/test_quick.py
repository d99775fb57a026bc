"""The harnesses, each in a small dose."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def reports() -> dict[str, dict[str, Any]]:
    command = [sys.executable, "-m", "faults.quick"]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", ["kills", "races", "corruption"])
def test_every_promise_is_kept(reports: dict[str, dict[str, Any]], name: str) -> None:
    assert reports[name]["broken"] == []


def test_kills_hit_and_were_resumed(reports: dict[str, dict[str, Any]]) -> None:
    report = reports["kills"]
    assert report["kills"] >= 12
    assert report["units and artifacts done when a kill came"] > 0
    assert report["output digests compared with the undisturbed run's"] >= report["trials"]
    assert report["rows"][-1]["all"] == report["kills"]


def test_work_was_shared(reports: dict[str, dict[str, Any]]) -> None:
    run, toy = reports["races"]["rows"]
    assert run["units computed"] == 6  # three scenes, the index, the ground, one shard of geometry
    assert toy["units computed"] == 4
    assert toy["artifacts"] == 1


def test_damage_was_named_and_repaired(reports: dict[str, dict[str, Any]]) -> None:
    report = reports["corruption"]
    assert report["damages"] == 60
    assert report["repairs with the same output digest"] == "3 of 3"
    arrays = [row for row in report["rows"] if row["kind of file"].startswith("Zarr")]
    assert sum(row["array: error"] for row in arrays) >= 8
