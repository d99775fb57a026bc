"""Two toy stages, real ones in small: `numbers` writes units one by one, `total` adds them up."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from cache.store import Store

TOY = """
import os
from pathlib import Path
from scene.settings import Settings
from stages.stage import Stage

class NumbersSettings(Settings):
    count: int = 3
    step: int = 1

class TotalSettings(Settings):
    offset: int = 0

def numbers(run):
    run.build.expect(run.settings.count)
    for i in range(run.settings.count):
        if run.build.is_done(str(i)):
            continue
        if os.environ.get("TOY_FAILS_AT") == str(i):
            raise RuntimeError("power cut")
        if os.environ.get("TOY_IS_KILLED_AT") == str(i):
            os.kill(os.getpid(), 9)
        (run.build.path / f"{i}.txt").write_text(str(i * run.settings.step))
        run.build.mark_done(str(i))
    return {"count": run.settings.count}

def total(run):
    files = run.inputs["numbers"].path.glob("*.txt")
    (run.build.path / "total.txt").write_text(str(run.settings.offset + sum(int(f.read_text()) for f in files)))
    return {}

def outside(settings, data_root):
    return {"data": Path(data_root, "data.txt").read_text()}

NUMBERS = Stage("numbers", 1, NumbersSettings, (), "toy_stages:numbers")
TOTAL = Stage("total", 1, TotalSettings, ("numbers", "extra?"), "toy_stages:total")
def alone(run):
    import time
    seconds = [time.monotonic()]
    numbers(run)
    time.sleep(0.2)
    run.build.record(seconds=[*seconds, time.monotonic()])

ALONE = Stage("alone", 1, NumbersSettings, (), "toy_stages:alone", fills_machine=True)
BESIDE = Stage("beside", 1, NumbersSettings, (), "toy_stages:alone")
READER = Stage("reader", 1, TotalSettings, ("numbers",), "toy_stages:total", True, "toy_stages:outside")
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The toy stages' module."""
    folder = tmp_path / "toy"
    folder.mkdir()
    (folder / "toy_stages.py").write_text(TOY)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "toy_stages", raising=False)
    import toy_stages

    return toy_stages


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty cache."""
    return Store(tmp_path / "cache")
