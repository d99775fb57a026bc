"""Where the bytes of a cache are."""

from dataclasses import dataclass

from cache.store import ARTIFACTS, TRASH, Store
from cache.work import TMP


@dataclass(frozen=True)
class Usage:
    """What one part of a cache takes.

    Attributes:
        name: a stage, "builds in progress" or "trash".
        artifacts: how many there are.
        files: in them.
        bytes: of these files.
    """

    name: str
    artifacts: int
    files: int
    bytes: int


def usage(store: Store) -> list[Usage]:
    """By stage, then what is no artifact, as the files are now."""
    parts = [(stage, f"{ARTIFACTS}/{stage}") for stage in store.objects.folders(ARTIFACTS)]
    parts += [("builds in progress", TMP), ("trash", TRASH)]
    rows = []
    for title, folder in parts:
        sizes = [size for _, size in store.objects.scan(folder)]
        if sizes or folder.startswith(ARTIFACTS):
            rows.append(Usage(title, len(store.objects.folders(folder)), len(sizes), sum(sizes)))
    return rows
