"""Garbage collection: what no pin, recent run or build in progress needs, directly or through its lineage."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from cache.documents import DamagedError, unseal
from cache.leases import OWNERS, TOMBSTONE, has_ended, living_owners
from cache.manifest import Artifact
from cache.objects import is_locked
from cache.roots import RUNS, pins, runs
from cache.store import TRASH, Entry, Store
from cache.work import TMP
from scene.errors import InputError

KEEP_RUNS = 10
GRACE_S = 24 * 3600.0


@dataclass(frozen=True)
class Garbage:
    """One thing to remove.

    Attributes:
        kind: "artifact"; "build" was left by a process that is no more; "remains" are files of an artifact that never
            was whole, or is no more; "trash" was being removed; "run" is a record; "owner" is the record of a process
            that is no more.
        name: below the cache.
        stage, key: of an artifact, else "".
        bytes: its size.
    """

    kind: Literal["artifact", "build", "remains", "trash", "run", "owner"]
    name: str
    bytes: int
    stage: str = ""
    key: str = ""


@dataclass(frozen=True)
class Verdict:
    """What a collection would do.

    Attributes:
        garbage: what goes.
        kept: number of artifacts that stay.
        young: how many of them stay only because they are younger than the grace period.
        roots: key by what keeps it: "pin NAME", "run ID" or "build NAME".
    """

    garbage: tuple[Garbage, ...]
    kept: int
    young: int
    roots: Mapping[str, frozenset[str]]


def survey(store: Store, *, keep_runs: int = KEEP_RUNS, grace_s: float = GRACE_S) -> Verdict:
    """What is garbage now; changes nothing.

    Args:
        store: the cache.
        keep_runs: the last so many runs are roots.
        grace_s: what was changed so recently stays, whatever it is.

    Raises:
        InputError: for a damaged pin or manifest: what it needs is not known.
    """
    artifacts = {artifact.key: artifact for artifact in store.artifacts()}
    recent = runs(store.objects)[-keep_runs:] if keep_runs else []
    roots = {f"pin {name}": frozenset({key}) for name, key in pins(store.objects).items()}
    roots |= {f"run {run.id} {run.experiment}": frozenset(run.steps.values()) for run in recent}
    building = builds(store)
    roots |= {f"build {name}": frozenset(build.parents) for name, build in building.items() if build.alive}
    needed = reachable(artifacts, {key for keys in roots.values() for key in keys})

    def old(name: str) -> bool:
        return store.age_s(name) >= grace_s

    garbage: list[Garbage] = []
    young = 0
    for entry in store.entries():
        if entry.key in needed:
            continue
        if old(entry.name):
            listed = artifacts[entry.key].manifest.files.values() if entry.key in artifacts else ()
            garbage.append(Garbage("artifact", entry.name, sum(file.bytes for file in listed), entry.stage, entry.key))
        else:
            young += 1
    dead = [name for name, build in building.items() if not build.alive and old(f"{TMP}/{name}")]
    garbage += [Garbage("build", f"{TMP}/{name}", store.bytes_of(f"{TMP}/{name}")) for name in dead]
    garbage += [
        Garbage("remains", entry.name, store.bytes_of(entry.name), entry.stage, entry.key)
        for entry in store.remains()
        if (name := f"{entry.stage}-{entry.key}") in dead or (name not in building and old(entry.name))
    ]
    garbage += [
        Garbage("trash", f"{TRASH}/{name}", num_bytes)
        for name, num_bytes in store.trash()
        if not is_locked(store.root / TRASH / name)  # what a copy under way has brought so far
    ]
    stale = {f"{RUNS}/{run.id}.json" for run in runs(store.objects)} - {f"{RUNS}/{run.id}.json" for run in recent}
    garbage += [Garbage("run", name, store.objects.size(name) or 0) for name in sorted(stale) if old(name)]
    garbage += [Garbage("owner", name, size) for name, size in store.objects.scan(OWNERS) if _is_of_nobody(store, name)]
    artifacts_going = sum(item.kind == "artifact" for item in garbage)
    return Verdict(tuple(garbage), len(store.entries()) - artifacts_going, young, roots)


def collect(store: Store, garbage: Iterable[Garbage]) -> Iterator[Garbage]:
    """Removes garbage, one thing after the other; yields what went. Killed anywhere, the next one goes on.

    What a build has begun to use since the survey stays.
    """
    for item in garbage:
        if item.kind == "artifact":
            with store.builds_held():
                in_use = {key for build in builds(store).values() if build.alive for key in build.parents}
                artifacts = {artifact.key: artifact for artifact in store.artifacts()} if in_use else {}
                if item.key in reachable(artifacts, in_use):
                    continue
                trash = store.discard(Entry(item.stage, item.key))
            store.objects.delete_all(trash)
        elif item.kind == "build":
            with store.builds_held():
                build = builds(store).get(item.name.removeprefix(f"{TMP}/"))
                if build is None or build.alive:
                    continue
                store.objects.delete_all(item.name)
        elif item.kind == "remains":
            with store.builds_held():
                entry = Entry(item.stage, item.key)
                if entry not in store.remains() or f"{item.stage}-{item.key}" in builds(store):
                    continue
                store.objects.delete_all(item.name)
        elif item.kind == "trash":
            if is_locked(store.root / item.name):
                continue
            store.empty_trash(item.name.removeprefix(f"{TRASH}/"))
        else:
            store.objects.delete(item.name)
        yield item


def _is_of_nobody(store: Store, name: str) -> bool:
    """Whether an owner's record is of a process that has ended, or that nobody can see and that was silent for a day.

    Should that one wake up, it finds its record gone, and joins its build again.
    """
    found = store.objects.read(name)
    return found is not None and (found.data == TOMBSTONE or has_ended(found) or store.age_s(name) >= GRACE_S)


def remove(store: Store, entry: Entry) -> None:
    """Removes one artifact, whatever was made from it, pins or needs it.

    Raises:
        InputError: if a living build uses it.
    """
    with store.builds_held():
        for name, build in builds(store).items():
            if build.alive and entry.key in build.parents:
                fix = "wait until that is done"
                raise InputError(f"the build {name[:-52]} uses it", where=f"{entry.stage} {entry.key[:12]}", fix=fix)
        trash = store.discard(entry)
    store.objects.delete_all(trash)


@dataclass(frozen=True)
class Building:
    """A build in progress, or what is left of one.

    Attributes:
        parents: keys of its inputs.
        alive: whether a living process is at it.
    """

    parents: frozenset[str]
    alive: bool


def builds(store: Store) -> dict[str, Building]:
    """The builds below tmp/, by name."""
    living = living_owners(store.objects)
    found = {}
    for name in store.objects.folders(TMP):
        parents: set[str] = set()
        alive = False
        for attempt, _ in store.objects.scan(f"{TMP}/{name}/attempts"):
            content = store.objects.read(attempt)
            try:
                document = {} if content is None else unseal(content.data)
            except DamagedError:
                continue
            parents.update(map(str, document.get("parents", {}).values()))
            alive |= document.get("owner") in living
        found[name] = Building(frozenset(parents), alive)
    return found


def reachable(artifacts: Mapping[str, Artifact], roots: Iterable[str]) -> set[str]:
    """Keys of `roots` and of all that they were made from."""
    todo, seen = list(roots), set()
    while todo:
        key = todo.pop()
        if key not in seen:
            seen.add(key)
            todo += artifacts[key].manifest.parents.values() if key in artifacts else ()
    return seen
