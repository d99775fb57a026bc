"""The Prefect engine against a real server and a real worker, both processes of this test, on loopback only."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cache.store import Store
from tests.pipeline.prefect_processes import BIN, ROOT, post, prefect, start_server, start_worker

EXPERIMENT = {"config": "smoke", "until": "index"}
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A running Prefect server with a worker and our deployments; yields the environment that talks to it."""
    folder = tmp_path_factory.mktemp("prefect")
    with ExitStack() as stack:
        settings = start_server(folder, stack)
        start_worker(stack, settings, folder / "worker.log")
        yield settings


def test_a_deployment_runs_on_a_worker_and_fills_the_cache(environment: dict[str, str]) -> None:
    parameters = json.dumps({"request": EXPERIMENT})
    log = prefect(
        environment, "deployment", "run", "bevprior/demo", "--params", parameters, "--watch", "--watch-timeout", "150"
    )
    (run,) = post(environment, "/flow_runs/filter", {})
    assert run["state_type"] == "COMPLETED", log
    stages = {artifact.stage for artifact in Store(environment["BEVPRIOR_CACHE"]).artifacts()}
    assert stages == {"world", "index"}
    tasks = {task["name"].split("-")[0] for task in post(environment, "/task_runs/filter", {}) if task["name"]}
    assert tasks == {"world", "index"}
    assert [a["key"] for a in post(environment, "/artifacts/filter", {})] == ["artifacts"]


def test_a_deployment_runs_in_the_checkout_and_its_form_is_the_request(environment: dict[str, str]) -> None:
    deployments = {d["name"]: d for d in post(environment, "/deployments/filter", {})}
    assert set(deployments) == {"demo", "nuscenes"}
    assert deployments["demo"]["job_variables"] == {"working_dir": str(ROOT)}
    schema = deployments["demo"]["parameter_openapi_schema"]
    assert isinstance(schema, dict)
    assert set(schema["definitions"]["ExperimentRequest"]["properties"]) == {
        "config",
        "until",
        "overrides",
        "cache",
        "skip_bad_frames",
    }


def test_bad_input_is_one_line_and_a_state_by_that_name(environment: dict[str, str], tmp_path: Path) -> None:
    root = f"data.root={tmp_path / 'nowhere'}"
    command = ("run", "nuscenes", "--engine", "prefect", "--until", "index", "--set", root, "--cache", tmp_path / "c")
    done = subprocess.run(
        [BIN / "bevprior", *command], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("bevprior: ")]
    (run,) = post(environment, "/flow_runs/filter", {"flow_runs": {"state": {"name": {"any_": ["BadInput"]}}}})
    assert "nowhere" in line
    assert run["state"]["message"] == line.removeprefix("bevprior: ")  # type: ignore[index]
