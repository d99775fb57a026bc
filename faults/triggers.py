"""Instants at which a process is killed, told apart by what it is about to do to the files of a cache.

An audit hook sees every call of Python's that changes a file, just before it is made; the product knows nothing of it.
What goes to a bucket goes past Python: there, the methods of `RemoteObjects` are watched.
"""

import os
import re
import signal
import sys
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

KINDS = {
    "unit file": r"tmp/(?P<stage>\w+)-\w+/data/(?!manifest[.\w]*json).+",
    "receipt": r"tmp/(?P<stage>\w+)-\w+/done/.+",
    "claim": r"tmp/(?P<stage>\w+)-\w+/(claims/.+|lead.*)",
    "record": r"tmp/(?P<stage>\w+)-\w+/(attempts/.+|total.*)|owners/.+|runs/.+",
    "manifest": r"(tmp/(?P<stage>\w+)-\w+/data|trash/[^/]+)/manifest[.\w-]*",
    "copied file": r"trash/.+",
}
"""What the path of a file below the cache, opened for writing, renamed or removed, says."""

PUBLISH, DISCARD, REMOVAL, BUCKET = "publishing rename", "discarding rename", "removal", "object in a bucket"
ALL_KINDS = (*KINDS, PUBLISH, DISCARD, REMOVAL, BUCKET)
How = Literal["before", "after", "worker", "pause"]


@dataclass(frozen=True)
class Trigger:
    """When, and how.

    Attributes:
        stage: whose files; "" for any.
        kind: one of `ALL_KINDS`.
        number: counts the calls of that kind, from 1 on.
        how: "before": this process ends its whole group before the call. "after": it tells who watches, and goes on,
            to be killed some instants later. "worker": it ends itself alone. "pause": it tells, and stops.
    """

    stage: str
    kind: str
    number: int
    how: How = "before"


class Watch:
    """Counts what this process does to the files below some caches, and kills where it is told to.

    Args:
        roots: absolute paths of caches.
        trigger: None only counts.
        notify: a named pipe, for "after" and "pause".
    """

    def __init__(self, roots: list[str], trigger: Trigger | None, notify: str) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self._roots, self._trigger, self._notify = roots, trigger, notify
        self._patterns = {kind: re.compile(pattern) for kind, pattern in KINDS.items()}
        self._removing = threading.local()
        self._matching = 0

    def install(self) -> None:
        """From here on; nothing takes an audit hook back."""
        sys.addaudithook(self._hook)

    def seen(self, stage: str, kind: str) -> None:
        """Counts one call, and kills if it is the one."""
        self.counts[stage, kind] += 1
        wanted = self._trigger
        if wanted is None or kind != wanted.kind or wanted.stage not in ("", stage):
            return
        self._matching += 1
        if self._matching != wanted.number:
            return
        if wanted.how == "before":
            os.killpg(0, signal.SIGKILL)
        elif wanted.how == "worker":
            os.kill(os.getpid(), signal.SIGKILL)
        else:
            descriptor = os.open(self._notify, os.O_WRONLY)
            os.write(descriptor, b"!")
            os.close(descriptor)
            if wanted.how == "pause":
                os.kill(os.getpid(), signal.SIGSTOP)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            written = isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if written and not isinstance(arguments[0], int):
                self._touched(os.fsdecode(arguments[0]))
        elif event == "os.rename":
            self._renamed(os.fsdecode(arguments[0]), os.fsdecode(arguments[1]))
        elif event == "shutil.rmtree":
            self._removing.root = os.fsdecode(arguments[0])
        elif event in ("os.remove", "os.rmdir"):
            name = os.fsdecode(arguments[0])
            root = getattr(self._removing, "root", "/")
            if name.startswith("/") and not name.startswith(root):
                self._touched(name)
            elif below := self._below(root):  # where rmtree removes, names are relative to a folder's descriptor
                self.seen(_stage_of(below), REMOVAL)

    def _renamed(self, source: str, target: str) -> None:
        old, new = self._below(source), self._below(target)
        if new.startswith("artifacts/"):
            self.seen(new.split("/")[1], PUBLISH)
        elif old.startswith("artifacts/"):
            self.seen(old.split("/")[1], DISCARD if new.startswith("trash/") else PUBLISH)
        elif old.startswith("tmp/") and new.startswith("trash/"):
            self.seen(_stage_of(old), REMOVAL)
        elif new:
            self._touched(target)

    def _touched(self, path: str) -> None:
        below = self._below(path)
        if not below:
            return
        for kind, pattern in self._patterns.items():
            if found := pattern.fullmatch(below):
                self.seen(found.groupdict().get("stage") or "", kind)
                return

    def _below(self, path: str) -> str:
        for root in self._roots:
            if path.startswith(f"{root}/"):
                return path[len(root) + 1 :]
        return ""


def watch_buckets(watch: Watch) -> None:
    """Lets `watch` see what goes to a bucket: each object, before its request."""
    from cache.remote import RemoteObjects

    for name in ("put", "delete", "_upload"):
        plain = getattr(RemoteObjects, name)

        def watched(self: RemoteObjects, *arguments: Any, plain: Any = plain, **options: Any) -> Any:
            watch.seen(_stage_of(str(arguments[0])), BUCKET)
            return plain(self, *arguments, **options)

        setattr(RemoteObjects, name, watched)


def _stage_of(name: str) -> str:
    """The stage in the name of a folder or an object of a cache, "" where there is none."""
    parts = Path(name).parts
    if len(parts) > 1 and parts[0] == "artifacts":
        return parts[1]
    return parts[1].split("-")[0] if len(parts) > 1 and parts[0] in ("tmp", "trash") else ""
