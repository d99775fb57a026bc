"""The program `bevprior`, watched: python -m faults.program ARGUMENTS.

$BEVPRIOR_FAULTS says what to log, what to count and when to kill. Worker processes that are spawned import this module
too, as Python does with the main module of whoever spawns them: so they are watched alike.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from typing import Any

from faults import ledger
from faults.triggers import Trigger, Watch, watch_buckets

VARIABLE = "BEVPRIOR_FAULTS"


@dataclass(frozen=True)
class Orders:
    """What a watched process is told.

    Attributes:
        ledger: file of what it computes.
        roots: the caches that it works on.
        trigger: when it is killed, None for never.
        notify: named pipe for `Trigger.how` "after".
        mark: what all processes that come of it have in their environment.
    """

    ledger: str
    roots: list[str] = field(default_factory=list)
    trigger: Trigger | None = None
    notify: str = ""
    mark: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Orders":
        content: dict[str, Any] = json.loads(text)
        trigger = content.pop("trigger")
        return cls(**content, trigger=trigger and Trigger(**trigger))


def watched(orders: Orders) -> Watch:
    """Watches this process from here on."""
    watch = Watch(orders.roots, orders.trigger, orders.notify)
    watch.install()
    ledger.write_to(orders.ledger)
    watch_buckets(watch)
    return watch


if VARIABLE in os.environ:
    watched(Orders.from_json(os.environ[VARIABLE]))

if __name__ == "__main__":
    from pipeline.cli import main

    main()
