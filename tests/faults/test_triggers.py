"""Which call on which file is which kind of instant."""

import json
import signal
import subprocess
import sys
from collections import Counter

import pytest

from faults.triggers import DISCARD, PUBLISH, REMOVAL, _stage_of
from tests.faults.test_quick import ENVIRONMENT, ROOT

CALLS = """
import json, os, shutil, sys
from pathlib import Path
from faults.triggers import Trigger, Watch
root = Path(sys.argv[1])
trigger = Trigger(*json.loads(sys.argv[2])) if len(sys.argv) > 2 else None
watch = Watch([str(root)], trigger, "")
watch.install()
work = root / "tmp" / "toy-0a" / "data"
for folder in (work / "x.zarr", work.parent / "done", work.parent / "claims", root / "owners", root / "trash" / "t",
               root / "artifacts" / "toy"):
    folder.mkdir(parents=True)
for file in ("tmp/toy-0a/data/x.zarr/c", "tmp/toy-0a/done/u.json", "tmp/toy-0a/claims/u.claim", "tmp/toy-0a/lead",
             "owners/1.json", "tmp/toy-0a/data/manifest.json.1-2.partial", "trash/t/x", "trash/t/manifest.json"):
    (root / file).write_text("x")
(root / "tmp/toy-0a/data/x.zarr/c").read_text()
(work).rename(root / "artifacts" / "toy" / "0a")
(root / "artifacts" / "toy" / "0a").rename(root / "trash" / "toy-0a-1")
shutil.rmtree(root / "trash" / "toy-0a-1")
Path(sys.argv[1] + ".elsewhere").write_text("x")
print(json.dumps([[*key, n] for key, n in watch.counts.items()]))
"""


def calls(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", CALLS, *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False, start_new_session=True
    )


def test_calls_are_told_apart(tmp_path):
    done = calls(str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr
    found = Counter({(stage, kind): n for stage, kind, n in json.loads(done.stdout)})
    removals = found.pop(("toy", REMOVAL))
    assert removals >= 3  # two files and two folders; which of them Python names is its own affair
    assert found == {
        ("toy", "unit file"): 1,
        ("toy", "receipt"): 1,
        ("toy", "claim"): 2,
        ("", "record"): 1,
        ("toy", "manifest"): 1,
        ("", "copied file"): 1,
        ("", "manifest"): 1,
        ("toy", PUBLISH): 1,
        ("toy", DISCARD): 1,
    }


@pytest.mark.parametrize("kind", ["unit file", "receipt", PUBLISH, DISCARD, REMOVAL])
def test_the_process_dies_before_the_call(tmp_path, kind):
    cache = tmp_path / "cache"
    done = calls(str(cache), f'["toy", "{kind}", 1, "before"]')
    assert done.returncode == -signal.SIGKILL
    assert (cache / "tmp/toy-0a/data/x.zarr/c").exists() == (kind in ("receipt", PUBLISH))
    assert (cache / "artifacts/toy/0a").exists() == (kind == DISCARD)
    assert (cache / "trash/toy-0a-1/x.zarr/c").exists() == (kind == REMOVAL)


def test_the_stage_of_a_name():
    assert _stage_of("artifacts/world/0a/x") == "world"
    assert _stage_of("tmp/bev_labels-0a/done/u.json") == "bev_labels"
    assert _stage_of("owners/1.json") == ""
