"""Runs a recipe (see stage.py) in forked processes: killed at chosen instants, or many at once. A script.

    python processes.py kills|race FILE FUNCTION FOLDER NUMBER

The recipe's imports are paid once, here, those that a stage makes only when it runs as well; each trial is a fork, made
while this process has a single thread.
"""

import importlib.util
import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import filelock  # noqa: F401 - a build imports these two when it starts: better once here than in each fork
import psutil  # noqa: F401

from cache.provenance import describe_environment

REPOSITORY = Path(__file__).parents[2]
CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.link"}


def load(file: str, function: str) -> Callable[..., Any]:
    sys.path.insert(0, str(REPOSITORY))
    spec = importlib.util.spec_from_file_location("recipe_under_test", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return getattr(module, function)


def forked(work: Callable[[], dict[str, Any]], answer: Path) -> int:
    """Process id of a fork that writes what `work` returns to `answer`."""
    sys.stdout.flush()
    if (pid := os.fork()) != 0:
        return pid
    status = 1
    try:
        answer.write_text(json.dumps(work()))
        status = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    sys.stderr.flush()
    os._exit(status)


def killed_at(instant: int, root: Path, counter: list[int]) -> None:
    """Counts this process's calls that change files below `root`, from here on; SIGKILL before number `instant`."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            relevant = isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        else:
            relevant = event in CHANGES
        if not relevant or isinstance(arguments[0], int):
            return
        name = str(arguments[0])
        # shutil.rmtree works relative to folder descriptors: its names do not show the root
        if name == str(root) or name.startswith(f"{root}/") or not name.startswith("/"):
            counter[0] += 1
            if counter[0] == instant:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def run(recipe: Callable[..., Any], root: Path, instant: int) -> dict[str, Any]:
    counter = [0]
    killed_at(instant, root, counter)
    artifact, found = recipe(root)
    return {
        "key": artifact.key,
        "output_digest": artifact.output_digest,
        "found": found,
        "changes": counter[0],
        "num_artifacts": len(list(root.glob("artifacts/*/*"))),
        "pid": os.getpid(),
    }


def spare_imports(modules: list[str]) -> None:
    """Imports what a run did, in its order."""
    for name in modules:
        with suppress(ImportError):  # some make modules that have no file
            importlib.import_module(name)
    assert threading.active_count() == 1, "an import starts a thread, which a fork would not have"


def looks_whole_but_is_not(root: Path) -> bool:
    """Whether an artifact folder has no manifest, or misses a file. Reads the layout itself, not through the store."""
    for folder in root.glob("artifacts/*/*"):
        manifest = folder / "manifest.json"
        if not manifest.exists():
            return True
        files = json.loads(manifest.read_text())["files"]
        if any((folder / name).stat().st_size != entry["bytes"] for name, entry in files.items()):
            return True
    return False


def kills(recipe: Callable[..., Any], folder: Path, number: int) -> None:
    """One uninterrupted run, then for each instant a killed run and the run after it; a JSON line for each."""
    answer = folder / "answer.json"

    def in_fork(work: Callable[[], dict[str, Any]]) -> tuple[int, dict[str, Any]]:
        answer.unlink(missing_ok=True)
        _, status = os.waitpid(forked(work, answer), 0)
        return os.waitstatus_to_exitcode(status), json.loads(answer.read_text()) if answer.exists() else {}

    def trial(root: Path, instant: int) -> tuple[int, dict[str, Any]]:
        return in_fork(lambda: run(recipe, root, instant))

    code, whole = in_fork(lambda: {**run(recipe, folder / "whole", 0), "modules": list(sys.modules)})
    assert code == 0, "the uninterrupted run failed"
    spare_imports(whole.pop("modules"))
    print(json.dumps(whole))
    changes = whole["changes"]
    number = number or changes
    for i in range(number):
        instant = 1 + i * (changes - 1) // max(number - 1, 1)
        root = folder / f"killed-{instant}"
        code, unharmed = trial(root, instant)
        while code == 0:  # the first run imported more and took longer, and so changed more files
            shutil.rmtree(root)
            instant = unharmed["changes"]
            code, unharmed = trial(root, instant)
        half = looks_whole_but_is_not(root)
        resumed_code, resumed = trial(root, 0)
        if resumed.get("found"):  # killed after its commit: what it left must not mislead whoever deletes the artifact
            shutil.rmtree(root / "artifacts")
            resumed_code, resumed = trial(root, 0)
        print(json.dumps({"instant": instant, "signal": -code, "half": half, "code": resumed_code, **resumed}))
        shutil.rmtree(root)


def race(recipe: Callable[..., Any], folder: Path, number: int) -> None:
    """The same recipe in `number` processes at once; a JSON line for each."""
    answers = [folder / f"answer-{i}.json" for i in range(number)]
    pids = [forked(lambda: run(recipe, folder / "raced", 0), answer) for answer in answers]
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    for code, answer in zip(codes, answers, strict=True):
        print(json.dumps({"code": code, **(json.loads(answer.read_text()) if answer.exists() else {})}))


if __name__ == "__main__":
    describe_environment()  # the versions of all packages: once here as well
    mode, file, function, folder, number = sys.argv[1:]
    Path(folder).mkdir(parents=True)
    {"kills": kills, "race": race}[mode](load(file, function), Path(folder), int(number))
