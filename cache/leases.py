"""Who works on what: claims held by owners that show that they are alive.

An owner is one build in one process. It keeps a record whose counter it raises every few seconds; a claim names its
owner. No clock is ever compared with another machine's, or with itself after a jump: an observer calls an owner dead

- when it has seen the same count for longer than the owner's `duration_s`, by its own monotonic clock, or
- at once, when the owner's process ran on this machine and has ended, or the owner was of the observer's own process.

It then puts a tombstone in place of the owner's record, which frees all that the owner had claimed. An owner that was
only slow meets it at its next beat, knows that it is lost, and marks nothing done any more.
"""

import json
import os
import re
import socket
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cache.objects import ABSENT, ConflictError, Object, Objects
from scene.errors import InputError

DURATION_S = 60.0
"""How long an owner may be silent before others take over its work."""

BEATS_PER_DURATION = 6
OWNERS = "owners"
TOMBSTONE = b"dead"


class LeaseLostError(Exception):
    """Others took this process for dead, and its work over: it was silent for too long."""


class Owner:
    """This process's right to claim work, as a context: it beats in a thread until the block ends.

    Attributes:
        id: 32 hexadecimal digits.
    """

    def __init__(self, objects: Objects, duration_s: float | None = None) -> None:
        self.id = uuid.uuid4().hex
        self._objects, self._duration_s = objects, duration_s or lease_duration_s()
        self._beat, self._version = 0, ABSENT
        self._seen: dict[str, tuple[str, float]] = {}
        self._stop, self._lost = threading.Event(), threading.Event()

    def __enter__(self) -> Self:
        self._write()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        _ended_here.add(self.id)
        with suppress(ConflictError, OSError, InputError):
            self._objects.delete(_record(self.id))

    def check(self) -> None:
        """Raises LeaseLostError if others have taken this owner for dead."""
        if self._lost.is_set():
            raise LeaseLostError(f"this process was silent for {self._duration_s:.0f} s and others took over its work")

    def claim(self, name: str) -> bool:
        """Claims `name`; False if it is another living owner's. Claiming what is one's own changes nothing."""
        self.check()
        found = self._objects.read(name)
        if found is not None:
            holder = found.data.decode("ascii", "replace")
            if holder == self.id:
                return True
            if not self.is_dead(holder):
                return False
        try:
            self._objects.put(name, self.id.encode(), expect=ABSENT if found is None else found.version, durable=False)
        except ConflictError:
            return False
        return True

    def release(self, name: str) -> None:
        """Gives a claim back; nothing happens if it is not this owner's any more."""
        found = self._objects.read(name)
        if found is not None and found.data == self.id.encode():
            with suppress(ConflictError):
                self._objects.delete(name, expect=found.version)

    def is_dead(self, owner: str) -> bool:
        """Whether `owner` has ended or been silent for too long; if so, it knows before it marks more done."""
        found = self._objects.read(_record(owner)) if _ID.fullmatch(owner) else None
        if found is None:
            return True
        if found.data == TOMBSTONE:
            return True
        version, since_s = self._seen.setdefault(owner, (found.version, time.monotonic()))
        if version != found.version:
            self._seen[owner] = (found.version, since_s := time.monotonic())
        if owner not in _ended_here and not has_ended(found) and time.monotonic() - since_s <= silence_allowed_s(found):
            return False
        try:  # in two steps: a bucket can swap on a condition, not delete on one
            version = self._objects.put(_record(owner), TOMBSTONE, expect=found.version, durable=False)
        except ConflictError:  # it beat at the last moment, or another observer was quicker
            return False
        with suppress(ConflictError):
            self._objects.delete(_record(owner), expect=version)
        return True

    def _run(self) -> None:
        while not self._stop.wait(self._duration_s / BEATS_PER_DURATION):
            try:
                self._write()
            except ConflictError:
                self._lost.set()
                return
            except (OSError, InputError):  # a full disk or a network away: silence decides, not this
                continue

    def _write(self) -> None:
        self._beat += 1
        record = {**place(), "beat": self._beat, "duration_s": self._duration_s}
        data = json.dumps(record).encode()
        try:
            self._version = self._objects.put(_record(self.id), data, expect=self._version, durable=False)
        except ConflictError:
            # An earlier beat whose answer was lost may have arrived: then the record is still this owner's.
            found = self._objects.read(_record(self.id))
            if found is None or found.data == TOMBSTONE:
                raise
            self._version = self._objects.put(_record(self.id), data, expect=found.version, durable=False)


def living_owners(objects: Objects) -> set[str]:
    """Owners with a record, those excepted whose process is known to have ended. A silent one counts as alive."""
    living = set()
    for name, _ in objects.scan(OWNERS):
        found = objects.read(name)
        owner = name.removeprefix(f"{OWNERS}/").removesuffix(".json")
        if found is not None and found.data != TOMBSTONE and owner not in _ended_here and not has_ended(found):
            living.add(owner)
    return living


def has_ended(record: Object) -> bool:
    """Whether the record is of a process of this machine that is no more; a number used again is another process."""
    content = _parsed(record)
    if MACHINE is None or content.get("machine") != MACHINE:
        return False
    return content.get("started") != _started(content.get("pid"))


def silence_allowed_s(record: Object) -> float:
    """For how long the record's owner may be silent."""
    value = _parsed(record).get("duration_s")
    return float(value) if isinstance(value, int | float) else DURATION_S


def lease_duration_s() -> float:
    """How long owners of this process may be silent: $BEVPRIOR_LEASE_S, or `DURATION_S`."""
    return float(os.environ.get("BEVPRIOR_LEASE_S", DURATION_S))


_ended_here: set[str] = set()
"""Owners of this process that are no more, whose record could not be deleted perhaps: a network that was away."""

_ID = re.compile(r"[0-9a-f]{32}")


def _record(owner: str) -> str:
    return f"{OWNERS}/{owner}.json"


def _parsed(record: Object) -> dict[str, Any]:
    try:
        content = json.loads(record.data)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _started(pid: object) -> str | None:
    """When the process with this number started, in ticks since boot; None where there is none (or no /proc)."""
    try:
        return Path(f"/proc/{int(str(pid))}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, ValueError, IndexError):
        return None


def _machine() -> str | None:
    """This boot of this machine and this namespace of process numbers; None where that cannot be told."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None


def place() -> dict[str, Any]:
    """What another process needs to know to see that this one has ended."""
    return {"host": socket.gethostname(), "machine": MACHINE, "pid": os.getpid(), "started": _started(os.getpid())}


MACHINE = _machine()
