"""Copies artifacts with all that they were made from to another cache: a folder, a mount, a bucket."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from cache.gc import reachable
from cache.manifest import Artifact
from cache.store import Entry, Store
from scene.errors import InputError


@dataclass(frozen=True)
class Transferred:
    """What became of one artifact of a transfer.

    Attributes:
        stage, key: of the artifact.
        bytes: of its files.
        copied: False if the destination had it.
    """

    stage: str
    key: str
    bytes: int
    copied: bool


def lineage(store: Store, keys: Iterable[str]) -> list[Artifact]:
    """These artifacts and all that they were made from, inputs first.

    Inputs that are not in this cache are left out: an artifact stands by itself.

    Raises:
        InputError: if one of `keys` is not there.
    """
    artifacts = {artifact.key: artifact for artifact in store.artifacts()}
    wanted = list(keys)
    if missing := [key for key in wanted if key not in artifacts]:
        raise InputError(f"no artifact has the key {missing[0][:12]!r}", where=store.name, fix="`bevprior ls`")
    order: dict[str, Artifact] = {}

    def visit(key: str) -> None:
        if key in artifacts and key not in order:
            for parent in artifacts[key].manifest.parents.values():
                visit(parent)
            order[key] = artifacts[key]

    for key in sorted(reachable(artifacts, wanted)):
        visit(key)
    return list(order.values())


def transfer(
    source: Store, destination: Store, artifacts: Iterable[Artifact], progress: Callable[[int], object] = lambda _: None
) -> Iterator[Transferred]:
    """Copies artifacts, in this order, those excepted that the destination has; yields what became of each.

    Files come first and the manifest last, each file checked by its digest, so a kill leaves no half artifact, and the
    next transfer goes on after the last whole one.

    Raises:
        InputError: if a file is damaged, or the destination full or forbidden.
    """
    for artifact in artifacts:
        entry = Entry(artifact.stage, artifact.key)
        size = sum(file.bytes for file in artifact.manifest.files.values())
        there = destination.exists(entry)
        if there:
            progress(size)
        else:
            destination.receive(source.materialise(artifact), progress)
        yield Transferred(artifact.stage, artifact.key, size, not there)
