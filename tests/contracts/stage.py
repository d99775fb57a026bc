"""The four promises of every stage, as functions that a stage's tests call with a recipe.

A recipe is a function at the top of a test file, `recipe(root: Path, **changes) -> tuple[Artifact, bool]`: it builds
the stage's artifact in the cache at `root`, with some settings changed, and says whether it was there already (what
`Store.get_or_build` returns). It must not depend on the test process: the kills happen in processes of their own.

    def recipe(root, **changes):
        settings = MySettings(**changes)
        return Store(root).get_or_build(KeySpec("mine", 1, settings.canonical()), {}, lambda build: run(...))

    def test_kill_and_resume(tmp_path):
        check_kill_and_resume(recipe, tmp_path, num_kills=6)
"""

import inspect
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cache.store import Artifact

Recipe = Callable[..., tuple[Artifact, bool]]
DRIVER = Path(__file__).parent / "processes.py"


def check_rerun_does_nothing(recipe: Recipe, tmp_path: Path) -> None:
    """The second run finds the artifact and touches no file."""
    first, found = recipe(tmp_path / "cache")
    assert not found
    before = _snapshot(tmp_path / "cache")
    second, found = recipe(tmp_path / "cache")
    assert found
    assert second.path == first.path
    assert _snapshot(tmp_path / "cache") == before


def check_changed_setting(recipe: Recipe, tmp_path: Path, **changes: Any) -> None:
    """Each changed setting, alone, gives a new key beside the old artifact."""
    first, _ = recipe(tmp_path / "cache")
    keys = {first.key}
    for name, value in changes.items():
        other, found = recipe(tmp_path / "cache", **{name: value})
        assert not found, f"{name}={value!r} does not reach the key"
        assert other.key not in keys
        keys.add(other.key)
    assert recipe(tmp_path / "cache")[1]


def check_schema(artifact: Artifact, arrays: Mapping[str, Mapping[str, Any]]) -> None:
    """The arrays are the declared ones.

    `arrays` is {path below the artifact: {"shape": ..., "dtype": ..., "dims": ..., "units": ...}}, each as far as it is
    declared; no array may be missing and none undeclared.
    """
    found = artifact.manifest.schema
    assert set(found) == set(arrays)
    for name, declared in arrays.items():
        actual = {field: found[name][field] for field in declared}
        assert actual == json.loads(json.dumps(declared)), name


def check_kill_and_resume(recipe: Recipe, tmp_path: Path, *, num_kills: int, timeout_s: float = 100) -> None:
    """After SIGKILL at `num_kills` instants spread over the run, the next run ends with the uninterrupted run's digest.

    The instants are calls that change a file below the cache: unit writes, markers, manifest, and the rename of the
    commit are all among them when `num_kills` is large enough (0: every single one).
    """
    trials = run_driver("kills", recipe, tmp_path / "kills", num_kills, timeout_s=timeout_s)
    whole, killed = trials[0], trials[1:]
    assert len(killed) >= max(num_kills, 1)
    for trial in killed:
        assert trial["signal"] == 9, trial
        assert not trial["half"], f"something that looks whole and is not: {trial}"
        assert trial["output_digest"] == whole["output_digest"], trial
        assert trial["key"] == whole["key"]
        assert trial["num_artifacts"] == whole["num_artifacts"]


def run_driver(mode: str, recipe: Recipe, folder: Path, number: int, *, timeout_s: float) -> list[dict[str, Any]]:
    """Runs `processes.py`, which forks before anything has started a thread; the JSON lines that it answers."""
    command = [sys.executable, str(DRIVER), mode, inspect.getfile(recipe), recipe.__name__, str(folder), str(number)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def _snapshot(root: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(root)): (path.stat().st_mtime_ns, path.stat().st_size)
        for path in root.rglob("*")
        if path.is_file()
    }
