"""Trials of stages that break promises: what the harness says of each, as JSON. A script: it forks.

python sabotage.py FOLDER
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from cache.store import Store
from faults.attempts import Command, Kill
from faults.forks import in_fork
from faults.layout import finished
from faults.trials import FolderView, Trial, carry_out
from faults.triggers import Trigger
from tests.cache import toy


def honest(root: Path) -> None:
    toy.recipe(root)


def forgetful(root: Path) -> None:
    """Forgets what was done."""
    for receipt in root.glob("tmp/*/done/*.json"):
        receipt.unlink()
    toy.recipe(root)


def inconstant(root: Path) -> None:
    """Writes something else after a kill."""
    resumed = any(root.glob("tmp/*"))
    Store(root).get_or_build(toy.spec(), {}, lambda build: toy.fill(build, slope=4 if resumed else 3), shared=True)


def hasty(root: Path) -> None:
    """Shows the manifest before the files are there."""
    target = root / "artifacts" / "toy" / toy.spec().key
    if target.exists():
        shutil.rmtree(target)
    else:
        shutil.copytree(root.parent / "whole" / "artifacts" / "toy" / target.name, target)
        (target / "text.txt").unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    toy.recipe(root)


def failing(root: Path) -> None:
    """Cannot go on after a kill."""
    if any(root.glob("tmp/*")):
        raise SystemExit(1)
    toy.recipe(root)


def judged(folder: Path, work: Callable[[Path], None]) -> dict[str, object]:
    root = folder / work.__name__
    expected = {name: found.output_digest for name, found in finished(folder / "whole").items()}
    command = Command((), str(root), folder / f"{work.__name__}-work", [root], work=lambda: work(root))
    kill = Kill(Trigger("toy", "receipt", 3))
    found = carry_out(Trial("toy", command, (kill,), (FolderView(root),), expected))
    return {"kills": found.kills.total(), "done": found.done_before, "broken": found.broken}


if __name__ == "__main__":
    given = Path(sys.argv[1])
    in_fork(lambda: toy.recipe(given / "whole")[1])
    trials = (honest, forgetful, inconstant, hasty, failing)
    print(json.dumps({work.__name__: judged(given, work) for work in trials}))
