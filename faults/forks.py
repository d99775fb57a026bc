"""Work in a fork of this process: what it imports and starts, threads above all, ends with it."""

import ctypes
import json
import os
import struct
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Json = TypeVar("Json")


def fork() -> int:
    """As os.fork. A fork of a process with threads may hang: so none is made."""
    if len(list(Path("/proc/self/task").iterdir())) > 1:
        raise SystemExit("more than one thread: this process cannot fork; start it with OMP_NUM_THREADS=1")
    sys.stdout.flush()
    sys.stderr.flush()
    return os.fork()


def drop_capabilities() -> None:
    """Makes this process of root's keep to the permissions of files, as everyone else's does. Linux only.

    capset(2), version 3: two words each of effective, permitted and inheritable capabilities.
    """
    header, nothing = struct.pack("Ii", 0x20080522, 0), bytes(24)
    if ctypes.CDLL(None, use_errno=True).capset(header, nothing) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def in_fork(work: Callable[[], Json]) -> Json:
    """What `work` returns, a JSON value, from a fork.

    Raises:
        RuntimeError: with the traceback, if it fails there.
    """
    reading, writing = os.pipe()
    if (pid := fork()) == 0:
        try:
            os.close(reading)
            try:
                answer = json.dumps({"value": work()})
            except BaseException:
                answer = json.dumps({"error": traceback.format_exc()})
            with os.fdopen(writing, "w") as stream:
                stream.write(answer)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        text = stream.read()
    os.waitpid(pid, 0)
    content = json.loads(text or '{"error": "the fork was killed"}')
    if "error" in content:
        raise RuntimeError(content["error"])
    value: Json = content["value"]
    return value
