"""A bucket for tests: the S3 server in a process of its own on 127.0.0.1, and ways to break the road to it."""

import os
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

SECRET = "a-secret-that-no-message-may-hold"


@contextmanager
def environment(port: int) -> Iterator[None]:
    """The AWS variables that lead to the server, and no others."""
    with pytest.MonkeyPatch.context() as patch:
        for variable in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(variable)
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "tests")
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        yield


@contextmanager
def server(*options: str) -> Iterator[int]:
    """Runs a server that has the bucket `tests`; its port."""
    command = [sys.executable, str(Path(__file__).parent / "s3_server.py"), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            _create_bucket(port)
            yield port
        finally:
            process.kill()


def _create_bucket(port: int) -> None:
    signed = "AWS4-HMAC-SHA256 Credential=tests/20250101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
    request = urllib.request.Request(f"http://127.0.0.1:{port}/tests", method="PUT", headers={"Authorization": signed})
    urllib.request.urlopen(request).close()


class Road:
    """A TCP relay to a server, as a context, that can be cut: the network between here and there.

    Attributes:
        port: where it listens.
        cut_after: bytes of the server's that a connection passes before it is dropped; None passes all.
        swallow_answers: how many connections to drop as soon as the server answers.
    """

    def __init__(self, to_port: int) -> None:
        self._to_port, self._listener = to_port, socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.cut_after: int | None = None
        self.swallow_answers = 0
        self._connections: list[socket.socket] = []

    def __enter__(self) -> "Road":
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends every connection and refuses new ones, as when the server dies."""
        for end in (self._listener, *self._connections):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def reopen(self) -> None:
        """Listens again where it did."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.__enter__()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to_port))
                self._connections += [near, far]
                threading.Thread(target=self._pass, args=(near, far), daemon=True).start()
                threading.Thread(target=self._pass_back, args=(far, near), daemon=True).start()

    def _pass(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while data := near.recv(65536):
                far.sendall(data)

    def _pass_back(self, far: socket.socket, near: socket.socket) -> None:
        passed = 0
        with suppress(OSError):
            while data := far.recv(4096):
                if self.swallow_answers:
                    self.swallow_answers -= 1
                    break
                if self.cut_after is not None and passed + len(data) > self.cut_after:
                    break
                near.sendall(data)
                passed += len(data)
        for end in (near, far):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
