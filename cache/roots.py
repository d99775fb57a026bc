"""What the garbage collector keeps: pins, which a person sets, and runs, which an engine records."""

import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from cache.documents import DamagedError, seal, unseal
from cache.keys import KEY
from cache.objects import Objects
from scene.errors import InputError

PINS, RUNS = "pins", "runs"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Run:
    """One run of an experiment.

    Attributes:
        id: its time and a random part; sorts by time.
        experiment: the experiment's name.
        steps: key by step, as far as they were known.
    """

    id: str
    experiment: str
    steps: Mapping[str, str]


def new_run(experiment: str) -> Run:
    """A run that starts now."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return Run(f"{now}-{secrets.token_hex(3)}", experiment, {})


def record_run(objects: Objects, run: Run) -> None:
    """Writes down what a run uses, again whenever more is known."""
    content = {"experiment": run.experiment, "steps": dict(run.steps)}
    objects.put(f"{RUNS}/{run.id}.json", seal(content), durable=False)


def runs(objects: Objects) -> list[Run]:
    """The runs on record, oldest first; damaged records are left out."""
    found = []
    for name, content in _documents(objects, RUNS):
        steps, experiment = content.get("steps"), content.get("experiment")
        if isinstance(steps, dict) and isinstance(experiment, str):
            found.append(Run(name, experiment, {str(step): str(key) for step, key in steps.items()}))
    return found


def pin(objects: Objects, name: str, key: str) -> None:
    """Keeps an artifact and its lineage until `unpin`.

    Raises:
        InputError: for a name that is none.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r} is no name for a pin", where="pin", fix="use letters, digits, '.', '_' and '-'")
    objects.put(f"{PINS}/{name}.json", seal({"key": key}))


def unpin(objects: Objects, name: str) -> None:
    """Takes a pin back.

    Raises:
        InputError: if there is none of that name.
    """
    if not _NAME.fullmatch(name) or objects.read(f"{PINS}/{name}.json") is None:
        raise InputError(f"no pin is called {name!r}", where="pins", fix="`bevprior pin` lists them")
    objects.delete(f"{PINS}/{name}.json")


def pins(objects: Objects, *, strict: bool = True) -> dict[str, str]:
    """Key by name of every pin; unless `strict`, of those that are whole.

    Raises:
        InputError: for a damaged one: what it kept is not known, and must not be taken for garbage.
    """
    found = {}
    for name, content in _documents(objects, PINS, strict=strict):
        key = content.get("key")
        if isinstance(key, str) and KEY.fullmatch(key):
            found[name] = key
        elif strict:
            raise _damaged(name)
    return found


def _documents(objects: Objects, folder: str, *, strict: bool = False) -> Iterator[tuple[str, dict[str, object]]]:
    for name, _ in objects.scan(folder):
        found = objects.read(name)
        plain = name.removeprefix(f"{folder}/").removesuffix(".json")
        if found is None:
            continue
        try:
            yield plain, unseal(found.data)
        except DamagedError as error:
            if strict:
                raise _damaged(plain) from error


def _damaged(name: str) -> InputError:
    return InputError("a pin is damaged", where=f"{PINS}/{name}.json", fix=f"set it again, or `bevprior unpin {name}`")
