"""A Prefect server, workers and deployments for tests, in processes of their own, on loopback only."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


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


def start_server(folder: Path, stack: ExitStack) -> dict[str, str]:
    """A running server with our deployments and no worker; the environment that talks to it.

    Args:
        folder: for the cache, the server's database and logs.
        stack: ends the server.
    """
    url = f"http://127.0.0.1:{free_port()}/api"
    temporary = folder / "tmp"  # Prefect's runner makes /tmp/runner_storage, which may be another user's
    temporary.mkdir()
    settings = {
        **os.environ,
        "TMPDIR": str(temporary),
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "BEVPRIOR_HOME": str(ROOT),
        "BEVPRIOR_CACHE": str(folder / "cache"),
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "NO_COLOR": "1",
    }
    log = folder / "server.log"
    port = url.rpartition(":")[2].removesuffix("/api")
    process = start(stack, settings, log, "prefect", "server", "start", "--host", "127.0.0.1", "--port", port)
    wait_for(lambda: responds(f"{url}/health"), process, log)
    prefect(settings, "work-pool", "create", "--type", "process", "bevprior")
    prefect(settings, "deploy", "--all")
    return settings


def start_worker(
    stack: ExitStack, environment: Mapping[str, str], log: Path, *arguments: str
) -> subprocess.Popen[bytes]:
    """A worker that takes what is scheduled within a second or so."""
    fast = {"PREFECT_WORKER_QUERY_SECONDS": "1"}
    return start(stack, {**environment, **fast}, log, "prefect", "worker", "start", "--pool", "bevprior", *arguments)


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


def post(environment: Mapping[str, str], path: str, body: object) -> Any:
    """What the server's API answers; as Prefect's own client does, it asks again while the database is busy."""
    request = urllib.request.Request(
        f"{environment['PREFECT_API_URL']}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    attempts = 20
    while True:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            attempts -= 1
            if error.code != HTTPStatus.SERVICE_UNAVAILABLE or attempts == 0:
                raise
            time.sleep(0.5)
