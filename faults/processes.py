"""Processes that are ended, and those that should have ended."""

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Literal

import psutil

from faults.program import VARIABLE

Victim = Literal["machine", "main process"]


def still_running(mark: str) -> list[int]:
    """Processes with that mark in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if mark in process.environ().get(VARIABLE, "") and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def end(pid: int, victim: Victim) -> None:
    """SIGKILL to the process, or to its whole group: then what would outlive it in memory is removed for it."""
    semaphores = _semaphores(pid) if victim == "machine" else set()
    try:
        (os.killpg if victim == "machine" else os.kill)(pid, signal.SIGKILL)
    except ProcessLookupError:  # it ended by itself
        return
    for file in semaphores:
        file.unlink(missing_ok=True)


def _semaphores(pid: int) -> set[Path]:
    """Named semaphores of a process and its children, which Python's resource tracker removes, unless it dies too."""
    found = set()
    with suppress(psutil.Error):
        for process in (main := psutil.Process(pid), *main.children(recursive=True)):
            with suppress(psutil.Error):
                found |= {Path(area.path) for area in process.memory_maps() if "/dev/shm/sem.mp-" in area.path}
    return found
