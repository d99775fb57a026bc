"""Whether damage to one file is named, and what readers of arrays make of it. Runs in a fork, in batches."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from faults.damaging import damage

LAYOUT = {"layout": 2}
ARRAYS = ("Zarr chunk", "Zarr metadata")


@dataclass(frozen=True)
class Case:
    """One damage to one file: its kind, its name below the cache, the way, and what decides the rest."""

    kind: str
    name: str
    how: str
    seed: int


@dataclass(frozen=True)
class Found:
    """What was made of a damage.

    Attributes:
        named: whether `verify --full` named this file, and nothing else; of the marker: whether the cache is refused,
            which it is not where the marker still says the same (a space more).
        read: of an array, what its readers gave: "error" that names artifact and repair, "correct" data; "" otherwise.
        broken: promises that were.
    """

    named: bool
    read: str
    broken: list[str]


def detect(cache: Path, cases: list[Case]) -> list[dict[str, Any]]:
    """Damages one file after the other, looks, and puts each back."""
    truth: dict[Path, dict[str, Any]] = {}
    found = []
    for case in cases:
        file = cache / case.name
        group = _group_of(file) if case.kind in ARRAYS else None
        if group is not None and group not in truth:
            truth[group] = dict(_read_plain(group))
        whole = file.read_bytes()
        damage(file, case.how, random.Random(case.seed))
        try:
            found.append(vars(_look(cache, case, group, truth)))
        finally:
            file.write_bytes(whole)
    return found


def _look(cache: Path, case: Case, group: Path | None, truth: dict[Path, dict[str, Any]]) -> Found:
    from cache.store import Store
    from cache.verify import verify, verify_records
    from scene.errors import InputError

    name = f"{case.how} of {case.name}"
    try:
        store = Store(cache)
        damages = [*verify(store, store.entries(), full=True), *verify_records(store.objects)]
    except InputError as error:  # which is how a damaged marker is told
        in_one_line = case.kind == "marker of the cache" and "\n" not in str(error)
        return Found(in_one_line, "", [] if in_one_line else [f"{name}: {error}"])
    told = [f"artifacts/{d.stage}/{d.key}/{d.file}" if d.key else d.file for d in damages]
    if case.kind == "marker of the cache":
        same = (cache / case.name).exists() and json.loads((cache / case.name).read_bytes()) == LAYOUT
        return Found(False, "", [] if same else [f"{name}: the cache opens"])
    broken = [] if told == [case.name] else [f"{name}: verify names {told}"]
    read = ""
    if group is not None:
        read, wrong = _read(group, truth[group])
        broken += [f"{name}: {line}" for line in wrong]
    return Found(told == [case.name], read, broken)


def _read(group: Path, truth: dict[str, Any]) -> tuple[str, list[str]]:
    """What the readers of arrays give: the worst of "correct" and "error"; and what they should not have."""
    from cache.handles import HANDLES

    HANDLES.clear()  # as a process that starts now
    wrong, verdict = [], "correct"
    for reader in (_read_by_reader, _read_by_zarr):
        for name in truth:
            try:
                values = reader(group, name)
            except Exception as error:
                verdict = "error"
                wrong += [f"{reader.__name__} {name}: {line}" for line in _unhelpful(error, group)]
                continue
            if values.dtype != truth[name].dtype or not np.array_equal(values, truth[name], equal_nan=True):
                wrong.append(f"{reader.__name__} {name}: WRONG DATA")
    return verdict, wrong


def _unhelpful(error: Exception, group: Path) -> Iterator[str]:
    """What an error should say and does not: the artifact, and the command that repairs it."""
    from scene.errors import InputError

    key = next(part for part in group.parts[::-1] if len(part) == 64)
    if not isinstance(error, InputError) or key[:12] not in str(error) or "bevprior repair" not in str(error):
        yield f"{type(error).__name__}: {error}"


def _read_by_reader(group: Path, name: str) -> Any:
    from cache.reading import GroupReader

    return GroupReader(group)[name].read(slice(None))


def _read_by_zarr(group: Path, name: str) -> Any:
    from cache.arrays import open_arrays

    return np.asarray(open_arrays(group)[name][:])


def _read_plain(group: Path) -> Iterator[tuple[str, Any]]:
    """All arrays of a group, by the zarr library alone."""
    import zarr

    for name, array in zarr.open_group(group, mode="r").arrays():
        yield name, np.asarray(array[:])


def _group_of(file: Path) -> Path:
    return next(folder for folder in file.parents if folder.name.endswith(".zarr"))
