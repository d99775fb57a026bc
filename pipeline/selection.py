"""Which artifacts a command is about."""

from collections.abc import Iterable
from typing import Annotated

import typer

from cache.store import Artifact, Entry, Store
from scene.errors import InputError

Keys = Annotated[list[str] | None, typer.Argument(metavar="[KEY]...", help="keys, or their first digits; none is all")]
Key = Annotated[str, typer.Argument(help="key, or its first digits")]


def entries_of(store: Store, keys: list[str] | None) -> list[Entry]:
    """Those with these keys, each once, or all; damaged ones too."""
    return list(dict.fromkeys(store.find_entry(key) for key in keys)) if keys else store.entries()


def size_of(artifact: Artifact) -> int:
    """Bytes of its files."""
    return sum(file.bytes for file in artifact.manifest.files.values())


def bytes_of(store: Store, entries: Iterable[Entry]) -> int:
    """Bytes of the files that are listed, for a progress bar."""
    total = 0
    for entry in entries:
        try:
            total += size_of(store.open(entry))
        except InputError:  # which verify tells of
            continue
    return total
