"""The Prefect engine against a real server and a real worker, both processes of this test, on loopback only."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from cache.store import Store

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
EXPERIMENT = {"config": "smoke", "until": "index"}
pytestmark = pytest.mark.timeout(300)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def start(stack: ExitStack, environment: Mapping[str, str], log: Path, *command: str) -> subprocess.Popen[bytes]:
    """A background process in a session of its own, which ends with the test, and all its children with it."""
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [BIN / command[0], *command[1:]],
            cwd=ROOT,
            env=environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    stack.callback(stop, process)
    return process


def stop(process: subprocess.Popen[bytes]) -> None:
    for number, patience_s in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)


def wait_for(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A running Prefect server with a worker and our deployments; yields the environment that talks to it."""
    tmp_path = tmp_path_factory.mktemp("prefect")
    url = f"http://127.0.0.1:{free_port()}/api"
    settings = {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "BEVPRIOR_HOME": str(ROOT),
        "BEVPRIOR_CACHE": str(tmp_path / "cache"),
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_API_URL": url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "NO_COLOR": "1",
    }
    with ExitStack() as stack:
        log = tmp_path / "server.log"
        port = url.rpartition(":")[2].removesuffix("/api")
        server = start(stack, settings, log, "prefect", "server", "start", "--host", "127.0.0.1", "--port", port)
        wait_for(lambda: responds(f"{url}/health"), server, log)
        prefect(settings, "work-pool", "create", "--type", "process", "bevprior")
        start(stack, settings, tmp_path / "worker.log", "prefect", "worker", "start", "--pool", "bevprior")
        prefect(settings, "deploy", "--all")
        yield settings


def responds(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:
        return bool(answer.status == 200)
    return False


def prefect(environment: Mapping[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [BIN / "prefect", "--no-prompt", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def post(environment: Mapping[str, str], path: str, body: object) -> list[dict[str, object]]:
    request = urllib.request.Request(
        f"{environment['PREFECT_API_URL']}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: list[dict[str, object]] = json.loads(answer.read())
        return found


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
