"""What processes compute, written down as they do it: units begun, units done, stages entered.

The functions of the product are wrapped here, from outside. A line is one write to a file opened for appending, so a
kill leaves whole lines.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Event:
    """One line.

    Attributes:
        what: "begun", "done" of a unit; "entered" of a stage.
        build: <stage>-<key>.
        unit: "" for a stage.
        pid: of the process.
    """

    what: str
    build: str
    unit: str
    pid: int


def write_to(file: str) -> None:
    """From here on, this process logs to `file`."""
    import stages.stage
    from cache.build import Build

    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)

    def log(what: str, build: Any, unit: str = "") -> None:
        line = {"what": what, "build": build.path.parent.name, "unit": unit, "pid": os.getpid()}
        os.write(descriptor, (json.dumps(line) + "\n").encode())

    claim, mark_done, run = Build._claim, Build.mark_done, stages.stage.Stage.run

    def logged_claim(self: Build, unit: str) -> bool:
        claimed = claim(self, unit)
        if claimed:
            log("begun", self, unit)
        return claimed

    def logged_mark_done(self: Build, unit: str, *arguments: Any, **options: Any) -> None:
        if unit not in self._claimed_at_s:  # a stage with a single unit claims the whole artifact
            log("begun", self, unit)
        mark_done(self, unit, *arguments, **options)
        log("done", self, unit)

    def logged_run(self: stages.stage.Stage, stage_run: stages.stage.StageRun) -> Mapping[str, Any]:
        log("entered", stage_run.build)
        return run(self, stage_run)

    Build._claim = logged_claim  # type: ignore[method-assign]
    Build.mark_done = logged_mark_done  # type: ignore[method-assign]
    stages.stage.Stage.run = logged_run  # type: ignore[method-assign]


def read(file: Path) -> Iterator[Event]:
    """What was logged, in order."""
    if file.exists():
        for line in file.read_text().splitlines():
            yield Event(**json.loads(line))
